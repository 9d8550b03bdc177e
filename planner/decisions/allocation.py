"""Best size and tokens for a budget, from a fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.fitting.predict import predict


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
    if not (math.isfinite(flops) and flops > 0):
        raise InputError(f"flops = {flops:g} is not above zero", "give the budget as a plain count: 3.3e24")
    best = fit.law.optimum(flops)
    drawn = np.array([type(fit.law).from_theta(draw, fit.centre).optimum(flops) for draw in fit.uncertainty.draws])
    expected = predict(fit, params=best.params, tokens=best.tokens)
    return Allocation(
        flops=flops,
        count=fit.count,
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
