"""The best size by three approaches, and what choosing by the others would waste."""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.decisions.allocation import flops_at
from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.fitting.isoflop import frontiers, profiles
from planner.runs.sample import Sample


@dataclass(frozen=True)
class Approach:
    """Best params and tokens (raw counts) at a budget by one approach, and its exponent of compute.

    `loss` is what the fitted law predicts there, `waste` the fraction of the budget that the law's own best split would
    need less for that loss: zero for the law itself.
    """

    name: str
    exponent: float
    params: float
    tokens: float
    loss: float
    waste: float


def approaches(fit: Fit, sample: Sample, *, flops: float) -> list[Approach]:
    """Approaches 1 and 2 of Hoffmann et al. (arXiv 2203.15556) from the runs' isoFLOP profiles, and 3, the fitted law.

    Empty when there are fewer than two sound profiles. The waste takes the fitted law for true.
    """
    lines = frontiers(profiles(sample))
    if not lines:
        return []
    try:
        best, tenfold = fit.law.optimum(flops), fit.law.optimum(10 * flops)
    except InputError:  # a law without a best split has nothing to compare
        return []
    exponent = math.log10(tenfold.params / best.params)
    found = [_judged(fit, line.approach, line.exponent, line.params(flops), flops) for line in lines]
    return [*found, _judged(fit, f"3, {fit.law.name} law", exponent, best.params, flops)]


def _judged(fit: Fit, name: str, exponent: float, params: float, flops: float) -> Approach:
    tokens = flops / 6 / params
    loss = float(fit.law(params, tokens))
    return Approach(name, exponent, params, tokens, loss, max(0.0, 1 - flops_at(fit.law, loss) / flops))
