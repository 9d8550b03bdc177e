"""The design problem as arrays: the goals' variance for any number of runs, and what one more run takes off it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner.laws.centre import Array
from planner.sweep.design.belief import Belief
from planner.sweep.design.bundles import Bundles
from planner.sweep.design.goals import Goal

EXACT = 1e-12  # variance of a cell without model error: keeps one formula for both


@dataclass(frozen=True)
class Problem:
    """Losses of the cells are y = J theta + delta + noise, theta known to `prior`, delta to `floor`.

    `J` `(K, m, p)` and `goal` `(K, p, q)` are derivatives over K draws of the law, the goal's columns already weighted;
    `prior` `(p, p)` is a precision; `floor` `(m,)` is the variance of a cell's own model error, which no replicate
    buys down; `base` `(m,)` or `(m, m)` is the information that finished runs hold about the cells.
    """

    J: Array
    goal: Array
    prior: Array
    floor: Array
    base: Array
    bundles: Bundles
    owner: NDArray[np.intp]
    scale: Array

    @cached_property
    def separate(self) -> bool:
        """Whether every bundle is one run of a cell of its own, so that information per cell is a number."""
        cells = self.bundles.cells
        return self.base.ndim == 1 and cells.shape[1] == 1 and np.unique(cells).size == cells.size

    def at(self, runs: Array) -> State:
        """Everything about `runs` copies of the bundles, `(n,)`."""
        return State.of(self, np.asarray(runs, float))

    def with_base(self, runs: Array) -> Problem:
        """The same problem once `runs` copies are done."""
        return replace(self, base=_information(self, np.asarray(runs, float)))

    def limit(self, usable: NDArray[np.bool_]) -> float:
        """The goals' variance when every cell of the `usable` bundles `(n,)` is known up to its own model error."""
        known = np.zeros(self.floor.size, bool)
        known[self.bundles.cells[usable]] = True
        W = np.where(known, 1 / self.floor, 0.0)
        information = self.prior + np.matmul(self.J.transpose(0, 2, 1) * W, self.J)
        return float((self.goal * np.linalg.solve(information, self.goal)).sum()) / len(self.J)


def build(
    belief: Belief,
    columns: Sequence[Array],
    goals: Sequence[Goal],
    bundles: Bundles,
    *,
    floor: Array,
    base: Array | None = None,
    budget: float,
) -> Problem:
    """The problem of cells with raw `columns` `(m,)`, one per variable of the law; `floor` `(m,)` as a sd.

    Several goals count in units of their own sd when the budget is spread evenly, times the square root of their weight.
    """
    parts = [goal.columns(belief) for goal in goals]
    owner = np.repeat(np.arange(len(goals)), [part.shape[2] for part in parts])
    problem = Problem(
        belief.gradient(*columns), np.concatenate(parts, 2), belief.precision, np.maximum(floor**2, EXACT),
        np.zeros(floor.size) if base is None else base, bundles, owner, np.ones(owner.size),
    )  # fmt: skip
    if len(goals) == 1:
        return problem
    even = problem.at(budget / bundles.cost.size / bundles.cost).by_goal
    scale = np.sqrt(np.array([goal.weight for goal in goals]) / even)[owner]
    return replace(problem, goal=problem.goal * scale, scale=scale)


