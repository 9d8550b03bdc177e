"""When each run starts and ends, how well the pool is used, and how far that is from the best possible."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from planner.laws.centre import Array
from planner.sweep.schedule.bounds import lower_bound
from planner.sweep.schedule.jobs import Jobs, Pool
from planner.sweep.schedule.packing import Packer, Rule


@dataclass(frozen=True)
class Timetable:
    """Hours from the start of the first run: `start` `(n,)` of each run, and what no schedule can go below."""

    jobs: Jobs
    pool: Pool
    start: Array
    lower_bound: float

    @property
    def end(self) -> Array:
        """Hour at which each run ends `(n,)`."""
        return self.start + self.jobs.hours

    @property
    def makespan(self) -> float:
        """Hour at which the last run ends."""
        return float(self.end.max())

    @property
    def gap(self) -> float:
        """How much longer than the lower bound, as a share of it; rounding never makes it negative."""
        return max(0.0, self.makespan / self.lower_bound - 1)

    @property
    def idle_share(self) -> float:
        """Share of the pool's node-hours until the end that no run uses."""
        return 1 - float(self.jobs.hours @ self.jobs.nodes) / (self.pool.nodes * self.makespan)

    @cached_property
    def usage(self) -> tuple[Array, Array]:
        """Hours at which the number of nodes in use changes `(k,)`, and that number from there on `(k,)`."""
        times = np.concatenate([self.start, self.end])
        change = np.concatenate([self.jobs.nodes, -self.jobs.nodes])
        at, place = np.unique(times, return_inverse=True)
        return at, np.cumsum(np.bincount(place, weights=change, minlength=at.size))


def schedule(jobs: Jobs, pool: Pool, *, rule: Rule = Rule.RESERVE) -> Timetable:
    """Pack the jobs into the pool by list scheduling; raises InputError for a run wider than the pool."""
    start = Packer(jobs, pool, rule).starts()
    return Timetable(jobs, pool, start, lower_bound(jobs, pool))
