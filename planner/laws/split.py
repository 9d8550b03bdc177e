"""The best split of a budget where no formula gives it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from planner.errors import InputError
from planner.laws.law import Optimum

if TYPE_CHECKING:
    from planner.laws.formula.from_formula import FromFormula

POINTS, ZOOMS = 401, 4  # of ln params, each time over the two cells beside the lowest point
LEAST = 1e-9  # params or tokens: far below any meant, so that an end of the range is one of the law


def best_split(law: FromFormula, flops: float) -> Optimum:
    """Params and tokens of lowest value with 6 x params x tokens = flops; InputError when it lies at an end."""
    low, high = math.log(LEAST), math.log(flops / 6 / LEAST)
    for zoom in range(ZOOMS):
        log_params = np.linspace(low, high, POINTS)
        params = np.exp(log_params)
        with np.errstate(all="ignore"):
            value = np.asarray(law(params=params, tokens=flops / 6 / params))
        at = int(np.nanargmin(value)) if np.isfinite(value).any() else 0
        if zoom == 0 and at in (0, POINTS - 1):
            raise InputError(
                f"the {law.name} law has no best split of {flops:.3g} FLOPs: {'fewer' if at == 0 else 'more'} "
                "parameters always lower the loss",
                "fit runs that vary tokens per parameter, or another law",
            )
        low, high = float(log_params[max(at - 1, 0)]), float(log_params[min(at + 1, POINTS - 1)])
    best = math.exp((low + high) / 2)
    return Optimum(best, flops / 6 / best)
