"""What became of runs that were submitted: nothing yet, their end, or another attempt."""

from __future__ import annotations

import time
from dataclasses import replace

from planner.errors import WorldError
from planner.lab.local.places import Ending, Outcome, Places
from planner.lab.local.worker import held, last_words
from planner.lab.slurm import scheduler
from planner.lab.slurm.book import CONTINUED, FAILED, PREEMPTED, Book
from planner.lab.slurm.closing import close_log
from planner.lab.slurm.judging import BY_HAND, ENDED, OUT_OF_TIME, Ended, active, ended
from planner.lab.slurm.scheduler import Queue
from planner.lab.slurm.settings import Settings
from planner.lab.slurm.standing import Standing


class Attempts:
    """The attempts at the runs of `standing`, judged by what Slurm and their tasks say of them."""

    def __init__(self, standing: Standing, places: Places, book: Book, settings: Settings) -> None:
        self._standing, self._places, self._book, self._settings = standing, places, book, settings
        self._since: dict[str, float] = {}  # when a run was first seen without a task and without an outcome

    def judge(self, queue: Queue) -> None:
        """Look at every run that is out, and at the branches of those that ended."""
        queue = self._recalled(queue)
        for run in self._standing.submitted():
            self._judge_run(run, queue)
        for run in list(self._standing.open):
            trunk = self._standing.trunk(run)
            if trunk and trunk not in self._standing.completed and trunk not in self._standing.open:
                known = trunk in self._standing.rows
                self._standing.skip(run, f"its trunk {trunk} did not complete" if known else _no_trunk(trunk))

    def _recalled(self, queue: Queue) -> Queue:
        """The queue, and what Slurm's accounting says of the ends that it has forgotten: the launcher was away for a while."""
        out = ((run, self._standing.where[run][-1]) for run in self._standing.submitted())
        lost = [
            place for run, place in out
            if place not in queue.tasks and run not in self._standing.again and self._places.outcome(run) is None
        ]  # fmt: skip
        if not lost:
            return queue
        found = scheduler.remembered({name: self._book.jobs[name] for name, _ in lost})
        known = {place: found[place] for place in lost if place in found and found[place].state in ENDED}
        return replace(queue, tasks={**queue.tasks, **known})

    @property
    def in_doubt(self) -> bool:
        """Whether a run's task is gone and its outcome may still be on its way."""
        return bool(self._since)

    def _judge_run(self, run: str, queue: Queue) -> None:
        """What became of a run that was submitted in this round: nothing yet, its end, or another attempt."""
        places = self._standing.where[run]
        tasks = [queue.tasks.get(place) for place in places]
        if run in self._standing.again or any(active(task) for task in tasks):
            self._since.pop(run, None)
            return
        outcome = self._places.outcome(run)
        if outcome is not None and (outcome.status is not Ending.FAILED or run in self._book.given_up):
            self._since.pop(run, None)
            self._standing.end(outcome)
            return
        name, index = places[-1]
        started = self._book.output(name, index).exists()
        how = ended(tasks[-1], outcome, known=name in queue.jobs, started=started)
        if not how.sure and self._waited(run) < self._settings.grace:
            return
        self._since.pop(run, None)
        self._retry(run, how)

    def _waited(self, run: str) -> float:
        """Seconds since a run was first seen as it is now."""
        since = self._since.setdefault(run, time.monotonic())
        return time.monotonic() - since

    def _retry(self, run: str, how: Ended) -> None:
        """Submit the run once more, or give it up when that was done often enough."""
        if how.kind in (OUT_OF_TIME, PREEMPTED) and self._got_further(run):
            self._standing.again[run] = CONTINUED
            return
        reason = self._in_words(run, how)
        if how.kind != BY_HAND:
            kind = PREEMPTED if how.kind == PREEMPTED else FAILED
            most = self._settings.preemptions if kind == PREEMPTED else self._settings.attempts
            times = self._standing.causes[run].count(kind) + 1
            if times < most:
                self._standing.again[run] = kind
                return
            if times > 1:
                reason = f"{'failed' if kind == FAILED else 'lost its place'} {times} times: {reason}"
        outcome = Outcome(run, Ending.FAILED, reason=reason)
        self.write(outcome)
        self._book.give_up(run)
        close_log(self._places, outcome)
        self._standing.end(outcome)

    def _got_further(self, run: str) -> bool:
        """Whether the planner's own trainer has a checkpoint of more steps than when the run was submitted."""
        name, index = self._standing.where[run][-1]
        return self._places.saved_steps(run) > self._book.submissions[name].entries[index].saved_steps

    def write(self, outcome: Outcome) -> None:
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
        """How a task ended, with the last thing that it printed where that says more; slurmstepd only says that it killed it."""
        if how.kind == OUT_OF_TIME and self._settings.scripts is None:
            return f"{how.why} without a new checkpoint"
        name, index = self._standing.where[run][-1]
        words = last_words(self._book.output(name, index)).removeprefix("planner: ")
        if how.kind == BY_HAND or not words or words in how.why or words.startswith((f"{run}:", "slurmstepd")):
            return how.why
        return words if how.why == "failed" else f"{how.why}: {words}"


def _no_trunk(trunk: str) -> str:
    return f"its trunk {trunk} is not in the plan and was not trained here"
