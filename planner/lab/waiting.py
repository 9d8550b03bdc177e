"""Which run is next: by priority, a trunk before its branches, each once."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

RETRY_SECONDS = 0.5  # until a run that another launcher trains is asked for again


@dataclass(frozen=True)
class Planned:
    """A run that waits: its id, its trunk's ("" without), its priority (1 first), its place in the plan."""

    run_id: str
    trunk_id: str
    priority: float
    place: int


class Waiting:
    """The runs that have not ended, handed out to many threads.

    A branch is ready when its trunk has completed. Whoever takes a run says what became of it: `ended`, or `again`.
    """

    def __init__(self, runs: Iterable[Planned], completed: Iterable[str]) -> None:
        """`completed` are trunks that are done already."""
        runs, self._completed = list(runs), set(completed)
        self._changed = threading.Condition()
        self._branches: dict[str, list[Planned]] = {}
        self._ready: list[tuple[float, int, Planned]] = []
        self._later: list[tuple[float, int, Planned]] = []
        self._taken, self._stopped = 0, False
        self.hopeless: dict[str, str] = {}  # run: why it cannot be started
        ids = {run.run_id for run in runs}
        for run in runs:
            if not run.trunk_id or run.trunk_id in self._completed:
                self._push(run)
            elif run.trunk_id in ids:
                self._branches.setdefault(run.trunk_id, []).append(run)
            else:
                self.hopeless[run.run_id] = f"its trunk {run.trunk_id} is not in the plan and was not trained here"

    def take(self) -> Planned | None:
        """The next run, waiting for one if need be; None when there will be none."""
        with self._changed:
            while True:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    self._push(heapq.heappop(self._later)[2])
                if self._stopped:
                    return None
                if self._ready:
                    self._taken += 1
                    return heapq.heappop(self._ready)[2]
                if not self._taken and not self._later:
                    return None
                self._changed.wait(self._later[0][0] - now if self._later else None)

    def ended(self, run: Planned, *, completed: bool) -> None:
        """A run that was taken has ended; its branches start, or never will."""
        with self._changed:
            self._taken -= 1
            for branch in self._branches.pop(run.run_id, ()):
                if completed:
                    self._push(branch)
                else:
                    self.hopeless[branch.run_id] = f"its trunk {run.run_id} did not complete"
            self._changed.notify_all()

    def again(self, run: Planned, *, after: float = 0.0) -> None:
        """A run that was taken has not ended: it is to be handed out again."""
        with self._changed:
            self._taken -= 1
            heapq.heappush(self._later, (time.monotonic() + after, run.place, run))
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand out no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _push(self, run: Planned) -> None:
        heapq.heappush(self._ready, (run.priority, run.place, run))
