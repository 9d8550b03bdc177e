"""The loss of a run that has not been trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.fitting.interval import Points
from planner.laws.centre import Array

LEAST, MOST = 1.0, 1e30  # params or tokens that anybody could mean


@dataclass(frozen=True)
class Prediction:
    """Loss at (params, tokens), with the interval of the mean and the wider one of a single new run.

    `compute_ratio` is 6 x params x tokens over the largest fitted run's; beyond what could be backtested `supported`
    is false and `reason` says why, and the number still stands.
    """

    params: float
    tokens: float
    loss: float
    interval_mean: tuple[float, float]
    interval_run: tuple[float, float]
    level: float
    supported: bool
    reason: str
    compute_ratio: float


def predict(fit: Fit, *, params: float, tokens: float) -> Prediction:
    """Predicted loss at raw counts; `params` is the count that the fit was made on."""
    for name, value in (("params", params), ("tokens", tokens)):
        if not LEAST <= value <= MOST:
            raise InputError(
                f"{name} = {value:g} is not between {LEAST:g} and {MOST:g}", "give a plain count: 37B, 14.8T"
            )
    law = type(fit.law)
    at = Points.of(law, fit.centre, np.array([params]), np.array([tokens]))
    loss = math.exp(float(law.gradient(fit.theta, at.x)[0][0, 0]))
    mean = fit.uncertainty.mean(law, fit.theta, at, fit.level)
    run = fit.uncertainty.one_run(law, fit.theta, at, fit.level)
    supported, reason = support(fit, params, tokens)
    return Prediction(
        params=params,
        tokens=tokens,
        loss=loss,
        interval_mean=(loss * math.exp(mean[0][0]), loss * math.exp(mean[1][0])),
        interval_run=(loss * math.exp(run[0][0]), loss * math.exp(run[1][0])),
        level=fit.level,
        supported=supported,
        reason=reason,
        compute_ratio=6 * params * tokens / fit.reach.flops,
    )


def predict_curve(fit: Fit, params: Array, tokens: Array, *, one_run: bool = False) -> tuple[Array, Array, Array]:
    """Loss and the interval of the mean, or of one new run, along a path of raw counts, each `(m,)`.

    For drawing: no support is judged.
    """
    law = type(fit.law)
    at = Points.of(law, fit.centre, params, tokens)
    loss = np.exp(law.gradient(fit.theta, at.x)[0][0])
    interval = fit.uncertainty.one_run if one_run else fit.uncertainty.mean
    low, high = interval(law, fit.theta, at, fit.level)
    return loss, loss * np.exp(low), loss * np.exp(high)


def support(fit: Fit, params: float, tokens: float) -> tuple[bool, str]:
    """Whether the sweep could test itself this far out, and a sentence."""
    ratio, limit = 6 * params * tokens / fit.reach.flops, fit.reach.limit
    if ratio > limit:
        return False, (
            f"compute is {ratio:.3g}x the largest fitted run; this sweep's own backtest supports up to {limit:.3g}x"
        )
    low, high = fit.reach.tokens_per_param
    per_param = tokens / params
    if not low / 3 <= per_param <= high * 3:
        return False, f"{per_param:.3g} tokens per parameter lies far outside the fitted {low:.3g} to {high:.3g}"
    return True, f"compute is {ratio:.3g}x the largest fitted run, within the {limit:.3g}x that the backtest supports"
