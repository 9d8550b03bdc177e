"""The loss of a run that has not been trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.fitting.interval import Points
from planner.laws.centre import Array
from planner.laws.link import unlinked

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


def predict(fit: Fit, *, params: float, tokens: float, **others: float) -> Prediction:
    """Predicted loss at raw counts; `params` is the count that the fit was made on.

    `others` are values of what else the law speaks of (lr_peak, ...). Raises InputError for one that is missing or unknown.
    """
    for name, value in (("params", params), ("tokens", tokens)):
        if not LEAST <= value <= MOST:
            raise InputError(
                f"{name} = {value:g} is not between {LEAST:g} and {MOST:g}", "give a plain count: 37B, 14.8T"
            )
    law = type(fit.law)
    at = Points.of(law, fit.centre, _values(fit, params, tokens, others))
    f = float(law.gradient(fit.theta, at.x)[0][0, 0])
    loss = float(unlinked(law, f))
    mean = fit.uncertainty.mean(law, fit.theta, at, fit.level)
    run = fit.uncertainty.one_run(law, fit.theta, at, fit.level)
    supported, reason = support(fit, params, tokens)
    return Prediction(
        params=params,
        tokens=tokens,
        loss=loss,
        interval_mean=(float(unlinked(law, f + mean[0][0])), float(unlinked(law, f + mean[1][0]))),
        interval_run=(float(unlinked(law, f + run[0][0])), float(unlinked(law, f + run[1][0]))),
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
    at = Points.of(law, fit.centre, {"params": params, "tokens": tokens, "flops": 6 * params * tokens})
    f = law.gradient(fit.theta, at.x)[0][0]
    interval = fit.uncertainty.one_run if one_run else fit.uncertainty.mean
    low, high = interval(law, fit.theta, at, fit.level)
    return unlinked(law, f), unlinked(law, f + low), unlinked(law, f + high)


def _values(fit: Fit, params: float, tokens: float, others: Mapping[str, float]) -> dict[str, Array]:
    """Raw columns of one point by name."""
    known = {"params": params, str(fit.count): params, "tokens": tokens, "flops": 6 * params * tokens}
    wanted = [name for name in fit.law.variables if name not in known]
    missing, unknown = [name for name in wanted if name not in others], [name for name in others if name not in wanted]
    if missing:
        raise InputError(f"the {fit.law.name} law also needs {', '.join(missing)}", f"--at {missing[0]}=...")
    if unknown:
        told = f"it also takes {', '.join(wanted)}" if wanted else "it takes params and tokens"
        raise InputError(f"the {fit.law.name} law knows no {unknown[0]!r}", told)
    return {name: np.array([value]) for name, value in {**known, **others}.items()}


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
