"""The same forecast by other roads: do normal, sandwich, bootstrap, profile and posterior samples agree?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq

from planner.fitting.estimate import estimate, t_quantile
from planner.fitting.interval import Points, normal_draws, uncertainty_of
from planner.fitting.objective import AdaptiveHuber, Huber, penalty
from planner.fitting.recipe import Recipe, Spread
from planner.fitting.solve import solve
from planner.runs.sample import Sample

PRETENDED = 1e4  # runs that a pretended run at the target counts for
FURTHEST = 60.0  # standard deviations that a profile is followed
RESAMPLES = 400
PROPOSALS, WIDER = 20_000, 1.2  # posterior samples are drawn from a normal approximation so much too wide


@dataclass(frozen=True)
class Road:
    """One way to an interval of the mean loss at a point; `loss`, `low` and `high` in the unit of the runs."""

    name: str
    loss: float
    low: float
    high: float


def cross_check(
    sample: Sample, recipe: Recipe, *, params: float, tokens: float, level: float, seed: int = 0
) -> list[Road]:
    """The recipe's own interval of the mean at (params, tokens), raw counts, and those of five textbook ways.

    The textbook ways fit the recipe's law to all runs with an adaptive Huber loss and no prior.
    """
    plain = Recipe(recipe.law, AdaptiveHuber(), recipe.window, Spread.NORMAL, constraints=recipe.constraints)
    roads = [_spread("this recipe", sample, recipe, params, tokens, level, seed)]
    for spread in (Spread.NORMAL, Spread.SANDWICH, Spread.BOOTSTRAP):
        roads.append(_spread(spread.value, sample, replace(plain, spread=spread), params, tokens, level, seed))
    roads.append(_profile(sample, plain, params, tokens, level))
    roads.append(_samples(sample, plain, params, tokens, level, seed))
    return roads


def _spread(name: str, sample: Sample, recipe: Recipe, params: float, tokens: float, level: float, seed: int) -> Road:
    fitted = estimate(sample, recipe)
    known = uncertainty_of(sample, fitted, recipe, seed=seed, draws=RESAMPLES)
    theta, centre = fitted.solution.theta, fitted.solution.centre
    at = Points.of(recipe.law, centre, {"params": np.array([params]), "tokens": np.array([tokens])})
    low, high = known.mean(recipe.law, theta, at, level)
    f = float(recipe.law.gradient(theta, at.x)[0][0, 0])
    return Road(name, *np.exp([f, f + low[0], f + high[0]]).tolist())


def _profile(sample: Sample, recipe: Recipe, params: float, tokens: float, level: float) -> Road:
    """Losses that a pretended run at the target can take before the objective rises by t^2 s^2 / 2.

    Bates and Watts 1988, section 6.1; each end by bisection over refits warm-started at the optimum.
    """
    fitted = estimate(sample, recipe)
    runs, whole = sample.at(fitted.kept), fitted.solution
    x = (np.append(runs.params, params), np.append(runs.tokens, tokens))
    weight = np.append(np.ones(runs.loss.size), PRETENDED)
    f, sd = (float(part[0]) for part in fitted.predict(np.array([params]), np.array([tokens])))
    allowed = (t_quantile(level, fitted.df) * whole.scale) ** 2 / 2

    def rise(shift: float) -> float:
        pretended = solve(
            recipe.law, x, np.append(runs.loss, np.exp(f + shift)), objective=Huber(whole.delta), weight=weight,
            start=whole.theta,
        )  # fmt: skip
        predicted = np.log(np.asarray(pretended.law(runs.params, runs.tokens)))
        return float(penalty(np.log(runs.loss) - predicted, whole.delta).sum()) - whole.value - allowed

    ends = [_crossing(rise, sign * sd) for sign in (-1, 1)]
    return Road("profile likelihood", *np.exp([f, f + ends[0], f + ends[1]]).tolist())


def _crossing(rise: Callable[[float], float], step: float) -> float:
    """Where the profile crosses zero on one side; infinite when it never rises enough: that side is open."""
    inner, outer = 0.0, step
    while rise(outer) < 0:
        inner, outer = outer, 1.6 * outer
        if abs(outer) > FURTHEST * abs(step):
            return math.copysign(math.inf, step)
    return float(brentq(rise, inner, outer, xtol=1e-3 * abs(step)))


def _samples(sample: Sample, recipe: Recipe, params: float, tokens: float, level: float, seed: int) -> Road:
    """Quantiles of the robust pseudo-posterior exp(-objective / s^2), flat within the law's box.

    Importance weights on draws of a widened t approximation (Gelman et al., Bayesian Data Analysis, section 10.4).
    """
    fitted = estimate(sample, recipe)
    runs, whole, law = sample.at(fitted.kept), fitted.solution, recipe.law
    x = law.inputs(whole.centre, runs.params, runs.tokens)
    wide = replace(fitted, covariance=WIDER**2 * fitted.covariance)
    theta = normal_draws(wide, law, PROPOSALS, seed)
    theta = theta[((theta > law.lower) & (theta < law.upper)).all(1)]
    objective = np.concatenate([
        penalty(np.log(runs.loss) - law.gradient(part, x)[0], whole.delta).sum(1)
        for part in np.array_split(theta, max(1, theta.shape[0] * runs.loss.size // 500_000))
    ])  # fmt: skip
    off = (theta - whole.theta) @ np.linalg.pinv(wide.covariance, hermitian=True)
    distance = (off * (theta - whole.theta)).sum(1)
    proposed = -(fitted.df + theta.shape[1]) / 2 * np.log1p(distance / fitted.df)
    log_weight = -(objective - whole.value) / whole.scale**2 - proposed
    weight = np.exp(log_weight - log_weight.max())
    at = law.inputs(whole.centre, [params], [tokens])
    predicted = law.gradient(theta, at)[0][:, 0]
    order = np.argsort(predicted)
    share = np.cumsum(weight[order]) / weight.sum()
    low, high = np.interp([(1 - level) / 2, (1 + level) / 2], share, predicted[order])
    best = float(law.gradient(whole.theta, at)[0][0, 0])
    return Road("posterior samples", *np.exp([best, low, high]).tolist())
