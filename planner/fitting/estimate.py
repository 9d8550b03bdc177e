"""One fit of one recipe: the optimum and the normal approximation around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from planner.fitting.objective import majorising_weight
from planner.fitting.recipe import SMALLEST_WINDOW, Recipe
from planner.fitting.solve import Solution, solve
from planner.laws.centre import Array
from planner.runs.sample import Sample

SMALLEST_DF = 3.0  # a t interval with fewer has no finite variance


@dataclass(frozen=True)
class Estimate:
    """The optimum, the covariance of theta `(p, p)`, the degrees of freedom, and which runs the window kept.

    `window_refused` says that the window would have left too few, so that it was not applied.
    """

    solution: Solution
    covariance: Array
    df: float
    kept: NDArray[np.bool_]
    window_refused: bool

    def predict(self, params: Array, tokens: Array) -> tuple[Array, Array]:
        """ln loss at raw counts and its standard deviation (of the mean, noise left out), shapes `(m,)`."""
        n, d = self.solution.centre.coordinates(params, tokens)
        f, J = type(self.solution.law).gradient(self.solution.theta, n, d)
        return f[0], np.sqrt(np.einsum("pm,pq,qm->m", J[0], self.covariance, J[0]))


def in_window(flops: Array, window: float | None) -> NDArray[np.bool_]:
    """Runs within a factor `window` of the largest compute; all of them when that leaves fewer than ten."""
    everything = np.ones(flops.size, bool)
    if window is None:
        return everything
    kept = flops >= flops.max() / window
    return kept if kept.sum() >= SMALLEST_WINDOW else everything


def estimate(sample: Sample, recipe: Recipe) -> Estimate:
    """Fit `recipe` to `sample`; Laplace covariance of the penalised robust objective."""
    kept = in_window(sample.flops, recipe.window)
    params, tokens, loss = sample.params[kept], sample.tokens[kept], sample.loss[kept]
    prior = recipe.law.prior(np.log(loss)) if recipe.prior else None
    solution = solve(recipe.law, (params, tokens), loss, objective=recipe.objective, prior=prior)
    n, d = solution.centre.coordinates(params, tokens)
    f, J = recipe.law.gradient(solution.theta, n, d)
    weight = majorising_weight(np.log(loss) - f[0], solution.delta) / solution.scale**2
    H = np.einsum("pm,m,qm->pq", J[0], weight, J[0])
    if prior is not None:
        H = H + np.diag(1 / prior.sd**2)
    df = max(loss.size - solution.theta.size, SMALLEST_DF)
    refused = recipe.window is not None and bool(kept.all() and sample.flops.min() < sample.flops.max() / recipe.window)
    return Estimate(solution, np.linalg.pinv(H, hermitian=True), df, kept, refused)


def t_quantile(level: float, df: float) -> float:
    """Half-width of a central `level` interval in standard deviations."""
    return float(stdtrit(df, 0.5 + level / 2))
