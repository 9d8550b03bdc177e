"""What is to be scheduled: runs of fixed size on whole nodes, the order they must keep, and the pool they share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from planner.errors import InputError
from planner.laws.centre import Array
from planner.text import short

Index = np.ndarray[tuple[int, ...], np.dtype[np.intp]]


@dataclass(frozen=True)
class Gate:
    """Runs that must all have ended `before` any run `after` may start (indices); a trunk is a gate of one run."""

    before: Index
    after: Index
    name: str


@dataclass(frozen=True)
class Pool:
    """Whole nodes at hand and, where it is set, how many runs may be under way at once."""

    nodes: int
    runs_at_once: int | None = None

    def __post_init__(self) -> None:
        """Raise InputError for a pool that could run nothing."""
        for name, value in (("nodes", self.nodes), ("runs at once", self.runs_at_once)):
            if value is not None and value < 1:
                raise InputError(f"{value} {name}: nothing can run", "give one or more")


@dataclass(frozen=True)
class Jobs:
    """Runs to schedule: hours of wall-clock `(n,)`, nodes `(n,)`, priority `(n,)` (the lowest number first), gates.

    Raises InputError for no runs, hours or nodes that are not positive, and gates that wait for each other.
    """

    names: tuple[str, ...]
    hours: Array
    nodes: Index
    priority: Index
    gates: tuple[Gate, ...] = ()

    def __post_init__(self) -> None:
        """Check every run and that the gates can be passed one after the other."""
        if not self.names:
            raise InputError("there is no run to schedule", "give a plan with runs that have not ended")
        for name, hours, nodes in zip(self.names, self.hours, self.nodes, strict=True):
            if not 0 < hours < np.inf:
                raise InputError(f"run {short(name)} takes {hours:g} hours", "give hours above zero")
            if nodes < 1:
                raise InputError(f"run {short(name)} takes {nodes} nodes", "give one or more")
        _ = self.gates_in_order

    def __len__(self) -> int:
        """How many runs there are."""
        return len(self.names)

    def scaled(self, factor: float) -> Jobs:
        """The same runs, each `factor` times as long."""
        return replace(self, hours=self.hours * factor)

    def only(self, kept: Index) -> Jobs:
        """Some of the runs; a gate stays as it is among them."""
        place = np.full(len(self), -1)
        place[kept] = np.arange(kept.size)
        gates = []
        for gate in self.gates:
            before, after = (np.asarray(found[found >= 0]) for found in (place[gate.before], place[gate.after]))
            if before.size and after.size:
                gates.append(Gate(before, after, gate.name))
        names = tuple(self.names[index] for index in kept)
        return Jobs(names, self.hours[kept], self.nodes[kept], self.priority[kept], tuple(gates))

    @cached_property
    def gates_in_order(self) -> tuple[Gate, ...]:
        """Gates, each after those that its own runs wait for (Kahn 1962)."""
        waits, opens = self.links
        left = [gate.before.size for gate in self.gates]
        free = [job for job, number in enumerate(waits) if number == 0]
        found: list[Gate] = []
        while free:
            for index in opens[free.pop()]:
                left[index] -= 1
                if left[index] == 0:
                    gate = self.gates[index]
                    found.append(gate)
                    for job in gate.after.tolist():
                        waits[job] -= 1
                        if waits[job] == 0:
                            free.append(job)
        if len(found) < len(self.gates):
            names = ", ".join(_circle([gate for gate, number in zip(self.gates, left, strict=True) if number]))
            raise InputError(f"runs wait for each other in a circle: {names}", "mend trunk_id or the stages there")
        return tuple(found)

    @property
    def links(self) -> tuple[list[int], list[list[int]]]:
        """Of every run: how many gates it waits for, and the gates that it opens."""
        waits = np.zeros(len(self), int)
        opens: list[list[int]] = [[] for _ in self.names]
        for index, gate in enumerate(self.gates):
            waits[gate.after] += 1
            for job in gate.before.tolist():
                opens[job].append(index)
        return waits.tolist(), opens

    @cached_property
    def earliest(self) -> Array:
        """Hours before which each run cannot start, however many nodes there are `(n,)`."""
        start = np.zeros(len(self))
        for gate in self.gates_in_order:
            opened = float((start[gate.before] + self.hours[gate.before]).max())
            start[gate.after] = np.maximum(start[gate.after], opened)
        return start

    @cached_property
    def remaining(self) -> Array:
        """Hours from each run's start to the end of the longest chain of runs that wait for it, its own included `(n,)`."""
        path = self.hours.copy()
        for gate in reversed(self.gates_in_order):
            longest = float(path[gate.after].max())
            path[gate.before] = np.maximum(path[gate.before], self.hours[gate.before] + longest)
        return path

    @cached_property
    def urgency(self) -> Index:
        """Priority of each run, or of a more urgent run that waits for it `(n,)`."""
        urgency = self.priority.copy()
        for gate in reversed(self.gates_in_order):
            urgency[gate.before] = np.minimum(urgency[gate.before], urgency[gate.after].min())
        return urgency

    @cached_property
    def order(self) -> Index:
        """The list: by urgency, then the longest chain first, then the widest; of independent runs the longest first."""
        return np.lexsort((np.arange(len(self)), -self.nodes, -self.remaining, self.urgency))


def _circle(stuck: list[Gate]) -> list[str]:
    """Names of gates that wait for each other, of gates that never open: back from any of them until one comes again."""
    held_by = {job: index for index, gate in enumerate(stuck) for job in gate.after.tolist()}
    passed: dict[int, None] = {}  # in order
    at = 0
    while at not in passed:
        passed[at] = None
        at = next(held_by[job] for job in stuck[at].before.tolist() if job in held_by)
    path = list(passed)
    return [stuck[index].name for index in reversed(path[path.index(at) :])]
