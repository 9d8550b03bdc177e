"""From fractions to whole runs: floors, the rest where it tells most, then exchanges of a few runs at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from planner.laws.centre import Array
from planner.sweep.design.polytope import Polytope
from planner.sweep.design.problem import Problem

CHUNK = 0.03  # of what is left of the budget may go to one cell at a time
EXCHANGED = 400  # copies, beyond which a run more or less does not matter
TRIES, TAKEN = 250, 4  # exchanges looked at, and the most copies taken away in one
TRIES_SHARED = 40  # the same where branches share noise: each costs tens of milliseconds
LIKELY = 8  # of the best bundles, one of which may be first in an exchange
SPENT = 0.998  # of the budget: what is left then is not worth more runs


def rounded(problem: Problem, copies: Array, room: Polytope) -> Array:
    """Whole copies `(n,)` within the polytope near `copies`: floors, and what is left where it tells most."""
    return filled(problem, np.maximum(np.floor(copies * (1 + 1e-9)), room.lower), room)


def exchanged(
    problem: Problem, whole: Array, room: Polytope, holds: Callable[[Array], bool], error: Callable[[Array], float]
) -> Array:
    """Whole copies of less `error` for which `holds` is true, by exchanges by chance from a fixed seed.

    An exchange takes a few copies away, adds one of the likeliest, and spends the rest greedily; better ones are kept.
    """
    if whole.sum() > EXCHANGED:
        return whole
    chance = np.random.default_rng(0)
    least = error(whole)
    for _ in range(TRIES if problem.separate else TRIES_SHARED):
        rival = _exchange(problem, whole, room, chance)
        found = error(rival)
        if found < least * (1 - 1e-9) and holds(rival):
            whole, least = rival, found
    return whole


def filled(problem: Problem, whole: Array, room: Polytope) -> Array:
    """What is left of every row spent on the copies that lower the variance most for what they use."""
    whole = np.array(whole, float)
    while (can := _can(whole, room)).any():
        gain = problem.at(whole).step() / _use(whole, room)
        best = int(np.argmax(np.where(can, gain, -np.inf)))
        left = room.bounds - room.rows @ whole
        fits = float((left / np.maximum(room.rows[:, best], 1e-300)).min())
        whole[best] += min(1 + int(CHUNK * fits), room.upper[best] - whole[best])
    return whole


def _can(whole: Array, room: Polytope) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which bundles can have one copy more; none when the budget is as good as spent."""
    left = room.bounds - room.rows @ whole
    if left[0] < (1 - SPENT) * room.bounds[0]:
        return np.zeros(whole.size, bool)
    return np.asarray((whole + 1 <= room.upper) & (room.rows <= left[:, None] * (1 + 1e-12)).all(0))


def _use(whole: Array, room: Polytope) -> Array:
    """How much of what is left of all rows one copy uses, `(n,)`."""
    left = np.maximum(room.bounds - room.rows @ whole, 1e-300)
    return np.asarray((room.rows / left[:, None]).sum(0))


def _exchange(problem: Problem, whole: Array, room: Polytope, chance: np.random.Generator) -> Array:
    rival = whole.copy()
    for _ in range(chance.integers(1, TAKEN + 1)):
        spare = np.flatnonzero(rival > room.lower)
        if spare.size:
            rival[chance.choice(spare)] -= 1
    can = np.flatnonzero(_can(rival, room))
    if can.size and chance.random() < 0.5:
        gain = (problem.at(rival).step() / _use(rival, room))[can]
        rival[can[np.argsort(-gain)[chance.integers(min(LIKELY, can.size))]]] += 1
    return filled(problem, rival, room)
