"""List scheduling: whenever nodes come free, the first waiting run on the list that may take them starts."""

from __future__ import annotations

import math
from enum import StrEnum
from heapq import heappop, heappush

import numpy as np

from planner.errors import InputError
from planner.laws.centre import Array
from planner.sweep.schedule.jobs import Jobs, Pool
from planner.sweep.schedule.waiting import Waiting
from planner.text import short


class Rule(StrEnum):
    """Which runs may overtake the first one waiting when it needs more nodes than are free.

    - `list`: any that fits: no node idles while a waiting run would fit. Independent runs, without a limit on runs at once,
      end within twice the best possible (Garey and Graham 1975, doi 10.1137/0204015: one resource). Wide runs may wait long.
    - `reserve`: any that fits and does not delay it: its nodes are reserved for the earliest time at which they are free
      (EASY backfilling: Lifka 1995, doi 10.1007/3-540-60153-8_35; as Slurm's). No such bound.
    """

    LIST = "list"
    RESERVE = "reserve"


class Packer:
    """Packs the same runs into the same pool as often as wanted, each time with the hours they then take."""

    def __init__(self, jobs: Jobs, pool: Pool, rule: Rule = Rule.RESERVE) -> None:
        """Raise InputError for a run that is wider than the pool."""
        widest = int(np.argmax(jobs.nodes))
        if jobs.nodes[widest] > pool.nodes:
            raise InputError(
                f"run {short(jobs.names[widest])} needs {jobs.nodes[widest]} nodes and there are {pool.nodes}",
                "give more chips with --count, or leave such runs out with --where",
            )
        self.jobs, self.pool, self.rule = jobs, pool, rule
        self._nodes: list[int] = jobs.nodes[jobs.order].tolist()
        place = np.empty(len(jobs), int)
        place[jobs.order] = np.arange(len(jobs))
        waits, opens = jobs.links
        self._waits = [waits[job] for job in jobs.order]
        self._opens = [opens[job] for job in jobs.order]
        self._after: list[list[int]] = [place[gate.after].tolist() for gate in jobs.gates]

    def starts(self, hours: Array | None = None, *, until: float = math.inf) -> Array:
        """Hour at which each run starts `(n,)`; infinite for a run that could not end by `until`, which never starts.

        `hours` `(n,)` are what runs really take; the list stays that of the hours expected.
        """
        order = self.jobs.order
        taken = (self.jobs.hours if hours is None else hours)[order].tolist()
        start = np.empty(len(self.jobs))
        start[order] = self._pack(taken, until)
        return start

    def _pack(self, hours: list[float], until: float) -> list[float]:
        """Start of each run, runs numbered by their place on the list, as `hours` are."""
        start = [math.inf] * len(hours)
        waits, left = list(self._waits), [gate.before.size for gate in self.jobs.gates]
        waiting = Waiting(self._nodes, hours, [run for run, number in enumerate(waits) if number == 0])
        floor = _Floor(self.pool, waiting, self.rule is Rule.RESERVE, until)
        while True:
            for run in floor.starting():
                start[run] = floor.now
            ended = floor.next_ended()
            if not ended:
                return start
            for run in ended:
                for gate in self._opens[run]:
                    left[gate] -= 1
                    for opened in self._after[gate] if left[gate] == 0 else ():
                        waits[opened] -= 1
                        if waits[opened] == 0:
                            floor.waiting.add(opened)


class _Floor:
    """The nodes at one time: what is free, what is under way, what waits."""

    def __init__(self, pool: Pool, waiting: Waiting, reserve: bool, until: float) -> None:
        self.waiting, self.reserve, self.until = waiting, reserve, until
        self.free, self.slots = pool.nodes, pool.runs_at_once or len(waiting.hours)
        self.now = 0.0
        self.running: list[tuple[float, int]] = []
        self.held = -1  # the run that nodes are reserved for, from `held_from` on, when `spare` nodes more are free
        self.held_from, self.spare = math.inf, 0

    def starting(self) -> list[int]:
        """The runs that start now, taken off the waiting ones."""
        started = []
        while self.free and self.slots and (run := self._next()) >= 0:
            end = self.now + self.waiting.hours[run]
            self.waiting.remove(run)
            if end > self.until:
                continue
            started.append(run)
            self.free -= self.waiting.nodes[run]
            self.slots -= 1
            heappush(self.running, (end, run))
        return started

    def next_ended(self) -> list[int]:
        """Goes to the next end of a run; those that end there, none when nothing is under way."""
        ended: list[int] = []
        while self.running and (not ended or self.running[0][0] == self.now):
            self.now, run = heappop(self.running)
            self.free += self.waiting.nodes[run]
            self.slots += 1
            ended.append(run)
        return ended

    def _next(self) -> int:
        """The run to start, or -1."""
        if not self.reserve:
            return self.waiting.first_within(self.free)
        first = self.waiting.first()
        if first < 0 or self.waiting.nodes[first] <= self.free:
            return first
        if first != self.held:
            self._hold(first)
        run = self.waiting.first_beside(self.free, self.spare, self.held_from - self.now)
        if run >= 0 and self.now + self.waiting.hours[run] > self.held_from:
            self.spare -= self.waiting.nodes[run]
        return run

    def _hold(self, run: int) -> None:
        """Reserve nodes for a run at the first time when there will be enough."""
        free = self.free
        for end, other in sorted(self.running):
            if free >= self.waiting.nodes[run] and end > self.held_from:
                break
            free += self.waiting.nodes[other]
            self.held_from = end
        self.held, self.spare = run, free - self.waiting.nodes[run]
