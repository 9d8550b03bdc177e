"""Which numbers of runs are allowed: a budget, a largest number of runs, so many of one bundle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from planner.laws.centre import Array


@dataclass(frozen=True)
class Polytope:
    """lower <= copies <= upper `(n,)`, and rows `(k, n)` of rows @ copies <= bounds `(k,)`; row 0 is the budget."""

    rows: Array
    bounds: Array
    lower: Array
    upper: Array

    @classmethod
    def of(
        cls, cost: Array, budget: float, runs: NDArray[np.intp], *, most: float, lower: Array, upper: Array
    ) -> Polytope:
        """From what a plan says; `most` runs in all (infinite: no limit), `runs` the losses that one copy gives."""
        rows, bounds = [cost], [budget]
        if np.isfinite(most):
            rows.append(runs.astype(float))
            bounds.append(most)
        return cls(np.stack(rows), np.array(bounds, float), lower, upper)

    @property
    def room(self) -> Array:
        """What the lower bounds leave of each row, `(k,)`."""
        return np.asarray(self.bounds - self.rows @ self.lower)

    def most(self, gain: Array) -> float:
        """The largest gain @ copies in here: a knapsack of fractions, by ratio; a linear programme with several rows."""
        if len(self.rows) == 1:
            return float(gain @ self.lower) + self._knapsack(gain)
        unit = self.bounds[0] / self.rows[0]  # shares of the budget: a well-scaled programme
        found = linprog(
            -gain * unit,
            A_ub=self.rows * unit / self.bounds[:, None],
            b_ub=np.ones(len(self.bounds)),
            bounds=np.stack([self.lower, self.upper], 1) / unit[:, None],
        )
        return -float(found.fun or 0.0)

    def _knapsack(self, gain: Array) -> float:
        cost, room = self.rows[0], float(self.room[0])
        ratio = gain / cost
        if np.isinf(self.upper).all():
            return room * float(ratio.max(initial=0.0))
        order = np.argsort(-ratio)
        size = cost[order] * (self.upper - self.lower)[order]
        taken = np.clip(room - np.append(0, np.cumsum(size))[:-1], 0, size)
        return float((ratio[order] * taken).sum())
