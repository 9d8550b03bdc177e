"""Which candidates, each once at most: fractions with a certificate, whole runs, exchanges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from planner.laws.centre import Array
from planner.sweep.design.polytope import Polytope
from planner.sweep.design.problem import Problem
from planner.sweep.design.rounding import SPENT
from planner.sweep.design.shares import relaxed

SOLVED, ROUNDS = 250, 6  # candidates whose fractions are solved for at once, and how often others are let in
NEAR = 0.03  # relative distance of the fractions from their bound at which no others are
OFFSETS = 6  # ways in which the fractions are rounded
EXCHANGED = 40  # chosen runs, the dearest, and others, the most telling, that are tried
PASSES = 2
GIVEN_UP = 6  # runs at most for one other
TOGETHER = 0.03  # of the runs chosen so far are added at once
BETTER = 1e-6  # relative fall of the variance for which runs are exchanged


def picked(problem: Problem, room: Polytope, *, seed: int = 0) -> tuple[Array, float]:
    """Copies `(n,)` of 0 or 1 within `room`, and a lower bound on the variance of any choice.

    The fractions' optimum and a greedy choice are rounded and filled up, the best is improved by taking runs out or in, one at a
    time in an order by `seed`. The bound is that of the general equivalence theorem, over all candidates.
    """
    greedy = filled(problem, room.lower, room)
    if (greedy >= room.upper).all():
        return greedy, problem.at(greedy).variance
    fractions, bound = _fractions(problem, room, greedy)
    offsets = (np.arange(OFFSETS) + 0.5) / OFFSETS
    tried = [greedy, *(filled(problem, _rounded(fractions, room, offset), room) for offset in offsets)]
    best = min(tried, key=lambda copies: problem.at(copies).variance)
    return _exchanged(problem, room, best, np.random.default_rng(seed)), bound


def _fractions(problem: Problem, room: Polytope, greedy: Array) -> tuple[Array, float]:
    """Nearly best fractions of runs, and a lower bound on the variance of any; zero where none is found.

    A large pool is solved for its most telling candidates, those that would do better than they are let in, and so on.
    """
    best, bound = greedy, _bound(problem, room, greedy)
    among = np.zeros(greedy.size, bool)
    for _ in range(ROUNDS):
        fall = problem.at(best).fall
        telling = np.argsort(-np.where(room.upper > 0, fall / room.rows[0], -1.0), kind="stable")[:SOLVED]
        among[telling] = True
        among = (among & (room.upper > 0)) | (best > 0)
        part = replace(room, rows=room.rows[:, among], lower=room.lower[among], upper=room.upper[among])
        try:
            found = relaxed(replace(problem, bundles=problem.bundles.at(among)), part)
        except np.linalg.LinAlgError:  # letters of which nothing is known, beyond what floating point holds
            break
        best = np.zeros(greedy.size)
        best[among] = found.copies
        if among.sum() == (room.upper > 0).sum():
            return best, max(bound, found.bound)
        bound = max(bound, _bound(problem, room, best))
        if problem.at(best).variance <= bound * (1 + NEAR):
            break
    return best, bound


def _bound(problem: Problem, room: Polytope, copies: Array) -> float:
    """No allowed choice lies below this: the variance is convex in the copies."""
    state = problem.at(copies)
    return max(state.variance - (room.most(state.fall) - float(state.fall @ copies)), 0.0)


def _rounded(fractions: Array, room: Polytope, offset: float) -> Array:
    """Whole runs near the fractions, as far as they fit: systematic sampling along the cost, so that neighbours share a run."""
    order = np.argsort(room.rows[0], kind="stable")
    passed = np.floor(np.cumsum(fractions[order]) + offset)
    taken = order[np.diff(passed, prepend=np.floor(offset)) > 0]
    whole, left = room.lower.copy(), room.bounds - room.rows @ room.lower
    for one in taken[np.argsort(-fractions[taken], kind="stable")]:
        if whole[one] < room.upper[one] and (room.rows[:, one] <= left * (1 + 1e-12)).all():
            whole[one] = 1.0
            left = left - room.rows[:, one]
    return whole


def _exchanged(problem: Problem, room: Polytope, copies: Array, chance: np.random.Generator) -> Array:
    """Better by taking the dearest runs out, or the most telling others in, one at a time, and spending what is left."""
    variance = problem.at(copies).variance
    for _ in range(PASSES if copies.sum() <= EXCHANGED else 1):
        before = variance
        out = np.flatnonzero(copies > room.lower)
        out = out[np.argsort(-room.rows[0][out], kind="stable")][:EXCHANGED]
        into = np.argsort(-np.where(room.upper > copies, problem.at(copies).step(), -np.inf), kind="stable")[:EXCHANGED]
        for one in chance.permutation(np.unique(np.append(out, into[room.upper[into] > copies[into]]))):
            move = _without if copies[one] > 0 else _with
            rival = move(problem, room, copies, int(one))
            found = problem.at(rival).variance
            if found < variance * (1 - BETTER):
                copies, variance = rival, found
        if variance == before:
            break
    return copies


def _without(problem: Problem, room: Polytope, copies: Array, one: int) -> Array:
    """The choice with another run, or others, in the place of one."""
    rival, upper = copies.copy(), room.upper.copy()
    rival[one], upper[one] = 0.0, 0.0
    return filled(problem, rival, replace(room, upper=upper))


def _with(problem: Problem, room: Polytope, copies: Array, one: int) -> Array:
    """The choice with one run more, in the place of those that tell least for what they use."""
    rival = copies.copy()
    rival[one] = 1.0
    for _ in range(GIVEN_UP + 1):
        over = room.rows @ rival > room.bounds * (1 + 1e-12)
        if not over.any():
            return filled(problem, rival, room)
        spare = (rival > room.lower) & (np.arange(rival.size) != one)
        if not spare.any():
            break
        worth = problem.at(rival).step(-1) / room.rows[int(np.argmax(over))]
        rival[int(np.argmin(np.where(spare, worth, np.inf)))] = 0.0
    return copies


def filled(problem: Problem, whole: Array, room: Polytope) -> Array:
    """What is left spent on the candidates that lower the variance most for what they use."""
    whole = np.array(whole, float)
    while True:
        left = room.bounds - room.rows @ whole
        can = (whole < room.upper) & (room.rows <= left[:, None] * (1 + 1e-12)).all(0)
        if left[0] < (1 - SPENT) * room.bounds[0] or not can.any():
            return whole
        use = (room.rows / np.maximum(left, 1e-300)[:, None]).sum(0)
        gain = np.where(can, problem.at(whole).step() / use, -np.inf)
        some = np.argsort(-gain, kind="stable")[: 1 + int(TOGETHER * whole.sum())]
        for one in some[can[some]]:
            if (room.rows[:, one] <= left * (1 + 1e-12)).all():
                whole[one] = 1.0
                left = left - room.rows[:, one]


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
