"""The bare optimum: arrays in, law out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from planner.errors import InputError
from planner.fitting.descend import Problem, descend
from planner.fitting.objective import (
    TUNING,
    AdaptiveHuber,
    Huber,
    LeastSquares,
    Objective,
    penalty,
    robust_scale,
)
from planner.fitting.starts import additive_starts
from planner.laws import find_law
from planner.laws.centre import Array, Centre
from planner.laws.law import Law, Prior

SCALE_ROUNDS = 3  # of re-estimating the robust scale; it changes in the fourth digit after two
CHUNK = 250  # resamples solved together: their arrays stay in the second-level cache


@dataclass(frozen=True)
class Solution:
    """The optimum of one fit.

    `theta` is in the coordinates of `centre`; `value` is the sum of the objective over runs (the prior's part left
    out); `delta` the Huber threshold used (infinite for least squares); `scale` the robust sd of ln loss, and
    `prior_scale` the one that the prior was weighed against, a round of re-estimation earlier.
    """

    law: Law
    theta: Array
    centre: Centre
    value: float
    delta: float
    scale: float
    prior_scale: float
    iterations: int
    converged: bool


def solve(
    law: type[Law] | str,
    x: ArrayLike | tuple[ArrayLike, ArrayLike],
    loss: ArrayLike,
    *,
    objective: Objective = Huber(1e-3),  # noqa: B008 - a frozen value
    prior: Prior | None = None,
    start: Array | None = None,
) -> Solution:
    """The global optimum of `law` on runs at x = (params, tokens), raw counts, with loss in nats per token.

    Starts from variable projection over a grid of exponents (or from `start`, a theta), then damped Newton.
    Shapes: x `(2, n_runs)`, loss `(n_runs,)`. Raises InputError when the arrays do not fit or are not positive.
    """
    law = find_law(law) if isinstance(law, str) else law
    params, tokens, y = _checked(law, x, loss)
    centre = Centre.of(params, tokens)
    n, d = centre.coordinates(params, tokens)
    problem = Problem(n, d, y[None], np.ones((1, y.size)), math.inf, np.zeros(law.lower.size), np.zeros(law.lower.size))
    if start is None:
        starts = law.starts(additive_starts(n, d, np.exp(y)[None], problem.weight))[0]
        if prior is not None:
            starts = np.concatenate([starts, prior.mean[None]])
    else:
        starts = start[None]
    return _minimise(law, starts, problem, centre, objective, prior)


def _minimise(
    law: type[Law], starts: Array, problem: Problem, centre: Centre, objective: Objective, prior: Prior | None
) -> Solution:
    y = problem.log_loss[0]
    scale = robust_scale(y - _nearest(law, starts, problem), law.lower.size)
    for _ in range(SCALE_ROUNDS if isinstance(objective, AdaptiveHuber) or prior is not None else 1):
        problem = problem._replace(delta=_delta(objective, scale))
        if prior is not None:  # the objective counts squared residuals, the prior squared standard deviations
            problem = problem._replace(anchor=prior.mean, pull=(scale / prior.sd) ** 2)
        repeated = problem._replace(
            log_loss=np.repeat(problem.log_loss[:1], len(starts), 0),
            weight=np.repeat(problem.weight[:1], len(starts), 0),
        )
        end = descend(law, starts, repeated)
        best = int(np.argmin(end.value))
        theta = end.theta[best]
        used = scale
        residual = y - law.gradient(theta, problem.n, problem.d)[0][0]
        scale = robust_scale(residual, law.lower.size)
        starts = end.theta
    return Solution(
        law=law.from_theta(theta, centre),
        theta=theta,
        centre=centre,
        value=float(penalty(residual, problem.delta).sum()),
        delta=problem.delta,
        scale=scale,
        prior_scale=used,
        iterations=end.iterations,
        converged=bool(end.converged[best]),
    )


def bootstrap(
    law: type[Law] | str,
    x: ArrayLike | tuple[ArrayLike, ArrayLike],
    loss: ArrayLike,
    *,
    objective: Objective = Huber(1e-3),  # noqa: B008 - a frozen value
    resamples: int = 400,
    seed: int = 0,
) -> Array:
    """Refits to runs drawn with replacement, as thetas `(resamples, p)` in the centre of all runs.

    Each starts at the optimum of all runs and keeps that fit's Huber delta. Same seed, same draws.
    """
    law = find_law(law) if isinstance(law, str) else law
    whole = solve(law, x, loss, objective=objective)
    params, tokens, y = _checked(law, x, loss)
    n, d = whole.centre.coordinates(params, tokens)
    draws = np.random.default_rng(seed).multinomial(y.size, np.full(y.size, 1 / y.size), resamples).astype(float)
    free = np.zeros(law.lower.size)
    parts = []
    for first in range(0, resamples, CHUNK):
        weight = draws[first : first + CHUNK]
        problem = Problem(n, d, np.broadcast_to(y, weight.shape), weight, whole.delta, free, free)
        start = np.repeat(whole.theta[None], len(weight), 0)
        parts.append(descend(law, start, problem, tolerance=1e-7).theta)
    return np.concatenate(parts)


def _delta(objective: Objective, scale: float) -> float:
    match objective:
        case Huber(delta=delta):
            return delta
        case LeastSquares():
            return math.inf
        case AdaptiveHuber():
            return TUNING * scale


def _nearest(law: type[Law], starts: Array, problem: Problem) -> Array:
    """Predictions `(m,)` of the start with the smallest median absolute residual."""
    predicted = law.gradient(starts, problem.n, problem.d)[0]
    return np.asarray(predicted[np.argmin(np.median(np.abs(problem.log_loss[0] - predicted), axis=1))])


def _checked(law: type[Law], x: ArrayLike | tuple[ArrayLike, ArrayLike], loss: ArrayLike) -> tuple[Array, Array, Array]:
    params, tokens = (np.asarray(row, float) for row in x)  # type: ignore[union-attr]
    values = np.asarray(loss, float)
    if params.ndim != 1 or not params.shape == tokens.shape == values.shape:
        raise InputError(
            f"params {params.shape}, tokens {tokens.shape} and loss {values.shape} differ in shape",
            "give one number per run in each",
        )
    for name, column in (("params", params), ("tokens", tokens), ("loss", values)):
        bad = ~(np.isfinite(column) & (column > 0))
        if bad.any():
            raise InputError(
                f"{name}[{int(np.argmax(bad))}] = {column[np.argmax(bad)]} is not positive", "drop that run"
            )
    if values.size < law.lower.size:
        raise InputError(
            f"{values.size} runs are fewer than the {law.lower.size} parameters of the {law.name} law",
            "add runs, or fit a law with fewer parameters",
        )
    return params, tokens, np.log(values)
