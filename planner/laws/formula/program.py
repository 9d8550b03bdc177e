"""The order in which a graph's nodes are computed, and computing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from planner.laws.centre import Array
from planner.laws.formula.graph import OPERATIONS, Graph

Register = Array | float


class Step(NamedTuple):
    """Register `out` = function of one or two registers (`b` is -1 for one)."""

    out: int
    function: Callable[..., Array]
    a: int
    b: int


def run(program: Iterable[Step], registers: list[Register]) -> None:
    """Carry out the steps."""
    for out, function, a, b in program:
        registers[out] = function(registers[a]) if b < 0 else function(registers[a], registers[b])


def program(graph: Graph, wanted: Iterable[int], done: set[int]) -> list[Step]:
    """The operations on theta that the wanted nodes need, in order."""
    needed: set[int] = set()
    waiting = list(wanted)
    while waiting:
        place = waiting.pop()
        if place in needed or place in done or graph.fixed[place] or graph.nodes[place].op in ("atom", "term"):
            continue
        needed.add(place)
        waiting += graph.nodes[place].args
    steps = []
    for place in sorted(needed):
        op, args, value = graph.nodes[place]
        steps.append(Step(place, function_of(op, value), args[0], args[1] if len(args) > 1 else -1))
    return steps


def function_of(op: str, value: float) -> Callable[..., Array]:
    """What computes an operation; `value` is the exponent of a power."""
    if op != "power":
        found: Callable[..., Array] = OPERATIONS[op]
        return found
    special: dict[float, Callable[..., Array]] = {-1.0: np.reciprocal, 2.0: np.square, 0.5: np.sqrt}
    return special.get(value, lambda base: base**value)
