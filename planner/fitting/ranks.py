"""Rank correlation without scipy.stats, which takes most of a second to import."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr

from planner.laws.centre import Array


class RankCorrelation(NamedTuple):
    """Spearman's rho and the two-sided p value of its t approximation."""

    rho: float
    p: float


def spearman(x: Array, y: Array) -> RankCorrelation:
    """Spearman's rank correlation of two arrays `(m,)` that are not constant, ties sharing their mean rank."""
    rho = float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])
    df = x.size - 2
    t = rho * math.sqrt(df / max(1 - rho * rho, 1e-300))
    return RankCorrelation(rho, float(2 * stdtr(df, -abs(t))) if df > 0 else 1.0)


def _ranks(values: Array) -> Array:
    _, index, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[index.ravel()])
