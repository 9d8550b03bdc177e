"""Where the runs of a launch stand: which are open, which tasks each has had and why, how the others ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from planner.lab.launch import Launched, Order, trunk_of, urgency
from planner.lab.local.places import Ending, Outcome
from planner.lab.slurm.book import FIRST, Book, Submission
from planner.lab.slurm.judging import active
from planner.lab.slurm.scheduler import Queue
from planner.lab.slurm.settings import Progress


class Standing:
    """The runs that `order` asks for, as one launcher knows them; `book` says what was submitted before."""

    def __init__(self, order: Order, book: Book) -> None:
        self.rows: dict[str, Mapping[str, Any]] = {str(row["run_id"]): row for row in order.rows}
        self.open = dict.fromkeys(self.rows)  # neither ended nor skipped
        self.completed = set(order.completed)
        self.launched = Launched(skipped=dict(order.skipped), left=order.left)
        self.where: dict[str, list[tuple[str, int]]] = {}  # the tasks of each run, over all rounds
        self.causes: dict[str, list[str]] = {}  # why each run was submitted, in this round
        self.again: dict[str, str] = {}  # runs to submit again, and why
        urgent = urgency(order.rows)
        self._urgent = sorted(self.rows, key=lambda run: urgent[run])
        self._round = book.round
        for submission in book.submissions.values():
            self.note(submission)

    def note(self, submission: Submission) -> None:
        """An array is submitted, or was before: its runs have a task more."""
        for index, entry in enumerate(submission.entries):
            self.where.setdefault(entry.run_id, []).append((submission.name, index))
            self.again.pop(entry.run_id, None)
            if submission.round == self._round:
                self.causes.setdefault(entry.run_id, []).append(entry.because)

    def forget(self, submission: Submission) -> None:
        """A submission that was never made: its runs are to be submitted as they were."""
        for entry in submission.entries:
            self.where[entry.run_id] = [one for one in self.where[entry.run_id] if one[0] != submission.name]
            if submission.round == self._round:
                self.causes[entry.run_id].pop()
                if entry.because != FIRST and entry.run_id in self.open:
                    self.again[entry.run_id] = entry.because

    def end(self, outcome: Outcome) -> None:
        """A run has ended, for this launch."""
        self.launched.outcomes[outcome.run_id] = outcome
        self._close(outcome.run_id)
        if outcome.status is Ending.COMPLETED:
            self.completed.add(outcome.run_id)

    def skip(self, run: str, why: str) -> None:
        """A run will not be trained by this launch."""
        self.launched.skipped[run] = why
        self._close(run)

    def _close(self, run: str) -> None:
        self.open.pop(run, None)
        self.again.pop(run, None)

    def trunk(self, run: str) -> str:
        """The run that this one branches from, or nothing."""
        return trunk_of(self.rows[run])

    def ready(self, waits: Callable[[str], bool]) -> list[str]:
        """Runs that can be submitted now, the most urgent first; `waits` says who lies behind a gate."""
        return [
            run for run in self._urgent
            if run in self.open and (not self.causes.get(run) or run in self.again)
            and (not self.trunk(run) or self.trunk(run) in self.completed) and not waits(run)
        ]  # fmt: skip

    def submitted(self) -> list[str]:
        """Open runs that were submitted in this round."""
        return [run for run in self.open if self.causes.get(run)]

    def progress(self, queue: Queue, note: str) -> Progress:
        """In numbers. Arrays of the queue that we know nothing of are not counted."""
        ours = {name for places in self.where.values() for name, _ in places}
        tasks = [task for (name, _), task in queue.tasks.items() if active(task) and name in ours]
        waiting = [task for task in tasks if task.state == "PENDING"]
        reasons = Counter(task.reason for task in waiting).most_common(1)
        again = sum(cause != FIRST for causes in self.causes.values() for cause in causes)
        running = len(tasks) - len(waiting)
        out = sum(run not in self.again for run in self.submitted())
        return Progress(
            len(self.rows), len(self.rows) - len(self.open), running, max(0, out - running),
            reasons[0][0] if reasons else "", len(self.open) - out, again, note,
        )  # fmt: skip
