"""What more budget buys: the expected sd against the budget, its floor, and the worth of the next unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.laws.centre import Array
from planner.sweep.design.polytope import Polytope
from planner.sweep.design.problem import Problem
from planner.sweep.design.shares import relaxed

LEVELS = 10


@dataclass(frozen=True)
class Spending:
    """For each budget `(k,)`: expected sd of the (weighted) goals in fractions of runs, -d variance / d ln budget, certificate gap.

    `floor` is the sd that no budget goes below: every cell known up to the law's own error there.
    """

    budget: Array
    expected_sd: Array
    marginal: Array
    gap: Array
    floor: float

    def worth(self, sd_value: float) -> Array:
        """What the next unit of budget gains, `(k,)`, when a variance of 1 costs `sd_value`: marginal x value / budget."""
        return np.asarray(self.marginal * sd_value / self.budget)


def spending(
    problem: Problem, budgets: Array, *, allowed: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
) -> Spending:
    """The curve over `budgets` `(k,)` in the unit of the bundles' cost; bundles beyond a budget are left out of it."""
    cost = problem.bundles.cost
    rows, start = [], None
    for budget in np.sort(np.asarray(budgets, float)):
        can = cost <= budget * (1 + 1e-12)
        can = can if allowed is None else can & allowed
        room = Polytope.of(
            cost, budget, problem.bundles.runs, most=np.inf, lower=np.zeros(cost.size), upper=np.where(can, np.inf, 0.0)
        )
        found = relaxed(problem, room, start=start)
        start = found.copies
        marginal = float(problem.at(found.copies).fall @ found.copies)
        rows.append((budget, np.sqrt(found.variance), marginal, found.gap))
    budget_, sd, marginal_, gap = np.array(rows).T
    usable = np.ones(cost.size, bool) if allowed is None else allowed
    return Spending(budget_, sd, marginal_, gap, float(np.sqrt(problem.limit(usable))))


def budgets_around(budget: float, *, factor: float = 30.0, levels: int = LEVELS) -> Array:
    """Budgets even in ln from budget / factor to budget x factor, `(levels,)`."""
    return np.geomspace(budget / factor, budget * factor, levels)