@dataclass(frozen=True)
class State:
    """What a number of runs knows. `variance` is the weighted goals' mean over draws.

    `shrunk` `(K, m, p)` is A J with A = (1 + floor M)^-1, M the cells' information; `T` `(K, p, p)` the covariance of theta,
    `c` `(K, m, q)` that of the cells with the goals; `kept` is A x floor, a cell's own error that stays.
    """

    problem: Problem
    variance: float
    shrunk: Array
    T: Array
    c: Array
    kept: Array

    @classmethod
    def of(cls, problem: Problem, runs: Array) -> State:
        """Woodbury throughout: nothing larger than the law's letters is inverted for a draw."""
        J, M = problem.J, _information(problem, runs)
        if M.ndim == 1:
            A = 1 / (1 + problem.floor * M)
            shrunk, kept = A[:, None] * J, A * problem.floor
            seen = M[:, None] * shrunk
        else:
            A = np.asarray(np.linalg.inv(np.eye(M.shape[0]) + problem.floor[:, None] * M), float)
            shrunk, kept = A @ J, A * problem.floor
            seen = M @ shrunk
        T = np.linalg.inv(problem.prior + np.matmul(J.transpose(0, 2, 1), seen))
        Tg = np.matmul(T, problem.goal)
        variance = float((problem.goal * Tg).sum()) / len(J)
        return cls(problem, variance, shrunk, T, np.matmul(shrunk, Tg), kept)

    @property
    def by_goal(self) -> Array:
        """Variance of each goal in its own unit, mean over draws."""
        goal = self.problem.goal / self.problem.scale
        columns = (goal * np.matmul(self.T, goal)).sum(1).mean(0)
        return np.bincount(self.problem.owner, columns).astype(float)

    @cached_property
    def pulled(self) -> Array:
        """Precision of each bundle times the covariance of its cells with the goals, `(K, n, q_cells, q)`."""
        bundles = self.problem.bundles
        if bundles.cells.shape[1] == 1:
            return np.asarray(bundles.precision[:, :, 0, None] * self.c[:, bundles.cells[:, 0], None])
        return np.asarray(np.matmul(bundles.precision, self.c[:, bundles.cells]))

    @cached_property
    def fall(self) -> Array:
        """-d variance / d copies of each bundle, `(n,)`."""
        c = self.c[:, self.problem.bundles.cells]
        return np.asarray((c * self.pulled).sum((0, 2, 3)) / len(self.T))

    def hessian(self) -> Array:
        """Second derivative of the variance in copies, `(n, n)`: 2 c_b' R_b^-1 C R_c^-1 c_c over draws and goals."""
        root = np.linalg.cholesky(self.T)
        spread = np.matmul(self.shrunk, root)  # the cells' covariance is spread spread' + kept
        cells, n = self.problem.bundles.cells, len(self.problem.bundles.cost)
        if cells.shape[1] == 1 and self.kept.ndim == 1:
            v, one = self.pulled[:, :, 0], cells[:, 0]
            flat = (v[..., None] * spread[:, one, None]).transpose(1, 0, 2, 3).reshape(n, -1)
            return np.asarray(2 / len(self.T) * (flat @ flat.T + self._own(v, one)))
        kept = np.diag(self.kept) if self.kept.ndim == 1 else self.kept
        total = np.zeros((n, n))
        for v, one in zip(self.pulled, spread, strict=True):
            for column in range(v.shape[2]):
                reads = np.zeros((n, len(kept)))
                np.add.at(reads, (np.arange(n)[:, None], cells), v[..., column])
                seen = reads @ one
                total += seen @ seen.T + reads @ kept @ reads.T
        return 2 / len(self.T) * total

    def _own(self, v: Array, one: NDArray[np.intp]) -> Array:
        """What runs of one cell share of its own error, `(n, n)`."""
        if self.problem.separate:
            return np.diag((v**2).sum((0, 2)) * self.kept[one])
        flat = v.transpose(1, 0, 2).reshape(len(one), -1)
        return np.asarray(np.where(one[:, None] == one, flat @ flat.T * self.kept[one], 0.0))

    def step(self, sign: int = 1) -> Array:
        """How much one more copy of each bundle (`sign` 1), or one less (-1), lowers or lifts the variance, exactly; `(n,)`.

        One copy is a low-rank change: c' (R + C)^-1 c, and c' (R - C)^-1 c for taking one away.
        """
        bundles = self.problem.bundles
        cells, precision = bundles.cells, bundles.precision
        if cells.shape[1] == 1:
            only, told = cells[:, 0], precision[:, 0, 0]
            own = self.kept if self.kept.ndim == 1 else np.diagonal(self.kept)
            cov = (np.matmul(self.shrunk, self.T) * self.shrunk).sum(2)[:, only] + own[only]
            seen = (self.c**2).sum(2)[:, only]
            return np.asarray((seen * told / (1 + sign * told * cov)).mean(0))
        c, J = self.c[:, cells], self.shrunk[:, cells]
        kept = np.diag(self.kept) if self.kept.ndim == 1 else self.kept
        cov = (
            np.matmul(np.matmul(J, self.T[:, None]), J.transpose(0, 1, 3, 2))
            + kept[cells[:, :, None], cells[:, None, :]]
        )
        solved = np.linalg.solve(np.eye(cells.shape[1]) + sign * np.matmul(precision, cov), self.pulled)
        return np.asarray((c * solved).sum((0, 2, 3)) / len(self.T))


def _information(problem: Problem, runs: Array) -> Array:
    """What finished runs and `runs` copies tell of the cells: `(m,)` where no two share noise, else `(m, m)`."""
    bundles, m = problem.bundles, problem.floor.size
    told = runs[:, None, None] * bundles.precision
    if bundles.cells.shape[1] == 1 and problem.base.ndim == 1:
        return problem.base + np.bincount(bundles.cells[:, 0], told[:, 0, 0], m)
    M = np.zeros((m, m))
    np.add.at(M, (bundles.cells[:, :, None], bundles.cells[:, None, :]), told)
    return M + (problem.base if problem.base.ndim == 2 else np.diag(problem.base))
