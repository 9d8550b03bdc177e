"""Best size and tokens for a budget, from a fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.fitting.predict import predict
from planner.laws.law import Law


@dataclass(frozen=True)
class Allocation:
    """Params and tokens (raw, 6 x params x tokens = flops) of lowest predicted loss, each with its interval.

    `count` says which parameters are meant. `supported` is false where the backtest does not reach.
    """

    flops: float
    count: str
    params: float
    tokens: float
    tokens_per_param: float
    loss: float
    intervals: dict[str, tuple[float, float]]
    level: float
    supported: bool
    reason: str


def allocate(fit: Fit, *, flops: float) -> Allocation:
    """The compute-optimal split of `flops` training FLOPs (6 x params x tokens, the fit's own count)."""
    best = fit.law.optimum(positive(flops))
    drawn = np.array([type(fit.law).from_theta(draw, fit.centre).optimum(flops) for draw in fit.uncertainty.draws])
    expected = predict(fit, params=best.params, tokens=best.tokens)
    return Allocation(
        flops=flops,
        count=fit.counted,
        params=best.params,
        tokens=best.tokens,
        tokens_per_param=best.tokens / best.params,
        loss=expected.loss,
        intervals={
            "params": fit.interval(drawn[:, 0], best.params),
            "tokens": fit.interval(drawn[:, 1], best.tokens),
            "tokens_per_param": fit.interval(drawn[:, 1] / drawn[:, 0], best.tokens / best.params),
            "loss": expected.interval_mean,
        },
        level=fit.level,
        supported=expected.supported,
        reason=expected.reason,
    )


def positive(flops: float) -> float:
    """A budget that is one; InputError otherwise."""
    if not (math.isfinite(flops) and flops > 0):
        raise InputError(f"flops = {flops:g} is not above zero", "give the budget as a plain count: 3.3e24")
    return flops


LEAST_LOG_FLOPS, FIRST_LOG_FLOPS, MOST_LOG_FLOPS = math.log(1e6), math.log(1e20), math.log(1e40)
STRIDE = math.log(1e3)


@dataclass(frozen=True)
class Needed:
    """Training FLOPs at which the best split is predicted to reach `loss`, with its interval and that split.

    An upper end of infinity says that within the interval no compute reaches it. The interval is that of the law's
    letters; what the law itself may miss beyond the largest run is in the interval of the loss that `allocate` gives.
    """

    loss: float
    flops: float
    interval: tuple[float, float]
    best: Allocation


def flops_for(fit: Fit, *, loss: float) -> Needed:
    """The compute at which the fitted law's best split reaches `loss`, in the fit's unit.

    Raises InputError for a loss at or below the law's floor E, or one that any compute reaches.
    """
    point = reached_at(fit, loss)
    drawn = np.array([flops_at(type(fit.law).from_theta(draw, fit.centre), loss) for draw in fit.uncertainty.draws])
    tail = (1 - fit.level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")  # infinities cannot be averaged
    ends = min(float(low), point), max(float(high), point)
    return Needed(loss, point, ends, allocate(fit, flops=point))


def reached_at(fit: Fit, loss: float) -> float:
    """FLOPs at which the best split has this loss; InputError where none, or any, have it."""
    if not (math.isfinite(loss) and loss > 0):
        raise InputError(f"loss = {loss:g} is not above zero", "give it in the unit of the fit")
    point = flops_at(fit.law, loss)
    if not 0 < point < math.inf:
        floor = f" (its floor E is {fit.parameters['E']:.4g})" if "E" in fit.parameters else ""
        raise InputError(
            f"loss {loss:g} is at or below what the law reaches with any compute{floor}"
            if point > 0 else f"loss {loss:g} is above what the smallest run would reach",
            "ask for a loss nearer to the runs'",
        )  # fmt: skip
    return point


def flops_at(law: Law, loss: float) -> float:
    """FLOPs at which the best split has this loss: zero when any does better, infinity when none reaches it."""

    def excess(log_flops: float) -> float:
        return float(law(*law.optimum(math.exp(log_flops)))) - loss

    low = high = FIRST_LOG_FLOPS  # outwards from there: some laws have no best split at the far ends
    while excess(high) > 0:
        if high >= MOST_LOG_FLOPS:
            return math.inf
        low, high = high, min(high + STRIDE, MOST_LOG_FLOPS)
    while excess(low) <= 0:
        if low <= LEAST_LOG_FLOPS:
            return 0.0
        low, high = max(low - STRIDE, LEAST_LOG_FLOPS), low
    return math.exp(brentq(excess, low, high, xtol=1e-9))
