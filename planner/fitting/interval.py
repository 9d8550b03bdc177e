"""How far a prediction may be off: from an estimate to intervals, the same way for a fit and for its backtest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from planner.fitting.estimate import Estimate, t_quantile
from planner.fitting.recipe import Recipe, Spread
from planner.fitting.solve import bootstrap
from planner.laws.centre import Array, Centre
from planner.laws.law import Law
from planner.laws.scale import log_scale
from planner.runs.sample import Sample

DRAWS = 500


class Points(NamedTuple):
    """Where a law is asked: its inputs `(v, m)`, and ln of its scale `(m,)`."""

    x: Array
    log_scale: Array

    @classmethod
    def of(cls, law: type[Law], centre: Centre, named: Mapping[str, Array]) -> Points:
        """Points from raw columns `(m,)` by name; the law's variables are always among them."""
        x = law.inputs(centre, *(named[name] for name in law.variables))
        return cls(x, log_scale(law, named))


@dataclass(frozen=True)
class Uncertainty:
    """What is known of an estimate's error.

    `covariance` `(p, p)` of theta at the optimum; `draws` `(K, p)` of theta: refits, or t draws with that covariance;
    `scale` the robust sd of ln loss between runs with `df` degrees of freedom, `noise` that of one new run (its tails
    counted); `drift` the sd that the law itself is allowed per nat of its scale beyond the largest run, whose ln is
    `frontier`.
    The case bootstrap reads intervals off its draws, the other kinds off the covariance; their draws serve what is not
    linear in theta.
    """

    spread: Spread
    covariance: Array
    draws: Array
    scale: float
    noise: float
    df: float
    drift: float
    frontier: float

    def mean(self, law: type[Law], theta: Array, at: Points, level: float) -> tuple[Array, Array]:
        """Deviations (low <= 0, high >= 0) of ln loss at points `(m,)`: a `level` interval of the mean."""
        f, J = law.gradient(theta, at.x)
        if self.spread is Spread.BOOTSTRAP:
            return self.quantiles(law.gradient(self.draws, at.x)[0] - f[0], level)
        sd = np.sqrt(np.einsum("pm,pq,qm->m", J[0], self.covariance, J[0]))
        half = t_quantile(level, self.df) * np.hypot(sd, self.drift * np.maximum(at.log_scale - self.frontier, 0))
        return -half, half

    def one_run(self, law: type[Law], theta: Array, at: Points, level: float) -> tuple[Array, Array]:
        """The same for one new run: the noise between runs added in quadrature."""
        low, high = self.mean(law, theta, at, level)
        noise = t_quantile(level, self.df) * self.noise
        return -np.hypot(low, noise), np.hypot(high, noise)

    def quantiles(self, deviations: Array, level: float) -> tuple[Array, Array]:
        """Quantiles of deviations `(K, ...)` over the draws; they always enclose zero."""
        tail = (1 - level) / 2
        low, high = np.quantile(deviations, [tail, 1 - tail], axis=0)
        return np.minimum(low, 0.0), np.maximum(high, 0.0)


def uncertainty_of(sample: Sample, fitted: Estimate, recipe: Recipe, *, seed: int, draws: int = DRAWS) -> Uncertainty:
    """The uncertainty of `fitted`, an estimate of `recipe` on `sample`."""
    kept = sample.at(fitted.kept)
    spread = recipe.spread_for(kept.loss.size)
    if spread is Spread.BOOTSTRAP:
        x = kept.columns(recipe.law.variables)
        drawn = bootstrap(
            recipe.law, x, kept.loss, objective=recipe.objective, resamples=draws, seed=seed,
            constraints=recipe.constraints, clusters=kept.cluster, weight=kept.weight, noise=kept.noise,
        )  # fmt: skip
    else:
        drawn = normal_draws(fitted, type(fitted.solution.law), draws, seed)
    return Uncertainty(
        spread, fitted.covariance, drawn, fitted.solution.scale, fitted.noise, fitted.df, fitted.drift, fitted.frontier
    )


def normal_draws(fitted: Estimate, law: type[Law], draws: int, seed: int) -> Array:
    """Multivariate t draws about the optimum, kept within the law's bounds."""
    values, vectors = np.linalg.eigh(fitted.covariance)
    rng = np.random.default_rng(seed)
    normal = ndtri(rng.uniform(1e-12, 1, (draws, values.size)))
    heavy = np.sqrt(fitted.df / rng.chisquare(fitted.df, (draws, 1)))
    spread = normal * heavy @ (vectors * np.sqrt(np.maximum(values, 0))).T
    return np.asarray(np.clip(fitted.solution.theta + spread, law.lower, law.upper))
