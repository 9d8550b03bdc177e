"""A plan on Slurm: submit, watch, submit again, cancel; until every run has ended, whoever is killed in between."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from planner import store
from planner.errors import WorldError
from planner.lab.exports.run import Run
from planner.lab.exports.settings import Settings as Export
from planner.lab.exports.slurm import arrays
from planner.lab.gates import Gates
from planner.lab.launch import Launched, Order, branch_steps, urgency
from planner.lab.local.places import Ending, Outcome, Places
from planner.lab.local.worker import held, last_words
from planner.lab.slurm import scheduler
from planner.lab.slurm.book import FAILED, FIRST, PREEMPTED, Book, Entry, Submission
from planner.lab.slurm.closing import close_log
from planner.lab.slurm.judging import BY_HAND, NOT_STARTED, Ended, active, ended
from planner.lab.slurm.scheduler import Queue
from planner.lab.slurm.script import script

T = TypeVar("T")
Row = Mapping[str, Any]
TURN = 15.0  # seconds to wait for another launcher's last words: sbatch may outlive it


@dataclass(frozen=True)
class Settings:
    """How to launch on Slurm.

    `attempts` at a run that fails by itself, `preemptions` of one whose node or place is taken away (what Slurm requeues by
    itself is not counted); seconds between looks at the queue, that Slurm may be silent, and that an outcome may take
    from a node's disk to ours. `options` go to sbatch, `export` groups runs into arrays; with `scripts` (a path by run name)
    runs are trained by these, else by the planner's own trainer. Without `wait` it submits what can be and returns.
    """

    export: Export
    options: tuple[str, ...] = ()
    scripts: Mapping[str, str] | None = None
    command: tuple[str, ...] = ()
    attempts: int = 3
    preemptions: int = 20
    poll_seconds: float = 10.0
    patience: float = 120.0
    grace: float = 30.0
    checkpoint_seconds: float = 30.0
    wait: bool = True


@dataclass(frozen=True)
class Progress:
    """Where a launch stands, in runs: all that it was asked for, ended, running, queued (why most of them), still to submit.

    `again` counts submissions of a run after its first; `note` is what else there is to say.
    """

    n_runs: int
    ended: int
    running: int
    queued: int
    reason: str
    waiting: int
    again: int
    note: str


@contextlib.contextmanager
def only_launcher(book: Book) -> Iterator[int]:
    """The lock of a folder's one launcher. Raises WorldError when another process holds it."""
    began = time.monotonic()
    while True:
        with held(book.lock) as ours:
            if ours is not None:
                yield ours
                return
        if time.monotonic() - began > TURN:
            raise WorldError(
                f"{book.lock}: another launcher works on this folder", "wait for it, or stop it: its jobs stay queued"
            )
        time.sleep(0.5)


