"""A plan on Slurm: submit, watch, submit again, cancel; until every run has ended, whoever is killed in between."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from planner.errors import WorldError
from planner.lab.exports.run import Run
from planner.lab.gates import Gates
from planner.lab.launch import Launched, Order, branch_steps
from planner.lab.local.places import Ending, Outcome, Places
from planner.lab.local.worker import held
from planner.lab.slurm import scheduler
from planner.lab.slurm.attempts import Attempts
from planner.lab.slurm.book import Book, Submission
from planner.lab.slurm.closing import close_log
from planner.lab.slurm.judging import NOT_STARTED, active
from planner.lab.slurm.scheduler import Queue
from planner.lab.slurm.settings import Progress, Settings
from planner.lab.slurm.standing import Standing
from planner.lab.slurm.submitting import Submitting
from planner.text import short

T = TypeVar("T")
TURN = 15.0  # seconds to wait for another launcher's last words: sbatch may outlive it


@contextlib.contextmanager
def only_launcher(book: Book, told: Callable[[str], None] = lambda _: None) -> Iterator[int]:
    """The lock of a folder's one launcher, which holds its name; `told` hears of another one that is waited for.

    Raises WorldError when another process keeps it.
    """
    began, other = time.monotonic(), ""
    while True:
        with held(book.lock) as ours:
            if ours is not None:
                with contextlib.suppress(OSError):  # a full disk: nameless
                    os.truncate(ours, 0)
                    os.pwrite(ours, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
                yield ours
                return
        if not other:
            other = f"{book.lock}: another launcher ({_holder(book.lock)}) works on this folder"
            told(f"{other}; waiting {TURN:g} s for it")
        if time.monotonic() - began > TURN:
            raise WorldError(other, "wait for it, or stop it: its jobs stay queued")
        time.sleep(0.5)


def _holder(lock: Path) -> str:
    with contextlib.suppress(OSError):
        return short(lock.read_bytes()[:200].decode(errors="replace")) or "unknown"
    return "unknown"


class Launch:
    """One launcher at work on what `order` asks for; `runs` are the plan's runs as exports know them, by run_id.

    `lock` is the file of `only_launcher`.
    """

    def __init__(
        self, order: Order, plan: Sequence[Mapping[str, Any]], runs: Mapping[str, Run], places: Places, book: Book,
        settings: Settings, lock: int, gates: Gates | None = None, told: Callable[[Progress], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._places, self._book, self._settings, self._gates, self._told = places, book, settings, gates, told
        self._standing = Standing(order, book)
        self._attempts = Attempts(self._standing, places, book, settings)
        self._submitting = Submitting(self._standing, runs, branch_steps(plan), places, book, settings, lock)
        self._note, self._judged, self._leaving, self._seen = "", -1, 0, Queue()

    def run(self) -> Launched:
        """Do it.

        Raises WorldError when the disk fails, or Slurm, for longer than the settings have patience: what is queued goes on, and
        the next launch too.
        """
        while True:
            queue = self._patiently(lambda: scheduler.queue(self._book.id))
            self._settle(queue)
            self._attempts.judge(queue)
            self._judge_gates()
            self._cancel(queue)
            refused = self._submitting.submit(self._ready(), queue)
            self._told(self._standing.progress(queue, refused or self._note))
            self._seen = queue
            if self._nothing_to_wait_for() or not (self._settings.wait or self._attempts.in_doubt):
                return self._result()
            time.sleep(self._settings.poll_seconds)

    @property
    def submitted(self) -> list[Submission]:
        """The arrays of this round."""
        return [one for one in self._book.submissions.values() if one.round == self._book.round]

    @property
    def jobs(self) -> list[int]:
        """The job ids in which runs are still out."""
        last = (
            self._standing.where[run][-1][0] for run in self._standing.submitted() if run not in self._standing.again
        )
        return sorted({self._book.jobs[name] for name in last if name in self._book.jobs})

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Slurm's answer, asked for again while it is silent."""
        began = time.monotonic()
        while True:
            try:
                return ask()
            except WorldError as error:
                if time.monotonic() - began >= self._settings.patience:
                    raise
                note = f"{error.message}; asking again for {self._settings.patience:g} s"
                self._told(self._standing.progress(self._seen, note))
                time.sleep(min(self._settings.poll_seconds, 5.0))

    def _settle(self, queue: Queue) -> None:
        """Learn the job ids that were not written down; a submission that neither Slurm nor a task knows was never made."""
        for name in self._book.unrecorded():
            if name in queue.jobs:
                self._book.record(name, queue.jobs[name])
            else:
                self._standing.forget(self._book.submissions[name])
                self._book.drop(name)

    def _judge_gates(self) -> None:
        """Close gates when something has come back; runs behind a closed one are cancelled for good."""
        launched = self._standing.launched
        if self._gates is None or self._judged == len(launched.outcomes):
            return
        self._judged = len(launched.outcomes)
        stage = 0
        while stage != self._gates.stage:  # a gate that closes on all of a stage opens the next one at once
            stage = self._gates.stage
            self._note = self._gates.judge(self._outcomes())
        for run, why in self._gates.closed.items():
            if run in self._standing.open:
                self._attempts.write(Outcome(run, Ending.CANCELLED, reason=why))
                self._standing.skip(run, why)

    def _outcomes(self) -> dict[str, Outcome]:
        """How runs ended, in this launch and before."""
        launched = self._standing.launched
        before = {run: self._places.outcome(run) for run in launched.skipped}
        return {run: outcome for run, outcome in before.items() if outcome} | launched.outcomes

    def _cancel(self, queue: Queue) -> None:
        """Take out of the queue what need not run any more: tasks of cancelled runs, and waiting ones of runs that have ended."""
        over, self._leaving = [], 0
        for submission in self._book.submissions.values():
            for index, entry in enumerate(submission.entries):
                task = queue.tasks.get((submission.name, index))
                if task is not None and task.reason == NOT_STARTED:
                    over.append((queue.jobs[submission.name], index))
                if entry.run_id in self._standing.open or task is None or not active(task):
                    continue
                outcome = self._places.outcome(entry.run_id)
                if outcome and (outcome.status is Ending.CANCELLED or task.state == "PENDING"):
                    self._leaving += 1
                    if task.state != "COMPLETING":
                        over.append((queue.jobs[submission.name], index))
        if over:
            self._patiently(lambda: scheduler.cancel(over))

    def _ready(self) -> list[str]:
        """Runs that can be submitted now."""
        return self._standing.ready(lambda run: self._gates is not None and self._gates.waits(run))

    def _nothing_to_wait_for(self) -> bool:
        """Whether no run is out or can be, nor a cancelled one still goes: what is open waits for a gate without a verdict."""
        return not self._leaving and not self._standing.submitted() and not self._ready()

    def _result(self) -> Launched:
        launched = self._standing.launched
        launched.left += len(self._standing.open)
        if self._nothing_to_wait_for():
            self._standing.open.clear()
            self._close_cancelled()
            self._book.close()
        return launched

    def _close_cancelled(self) -> None:
        """Say in the logs of cancelled runs that they were; after their tasks are gone."""
        for run in self._standing.launched.skipped:
            outcome = self._places.outcome(run)
            if outcome is not None and outcome.status is Ending.CANCELLED:
                close_log(self._places, outcome)
