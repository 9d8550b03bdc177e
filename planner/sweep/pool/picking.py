"""Which candidates, each once at most: fractions with a certificate, whole runs, exchanges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from planner.laws.centre import Array
from planner.sweep.design.polytope import Polytope
from planner.sweep.design.problem import Problem
from planner.sweep.design.rounding import filled
from planner.sweep.design.shares import relaxed

SOLVED = 250  # candidates whose fractions are solved for; of a larger pool the most telling ones
EXCHANGED = 60  # chosen runs, beyond which one more or less hardly matters
PASSES = 2
BETTER = 1e-6  # relative fall of the variance for which runs are exchanged


def picked(problem: Problem, room: Polytope, *, seed: int = 0) -> tuple[Array, float]:
    """Copies `(n,)` of 0 or 1 within `room`, and a lower bound on the variance of any choice.

    The fractions' optimum and a greedy choice are rounded and filled up, the better one is improved by taking each run out in
    turn (in an order by `seed`) and spending what it cost again. The bound is that of the general equivalence theorem, over all
    candidates.
    """
    greedy = filled(problem, room.lower, room)
    if (greedy >= room.upper).all():
        return greedy, problem.at(greedy).variance
    fractions, bound = _fractions(problem, room, greedy)
    rounded = filled(problem, _likely(fractions, room), room)
    best = min((rounded, greedy), key=lambda copies: problem.at(copies).variance)
    return _exchanged(problem, room, best, np.random.default_rng(seed)), bound


def _fractions(problem: Problem, room: Polytope, greedy: Array) -> tuple[Array, float]:
    """Nearly best fractions of runs, and the bound that they prove."""
    among = np.flatnonzero(room.upper > 0)
    if among.size > SOLVED:
        told = problem.at(greedy).step() / problem.bundles.cost
        among = np.sort(among[np.argsort(-(told + np.where(greedy > 0, told.max(), 0.0))[among])[:SOLVED]])
    mask = np.zeros(greedy.size, bool)
    mask[among] = True
    part = replace(
        room, rows=room.rows[:, mask], lower=room.lower[mask], upper=room.upper[mask]
    )  # fmt: skip
    found = relaxed(replace(problem, bundles=problem.bundles.at(mask)), part)
    fractions = np.zeros(greedy.size)
    fractions[mask] = found.copies
    if mask.sum() == (room.upper > 0).sum():
        return fractions, found.bound
    state = problem.at(fractions)
    return fractions, max(state.variance - (room.most(state.fall) - float(state.fall @ fractions)), 0.0)


def _likely(fractions: Array, room: Polytope) -> Array:
    """Whole runs where the fractions are above a half, the surest first, as far as they fit."""
    whole = room.lower.copy()
    left = room.bounds - room.rows @ whole
    for one in np.argsort(-fractions, kind="stable"):
        if fractions[one] < 0.5:
            break
        if whole[one] < 1 and (room.rows[:, one] <= left * (1 + 1e-12)).all():
            whole[one] = 1.0
            left = left - room.rows[:, one]
    return whole


def _exchanged(problem: Problem, room: Polytope, copies: Array, chance: np.random.Generator) -> Array:
    if not 1 <= copies.sum() <= EXCHANGED:
        return copies
    variance = problem.at(copies).variance
    for _ in range(PASSES):
        before = variance
        for one in chance.permutation(np.flatnonzero(copies > room.lower)):
            rival = _without(problem, room, copies, int(one))
            found = problem.at(rival).variance
            if found < variance * (1 - BETTER):
                copies, variance = rival, found
        if variance == before:
            break
    return copies


def _without(problem: Problem, room: Polytope, copies: Array, one: int) -> Array:
    """The choice with another run, or others, in the place of one."""
    if copies[one] == 0:
        return copies
    rival, upper = copies.copy(), room.upper.copy()
    rival[one], upper[one] = 0.0, 0.0
    return filled(problem, rival, replace(room, upper=upper))


def in_order(problem: Problem, copies: Array) -> NDArray[np.intp]:
    """The chosen runs, each the one that takes most off the variance for its cost after those before it."""
    left, whole = set(map(int, np.flatnonzero(copies > 0))), np.zeros(copies.size)
    order = []
    while left:
        worth = problem.at(whole).step() / problem.bundles.cost
        best = max(left, key=lambda one: worth[one])
        order.append(best)
        left.remove(best)
        whole[best] = 1.0
    return np.array(order, np.intp)
