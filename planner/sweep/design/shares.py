"""The best fractions of runs: multiplicative updates to come near, Newton's method with a barrier to be sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from planner.laws.centre import Array
from planner.sweep.design.polytope import Polytope
from planner.sweep.design.problem import Problem, State

CERTIFICATE = 0.01  # relative gap at which shares count as optimal
RATE, WARM = 0.6, 10  # power and number of the multiplicative updates
SHRINK = 0.12  # of the barrier's weight once its centre is near
NEAR = 2.0  # squared Newton decrement, in barrier weights, at which a centre is near
LIMIT, HALVINGS = 150, 30  # Newton steps, and halvings of one
FULL = 1e-9  # of a row's bound: with less left of it, none of its bundles can vary
INSIDE = 0.95  # of the way to the nearest bound


@dataclass(frozen=True)
class Relaxed:
    """Copies in fractions `(n,)`, their variance, and a lower bound on that of any copies in the polytope.

    The bound is the general equivalence theorem (Kiefer and Wolfowitz 1960, Whittle 1973): the variance is convex in the
    copies, so nothing allowed lies below variance - max over what is allowed of fall @ (copies - these).
    """

    copies: Array
    variance: float
    bound: float

    @property
    def gap(self) -> float:
        """How far above the best the variance may lie, relatively; never below zero."""
        return max(self.variance / self.bound - 1, 0.0)


def relaxed(problem: Problem, room: Polytope, *, gap: float = CERTIFICATE, start: Array | None = None) -> Relaxed:
    """Minimise the variance over the polytope to a certified relative `gap`; `start` are copies of a similar problem.

    Minimises variance - mu (sum of the logs of all distances to bounds) by Newton's method with a line search; mu falls
    whenever its centre is near, until the certificate is met (Boyd and Vandenberghe 2004, section 11.3).
    """
    region = _Region.of(problem, room)
    if not region.free.any():
        value = problem.at(room.lower).variance
        return Relaxed(room.lower, value, value)
    share = region.warmed(region.interior(None if start is None else region.shares(start)))
    state = region.at(share)
    mu = 0.1 * state.variance / (share.size + region.left.size)
    best, bound = Relaxed(region.copies(share), state.variance, 0.0), 0.0
    for _ in range(LIMIT):
        copies = region.copies(share)
        bound = max(bound, state.variance - (room.most(state.fall) - float(state.fall @ copies)))
        if state.variance <= best.variance:
            best = Relaxed(copies, state.variance, bound)
        if bound > 0 and best.variance / bound - 1 < gap:
            break
        share, state, near = region.newton(share, state, mu)
        mu *= SHRINK if near else 1.0
    return Relaxed(best.copies, best.variance, max(bound, np.finfo(float).tiny))


@dataclass(frozen=True)
class _Region:
    """The polytope in shares of the budget beyond the lower bounds, of the bundles that are `free` to vary.

    rows @ share <= left, 0 <= share <= cap; `unit` `(n_free,)` copies cost the whole budget.
    """

    problem: Problem
    lower: Array
    free: NDArray[np.bool_]
    unit: Array
    rows: Array
    left: Array
    cap: Array

    @classmethod
    def of(cls, problem: Problem, room: Polytope) -> _Region:
        left = room.room / room.bounds
        full = left <= FULL
        free = (room.upper > room.lower) & ~(room.rows[full] > 0).any(0)
        unit = room.bounds[0] / room.rows[0][free]
        binding = ~full & (room.rows[:, free] > 0).any(1)
        rows = room.rows[np.ix_(binding, free)] * unit / room.bounds[binding, None]
        return cls(problem, room.lower, free, unit, rows, left[binding], (room.upper - room.lower)[free] / unit)

    def copies(self, share: Array) -> Array:
        """Copies of all bundles, `(n,)`."""
        whole = self.lower.astype(float)
        whole[self.free] += share * self.unit
        return whole

    def shares(self, copies: Array) -> Array:
        return np.asarray((copies - self.lower)[self.free] / self.unit)

    def at(self, share: Array) -> State:
        return self.problem.at(self.copies(share))

    def interior(self, wished: Array | None) -> Array:
        """Strictly within every bound: even shares, or the wished ones with a tenth of even ones."""
        even = np.minimum(1.0 / self.unit.size, 0.5 * self.cap)
        share = even if wished is None else 0.9 * np.clip(wished, 0, self.cap) + 0.1 * even
        return self._within(share)

    def _within(self, share: Array) -> Array:
        share = np.minimum(share, INSIDE * self.cap)
        return np.asarray(share * min(1.0, INSIDE * float((self.left / (self.rows @ share)).min())))

    def warmed(self, share: Array) -> Array:
        """A few multiplicative updates: share x (fall / mean fall)^.6."""
        for _ in range(WARM):
            fall = self.at(share).fall[self.free] * self.unit
            mean = float(share @ fall) / float(share.sum())
            if not mean > 0:
                break
            share = self._within(share * np.maximum(fall / mean, 1e-4) ** RATE)
        return share

    def barrier(self, share: Array, state: State, mu: float) -> float:
        slack, top = self.left - self.rows @ share, self.cap - share
        if min(share.min(), slack.min(), top.min()) <= 0:
            return np.inf
        logs = np.log(share).sum() + np.log(slack).sum() + np.log(top[np.isfinite(top)]).sum()
        return state.variance - mu * float(logs)

    def newton(self, share: Array, state: State, mu: float) -> tuple[Array, State, bool]:
        """One step towards the centre of `mu`, and whether it is near."""
        slack, top = self.left - self.rows @ share, self.cap - share
        gradient = -state.fall[self.free] * self.unit + mu * (1 / top - 1 / share + (self.rows / slack[:, None]).sum(0))
        H = state.hessian()[np.ix_(self.free, self.free)] * np.outer(self.unit, self.unit)
        H += mu * (np.diag(share**-2 + top**-2) + (self.rows.T / slack**2) @ self.rows)
        step = -scipy.linalg.cho_solve(scipy.linalg.cho_factor(H, check_finite=False), gradient, check_finite=False)
        decrement = -float(gradient @ step)
        nearest = float(np.max(np.concatenate([-step / share, self.rows @ step / slack, step / top])))
        size = min(1.0, INSIDE / nearest) if nearest > 0 else 1.0
        here = self.barrier(share, state, mu)
        for _ in range(HALVINGS):
            trial = share + size * step
            found = self.at(trial)
            if self.barrier(trial, found, mu) <= here - 1e-4 * size * decrement:
                return trial, found, decrement < NEAR * mu
            size /= 2
        return share, state, True  # no descent left in floating point
