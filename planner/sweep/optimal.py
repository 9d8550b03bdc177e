"""Robust V-optimal design: where runs should lie so that a law predicts one target best, with a certificate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from planner.laws import Coupled
from planner.laws.centre import Array, Centre

# What is assumed before any run: ln E, ln of both terms at 1B parameters and 20B tokens, alpha, beta, ln k. The weak prior
# (wide, so that it hardly helps the runs) and the spread of laws that the design must suit (as public fits spread).
PRIOR_MEAN = np.array([np.log(1.75), np.log(0.36), np.log(0.36), 0.34, 0.34, -0.5])
PRIOR_SD = np.array([0.35, 1.0, 1.0, 0.12, 0.12, 0.3])
LAW_SD = np.array([0.1, 0.5, 0.5, 0.08, 0.08, 0.3])
DRAWS = 8
SEED_NOISE = 0.003  # sd of ln loss between seeds at 1B parameters: assumed, on the safe side of public replicates
MODEL_ERROR = 3e-4  # sd of ln loss per nat of compute to the target: what no replicate can buy down
CERTIFICATE = 0.01  # relative gap at which the design counts as optimal
RATE, LIMIT, SMALLEST_SHARE = 0.6, 3000, 1e-10


@dataclass(frozen=True)
class Design:
    """Runs per cell `(n_cells,)`, the expected sd of ln loss at the target, and the certificate.

    `gap` bounds how far (relatively) the variance of these whole runs lies above the best that any shares of the budget
    could reach (general equivalence theorem, Kiefer and Wolfowitz 1960).
    """

    runs: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    expected_sd: float
    gap: float


def seed_noise(params: Array, at_1b: float = SEED_NOISE) -> Array:
    """Sd of ln loss between seeds, falling as params^-0.22 from `at_1b` at 1B (an assumption, not a measurement)."""
    return np.asarray(at_1b * (1e9 / np.asarray(params, float)) ** 0.22)


def optimal_design(params: Array, tokens: Array, cost: Array, *, target: tuple[float, float], budget: float) -> Design:
    """Least mean variance of ln loss at `target` = (params, tokens) for a `budget` in the unit of `cost`.

    Cells `(n_cells,)` hold raw counts. Minimises over shares w of the budget the variance, averaged over draws of the
    coupled law; a cell with r runs has variance noise^2 / r + (0.03 % x ln(compute to target))^2, so
    replicates are not worth more than neighbours. Multiplicative updates; then floor, and the rest greedily.
    """
    problem = design_problem(params, tokens, cost, target=target, budget=budget)
    affordable = cost <= budget
    share, best = _shares(problem, affordable)
    runs = _rounded(problem, share, affordable)
    variance = problem.variance(np.maximum(runs, 1e-9))[0]
    return Design(runs, float(np.sqrt(variance)), variance / best - 1)


def design_problem(
    params: Array, tokens: Array, cost: Array, *, target: tuple[float, float], budget: float
) -> DesignProblem:
    """The cells' derivatives of ln loss over draws of the prior, their noise and their model error."""
    centre = Centre((float(np.log(1e9)), float(np.log(2e10))))
    draws = _draws()
    J = Coupled.gradient(draws, centre.coordinates(params, tokens))[1].transpose(2, 0, 1)  # (cells, draws, p)
    goal = Coupled.gradient(draws, centre.coordinates([target[0]], [target[1]]))[1][:, :, 0]
    noise = seed_noise(params) ** 2
    floor = (MODEL_ERROR * np.log(target[0] * target[1] / (params * tokens))) ** 2
    return DesignProblem(J, goal, noise, floor, cost, budget)


@dataclass(frozen=True)
class DesignProblem:
    """`J` `(cells, draws, p)` and `goal` `(draws, p)`: derivatives of ln loss; per cell variances and cost `(cells,)`."""

    J: Array
    goal: Array
    noise: Array
    floor: Array
    cost: Array
    budget: float

    def variance(self, runs: Array) -> tuple[float, Array]:
        """Mean variance at the target for `runs` per cell, and its fall per unit of budget share, `(n_cells,)`."""
        precision = 1 / (self.noise / runs + self.floor)
        information = np.einsum("b,bki,bkj->kij", precision, self.J, self.J, optimize=True)
        u = np.linalg.solve(information + np.diag(1 / PRIOR_SD**2), self.goal[..., None])[..., 0]
        seen = (np.einsum("bki,ki->bk", self.J, u) ** 2).mean(1)
        fall = seen * precision**2 * self.noise / runs**2 * self.budget / self.cost
        return float((self.goal * u).sum(1).mean()), fall


def _draws() -> Array:
    """Spread-out, repeatable, centred draws of laws: normal quantiles of a Kronecker sequence."""
    golden = 1 / _plastic(PRIOR_MEAN.size) ** np.arange(1, PRIOR_MEAN.size + 1)
    points = (0.5 + np.arange(1, DRAWS + 1)[:, None] * golden) % 1
    normal = ndtri(points)
    return np.asarray(PRIOR_MEAN + (normal - normal.mean(0)) * LAW_SD)


def _plastic(dimension: int) -> float:
    x = 1.5
    for _ in range(60):
        x = (1 + x) ** (1 / (dimension + 1))
    return x


def _shares(problem: DesignProblem, affordable: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[Array, float]:
    """Shares of the budget, and a lower bound on the variance of any: convexity leaves at most max(fall) - share.fall."""
    share = affordable / affordable.sum()
    bound = 0.0
    for _ in range(LIMIT):
        variance, fall = problem.variance(np.maximum(share * problem.budget / problem.cost, 1e-9))
        fall = np.where(affordable, fall, 0)
        bound = max(bound, variance - float(fall.max() - share @ fall))
        if bound > variance * (1 - CERTIFICATE):
            break
        share = np.where(affordable, np.maximum(share * (fall / (share @ fall)) ** RATE, SMALLEST_SHARE), 0)
        share = share / share.sum()
    return share, max(bound, SMALLEST_SHARE)


def _rounded(
    problem: DesignProblem, share: Array, affordable: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    runs = np.floor(share * problem.budget / problem.cost)
    left = problem.budget - float(runs @ problem.cost)
    while (can := affordable & (problem.cost <= left)).any():
        _, fall = problem.variance(np.maximum(runs, 1e-6))
        best = int(np.argmax(np.where(can, fall, -1)))
        more = 1 + int(left * 0.03 / problem.cost[best])
        runs[best] += more
        left -= more * float(problem.cost[best])
    return runs.astype(np.int64)