class Launch:
    """One launcher at work on what `order` asks for; `runs` are the plan's runs as exports know them, by run_id."""

    def __init__(
        self, order: Order, plan: Sequence[Row], runs: Mapping[str, Run], places: Places, book: Book, settings: Settings,
        gates: Gates | None = None, told: Callable[[Progress], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._rows = {str(row["run_id"]): row for row in order.rows}
        self._runs, self._places, self._book, self._settings = runs, places, book, settings
        self._gates, self._told = gates, told
        self._branch_steps = branch_steps(plan)
        urgent = urgency(order.rows)
        self._urgent = sorted(self._rows, key=lambda run: urgent[run])
        self._open = dict.fromkeys(self._rows)
        self._completed = set(order.completed)
        self._launched = Launched(skipped=dict(order.skipped), left=order.left)
        self._where: dict[str, list[tuple[str, int]]] = {}  # the tasks of each run, over all rounds
        self._causes: dict[str, list[str]] = {}  # why each run was submitted, in this round
        for submission in book.submissions.values():
            self._note_tasks(submission)
        self._again: dict[str, str] = {}  # runs to submit again, and why
        self._since: dict[str, float] = {}  # when a run was first seen without a task and without an outcome
        self._note, self._judged, self._leaving = "", -1, 0
        self._lock = -1

    def run(self, lock: int) -> Launched:
        """Do it; `lock` is the file of `only_launcher`.

        Raises WorldError when the disk fails, or Slurm, for longer than the settings have patience: what is queued goes on, and
        the next launch too.
        """
        self._lock = lock
        while True:
            queue = self._patiently(lambda: scheduler.queue(self._book.id))
            self._settle(queue)
            self._judge_runs(queue)
            self._judge_gates()
            self._cancel(queue)
            self._submit(queue)
            self._tell(queue)
            if not self._settings.wait or self._nothing_to_wait_for():
                return self._result()
            time.sleep(self._settings.poll_seconds)

    @property
    def submitted(self) -> list[Submission]:
        """The arrays of this round."""
        return [one for one in self._book.submissions.values() if one.round == self._book.round]

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Slurm's answer, asked for again while it is silent."""
        began = time.monotonic()
        while True:
            try:
                return ask()
            except WorldError:
                if time.monotonic() - began >= self._settings.patience:
                    raise
                time.sleep(min(self._settings.poll_seconds, 5.0))

    def _settle(self, queue: Queue) -> None:
        """Learn the job ids that were not written down; a submission that neither Slurm nor a task knows was never made."""
        for name in self._book.unrecorded():
            if name in queue.jobs:
                self._book.record(name, queue.jobs[name])
            else:
                self._forget(self._book.submissions[name])
                self._book.drop(name)

    def _forget(self, submission: Submission) -> None:
        """A submission that was never made: its runs are to be submitted as they were."""
        for entry in submission.entries:
            self._where[entry.run_id] = [one for one in self._where[entry.run_id] if one[0] != submission.name]
            if submission.round == self._book.round:
                self._causes[entry.run_id].pop()
                if entry.because != FIRST and entry.run_id in self._open:
                    self._again[entry.run_id] = entry.because

    def _judge_runs(self, queue: Queue) -> None:
        for run in list(self._open):
            if self._causes.get(run):
                self._judge_run(run, queue)
        for run in list(self._open):
            trunk = _trunk(self._rows[run])
            if trunk and trunk not in self._completed and trunk not in self._open:
                known = trunk in self._rows
                self._skip(run, f"its trunk {trunk} did not complete" if known else _no_trunk(trunk))

    def _judge_run(self, run: str, queue: Queue) -> None:
        """What became of a run that was submitted in this round: nothing yet, its end, or another attempt."""
        tasks = [queue.tasks.get(place) for place in self._where[run]]
        if run in self._again or any(active(task) for task in tasks):
            self._since.pop(run, None)
            return
        outcome = self._places.outcome(run)
        if outcome is not None and (outcome.status is not Ending.FAILED or run in self._book.given_up):
            self._end(outcome)
            return
        how = ended(tasks[-1], outcome, known=self._where[run][-1][0] in queue.jobs)
        if not how.sure and self._waited(run) < self._settings.grace:
            return
        self._since.pop(run, None)
        self._retry(run, how)

    def _waited(self, run: str) -> float:
        """Seconds since a run was first seen as it is now."""
        return time.monotonic() - self._since.setdefault(run, time.monotonic())

    def _retry(self, run: str, how: Ended) -> None:
        """Submit the run once more, or give it up when that was done often enough."""
        reason = self._in_words(run, how)
        if how.kind != BY_HAND:
            most = self._settings.attempts if how.kind == FAILED else self._settings.preemptions
            times = self._causes[run].count(how.kind) + 1
            if times < most:
                self._again[run] = how.kind
                return
            if times > 1:
                reason = f"{'failed' if how.kind == FAILED else 'lost its place'} {times} times: {reason}"
        outcome = Outcome(run, Ending.FAILED, reason=reason)
        self._write(outcome)
        self._book.give_up(run)
        if self._settings.scripts is None:
            close_log(self._places, outcome)
        self._end(outcome)

    def _write(self, outcome: Outcome) -> None:
        """Note how a run ended, under its lock where nobody has it.

        A task that starts removes what a killed one was about to write, and could take our temporary file for that: then again.
        """
        for left in (2, 1, 0):
            try:
                with held(self._places.lock(outcome.run_id)):
                    self._places.write_outcome(outcome)
                return
            except WorldError:
                if not left:
                    raise
                time.sleep(0.2)

    def _in_words(self, run: str, how: Ended) -> str:
        """How a task ended, with the last thing that it printed where that says more."""
        words = last_words(self._output(run)).removeprefix("planner: ")
        if how.kind == BY_HAND or not words or words in how.why or words.startswith(f"{run}:"):
            return how.why
        return words if how.why == "failed" else f"{how.why}: {words}"

    def _output(self, run: str) -> Path:
        name, index = self._where[run][-1]
        return self._book.outputs / f"{name}-{index}.txt"

    def _end(self, outcome: Outcome) -> None:
        self._launched.outcomes[outcome.run_id] = outcome
        self._open.pop(outcome.run_id, None)
        self._again.pop(outcome.run_id, None)
        if outcome.status is Ending.COMPLETED:
            self._completed.add(outcome.run_id)

    def _skip(self, run: str, why: str) -> None:
        self._launched.skipped[run] = why
        self._open.pop(run, None)
        self._again.pop(run, None)

    def _judge_gates(self) -> None:
        """Close gates when something has come back; runs behind a closed one are cancelled for good."""
        if self._gates is None or self._judged == len(self._launched.outcomes):
            return
        self._judged = len(self._launched.outcomes)
        stage = 0
        while stage != self._gates.stage:  # a gate that closes on all of a stage opens the next one at once
            stage = self._gates.stage
            self._note = self._gates.judge(self._outcomes())
        for run, why in self._gates.closed.items():
            if run in self._open:
                outcome = Outcome(run, Ending.CANCELLED, reason=why)
                self._write(outcome)
                self._skip(run, why)

    def _outcomes(self) -> dict[str, Outcome]:
        """How runs ended, in this launch and before."""
        before = {run: self._places.outcome(run) for run in self._launched.skipped}
        return {run: outcome for run, outcome in before.items() if outcome} | self._launched.outcomes

    def _cancel(self, queue: Queue) -> None:
        """Take out of the queue what need not run any more: tasks of cancelled runs, and waiting ones of runs that have ended."""
        over, self._leaving = [], 0
        for submission in self._book.submissions.values():
            for index, entry in enumerate(submission.entries):
                task = queue.tasks.get((submission.name, index))
                if task is not None and task.reason == NOT_STARTED:
                    over.append((queue.jobs[submission.name], index))
                if entry.run_id in self._open or task is None or not active(task):
                    continue
                outcome = self._places.outcome(entry.run_id)
                if outcome and (outcome.status is Ending.CANCELLED or task.state == "PENDING"):
                    self._leaving += 1
                    if task.state != "COMPLETING":
                        over.append((queue.jobs[submission.name], index))
        if over:
            self._patiently(lambda: scheduler.cancel(over))

    def _close_cancelled(self) -> None:
        """Say in the logs of cancelled runs that they were; after their tasks are gone."""
        if self._settings.scripts is None:
            for run in self._launched.skipped:
                outcome = self._places.outcome(run)
                if outcome is not None and outcome.status is Ending.CANCELLED:
                    close_log(self._places, outcome)

    def _ready(self) -> list[str]:
        """Runs that can be submitted now, the most urgent first."""
        return [
            run for run in self._urgent
            if run in self._open and (not self._causes.get(run) or run in self._again)
            and (not _trunk(self._rows[run]) or _trunk(self._rows[run]) in self._completed)
            and not (self._gates is not None and self._gates.waits(run))
        ]  # fmt: skip

    def _submit(self, queue: Queue) -> None:
        """Submit what is ready: an array per shape and time limit."""
        ready = self._ready()
        for array in arrays([self._runs[run] for run in ready], self._settings.export):
            name = self._book.next_name()
            entries = tuple(self._entry(run.run_id) for run in array.runs)
            submission = Submission(name, self._book.round, entries, self._settings.checkpoint_seconds)
            for entry in entries:
                self._clear(entry.run_id)
            path = self._book.folder / f"{name}.sbatch"
            text = script(replace(array, name=name), self._settings.export, self._places.folder, self._settings.command)
            store.write_bytes(path, text.encode())
            self._book.add(submission)
            self._note_tasks(submission)
            for entry in entries:
                self._again.pop(entry.run_id, None)
            try:
                self._book.record(name, self._call_sbatch(name, path))
            except scheduler.Refused as refused:
                if not any(active(task) for task in queue.tasks.values()):
                    raise WorldError(f"sbatch: {refused}", "launch again when the cluster takes jobs") from None
                self._note = f"sbatch says: {refused}"  # a limit on jobs: later, when some have ended
                return
            except WorldError:
                return  # perhaps it was taken: the next look at the queue shows it, or tells that Slurm is gone

    def _clear(self, run: str) -> None:
        """Remove how the attempt or round before failed."""
        outcome = self._places.outcome(run)
        if outcome is not None and outcome.status is Ending.FAILED:
            (self._places.state(run) / "outcome.json").unlink(missing_ok=True)

    def _call_sbatch(self, name: str, path: Path) -> int:
        output = str(self._book.outputs.resolve() / f"{name}-@").replace("%", "%%").replace("@", "%a")
        options = (*self._settings.options, f"--output={output}.txt")
        return scheduler.submit(name, str(path.resolve()), options, keep=self._lock)

    def _entry(self, run: str) -> Entry:
        because, name = self._again.get(run, FIRST), self._runs[run].name
        scripts = self._settings.scripts
        if scripts is not None:
            return Entry(run, name, because, script=scripts[name])
        return Entry(run, name, because, dict(self._rows[run]), tuple(self._branch_steps.get(run, ())))

    def _note_tasks(self, submission: Submission) -> None:
        for index, entry in enumerate(submission.entries):
            self._where.setdefault(entry.run_id, []).append((submission.name, index))
            if submission.round == self._book.round:
                self._causes.setdefault(entry.run_id, []).append(entry.because)

    def _tell(self, queue: Queue) -> None:
        tasks = [task for (name, _), task in queue.tasks.items() if active(task) and name in self._book.submissions]
        waiting = [task for task in tasks if task.state == "PENDING"]
        reasons = Counter(task.reason for task in waiting).most_common(1)
        again = sum(cause != FIRST for causes in self._causes.values() for cause in causes)
        n_runs = len(self._rows)
        out = sum(bool(self._causes.get(run)) and run not in self._again for run in self._open)
        queued = max(0, out - (len(tasks) - len(waiting)))
        self._told(
            Progress(n_runs, n_runs - len(self._open), len(tasks) - len(waiting), queued, reasons[0][0] if reasons else "",
                     len(self._open) - out, again, self._note)
        )  # fmt: skip

    def _nothing_to_wait_for(self) -> bool:
        """Whether no run is out or can be, nor a cancelled one still goes: what is open waits for a gate without a verdict."""
        return not self._leaving and not any(self._causes.get(run) for run in self._open) and not self._ready()

    def _result(self) -> Launched:
        if self._nothing_to_wait_for():
            for run in list(self._open):
                self._launched.left += 1
                self._open.pop(run)
            self._close_cancelled()
            self._book.close()
        else:
            self._launched.left += len(self._open)
        return self._launched


def _trunk(row: Row) -> str:
    value = row.get("trunk_id")
    return "" if value is None or value != value else str(value)


def _no_trunk(trunk: str) -> str:
    return f"its trunk {trunk} is not in the plan and was not trained here"


__all__ = ["FAILED", "PREEMPTED", "Launch", "Progress", "Settings", "only_launcher"]
