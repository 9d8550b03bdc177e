"""The loss of a run that has not been trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.fitting.interval import Points
from planner.fitting.reach import RATIO, beside, widened
from planner.laws.centre import Array
from planner.laws.link import unlinked
from planner.laws.scale import Scale, scale_of
from planner.runs.sample import POSITIVE, SIZE_AND_DATA

LEAST, MOST = 1.0, 1e30  # params or tokens that anybody could mean


@dataclass(frozen=True)
class Prediction:
    """Loss at (params, tokens), with the interval of the mean and the wider one of a single new run.

    `at` holds every value that the law was asked at, by name; params and tokens are NaN where it speaks of neither.
    `compute_ratio` is the compute (flops, or 6 x params x tokens) over the largest fitted run's, NaN for a law of other
    columns; beyond what could be backtested `supported` is false and `reason` says why, and the number still stands.
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
    at: Mapping[str, float] = field(default_factory=dict)


def predict(fit: Fit, /, *, params: float | None = None, tokens: float | None = None, **others: float) -> Prediction:
    """Predicted loss at raw values of exactly what the law speaks of; `params` is the count that the fit was made on.

    `others` are values of its other variables (flops, lr_peak, ...); flops may be given as params and tokens. Raises
    InputError for one that is missing, or that the law does not speak of.
    """
    asked = _asked(fit, params, tokens, others)
    law, named = type(fit.law), _columns(asked)
    at = Points.of(law, fit.centre, named)
    f = float(law.gradient(fit.theta, at.x)[0][0, 0])
    if not math.isfinite(f):
        told = ", ".join(f"{name} = {value:g}" for name, value in asked.items())
        raise InputError(f"the {law.name} law has no value at {told}", "ask nearer to the fitted runs")
    mean = fit.uncertainty.mean(law, fit.theta, at, fit.level)
    run = fit.uncertainty.one_run(law, fit.theta, at, fit.level)
    supported, reason = support(fit, **asked)
    own = scale_of(law)
    ratio = _ratio(fit, asked) if own is not None and own.is_compute else math.nan
    return Prediction(
        params=params if params is not None else math.nan,
        tokens=tokens if tokens is not None else math.nan,
        loss=float(unlinked(law, f)),
        interval_mean=(float(unlinked(law, f + mean[0][0])), float(unlinked(law, f + mean[1][0]))),
        interval_run=(float(unlinked(law, f + run[0][0])), float(unlinked(law, f + run[1][0]))),
        level=fit.level,
        supported=supported,
        reason=reason,
        compute_ratio=ratio,
        at=asked,
    )


def predict_curve(fit: Fit, at: Mapping[str, Array], *, one_run: bool = False) -> tuple[Array, Array, Array]:
    """Loss and the interval of the mean, or of one new run, along a path of the law's variables, each `(m,)`.

    For drawing: no support is judged.
    """
    law = type(fit.law)
    points = Points.of(law, fit.centre, at)
    f = law.gradient(fit.theta, points.x)[0][0]
    interval = fit.uncertainty.one_run if one_run else fit.uncertainty.mean
    low, high = interval(law, fit.theta, points, fit.level)
    return unlinked(law, f), unlinked(law, f + low), unlinked(law, f + high)


def _asked(fit: Fit, params: float | None, tokens: float | None, others: Mapping[str, float]) -> dict[str, float]:
    """The value of each of the law's variables, in its order."""
    law = type(fit.law)
    given = {name: value for name, value in (("params", params), ("tokens", tokens)) if value is not None} | dict(
        others
    )
    for name, value in given.items():
        _require_sensible(name, value)
    known, used = dict(given), set(law.variables)
    if "params" in given and fit.count in law.variables:
        known, used = {str(fit.count): given["params"], **known}, used | {"params"}
    if "flops" in law.variables and "flops" not in given and given.keys() >= set(SIZE_AND_DATA):
        known, used = {"flops": 6 * given["params"] * given["tokens"], **known}, used | set(SIZE_AND_DATA)
    missing = [name for name in law.variables if name not in known]
    if missing:
        raise InputError(
            f"the {law.name} law {'also ' if given else ''}needs {', '.join(missing)}", _option(missing[0])
        )
    unknown = [name for name in given if name not in used]
    if unknown:
        raise InputError(f"the {law.name} law knows no {unknown[0]!r}", f"it takes {', '.join(law.variables)}")
    return {name: known[name] for name in law.variables}


def _require_sensible(name: str, value: float) -> None:
    if name in SIZE_AND_DATA and not LEAST <= value <= MOST:
        raise InputError(f"{name} = {value:g} is not between {LEAST:g} and {MOST:g}", "give a plain count: 37B, 14.8T")
    if not math.isfinite(value) or (name in POSITIVE and value <= 0):
        raise InputError(f"{name} = {value:g} is not {'above zero' if name in POSITIVE else 'a number'}", _option(name))


def _option(name: str) -> str:
    if name == "flops":
        return "--at flops=..., or --params and --tokens"
    return f"--{name} {'37B' if name == 'params' else '14.8T'}" if name in SIZE_AND_DATA else f"--at {name}=..."


def _columns(asked: Mapping[str, float]) -> dict[str, Array]:
    return {name: np.array([value]) for name, value in asked.items()}


def support(fit: Fit, /, params: float | None = None, tokens: float | None = None, **others: float) -> tuple[bool, str]:
    """Whether the sweep could test itself this far out, at values of the law's variables, and a sentence."""
    asked = _asked(fit, params, tokens, others)
    law, own = type(fit.law), scale_of(type(fit.law))
    ratio, limit = _ratio(fit, asked), fit.reach.limit
    if own is not None and ratio > limit:
        return False, f"{_far(own, ratio)}; this sweep's own backtest supports up to {limit:.3g}x"
    for name, value in beside(law, own, _columns(asked)).items():
        low, high = fit.reach.ranges[name]
        least, most = widened(low, high)
        if not least <= float(value[0]) <= most:
            what = f"{float(value[0]):.3g} tokens per parameter" if name == RATIO else f"{name} = {float(value[0]):.3g}"
            return False, f"{what} lies far outside the fitted {low:.3g} to {high:.3g}"
    if own is None:
        return (
            True,
            f"{', '.join(law.variables)} as in the fitted runs, which nothing orders: no larger one was foretold",
        )
    return True, f"{_far(own, ratio)}, within the {limit:.3g}x that the backtest supports"


def _far(own: Scale, ratio: float) -> str:
    return f"{own.name} is {ratio:.3g}x {'below ' if own.falls else ''}the largest fitted run"


def _ratio(fit: Fit, asked: Mapping[str, float]) -> float:
    """The scale over the largest fitted run's; NaN for a law without one."""
    own = scale_of(type(fit.law))
    return math.nan if own is None or fit.reach.largest is None else float(own.of(asked)) / fit.reach.largest
