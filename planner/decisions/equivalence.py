"""A forecast for a mixture of experts from dense runs: at the dense size that is taken to reach the same loss, and wider."""

from __future__ import annotations

import math
from dataclasses import replace

from scipy.special import ndtri

from planner.fitting.predict import Prediction
from planner.laws.law import Law

EQUIVALENT_SD = 0.35  # of ln of the equivalent size: an assumption; root of total x active is a rule of thumb
STEP = 1e-3


def widened_for_equivalence(forecast: Prediction, law: Law, *, sd: float = EQUIVALENT_SD) -> Prediction:
    """The same forecast with intervals that hold for an equivalent size known to `sd` of its ln.

    Half-widths of ln loss add up in squares: h^2 + (z sd d ln L / d ln params)^2, z the normal quantile of the level.
    """
    up, down = (float(law(forecast.params * math.exp(sign * STEP), forecast.tokens)) for sign in (1, -1))
    slope = math.log(up / down) / (2 * STEP)
    more = float(ndtri(0.5 + forecast.level / 2)) * sd * abs(slope)

    def wider(interval: tuple[float, float]) -> tuple[float, float]:
        below, above = (math.log(edge / forecast.loss) for edge in interval)
        return forecast.loss * math.exp(-math.hypot(below, more)), forecast.loss * math.exp(math.hypot(above, more))

    return replace(forecast, interval_mean=wider(forecast.interval_mean), interval_run=wider(forecast.interval_run))
