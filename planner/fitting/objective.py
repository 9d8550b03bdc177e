"""What a fit minimises, on residuals of ln loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planner.laws.centre import Array

TUNING = 1.345  # 95 % efficiency under normal noise (Huber 1964)
MAD_TO_SD = 1.4826  # normal consistency of the median absolute deviation
SMALLEST_SCALE = 1e-6  # of ln loss: noise-free runs still need a scale


@dataclass(frozen=True)
class Huber:
    """Sum of the Huber loss with a fixed `delta` on ln loss (Hoffmann et al., arXiv 2203.15556, uses 1e-3)."""

    delta: float

    @property
    def name(self) -> str:
        """How the objective is called in results."""
        return "huber"


@dataclass(frozen=True)
class AdaptiveHuber:
    """Huber with delta = 1.345 s, s the robust residual scale, estimated with the fit."""

    @property
    def name(self) -> str:
        """How the objective is called in results."""
        return "adaptive-huber"


@dataclass(frozen=True)
class LeastSquares:
    """Half the sum of squares."""

    @property
    def name(self) -> str:
        """How the objective is called in results."""
        return "least-squares"


Objective = Huber | AdaptiveHuber | LeastSquares


def penalty(residual: Array, delta: float) -> Array:
    """r^2/2 inside delta, delta (|r| - delta/2) outside; delta may be infinite."""
    size = np.abs(residual)
    if math.isinf(delta):
        return 0.5 * size * size
    inner = np.minimum(size, delta)
    return inner * (size - 0.5 * inner)


def slope(residual: Array, delta: float) -> Array:
    """The penalty's derivative."""
    return residual if math.isinf(delta) else np.clip(residual, -delta, delta)


def majorising_weight(residual: Array, delta: float) -> Array:
    """min(1, delta/|r|): the curvature of the quadratic that lies above the penalty and touches it."""
    if math.isinf(delta):
        return np.ones_like(residual)
    return np.minimum(1.0, delta / np.maximum(np.abs(residual), 1e-300))


def true_weight(residual: Array, delta: float) -> Array:
    """The penalty's own second derivative."""
    return (np.abs(residual) <= delta).astype(float)


def threshold(objective: Objective, scale: float) -> float:
    """The Huber delta of an objective at a robust sd `scale`; infinite for least squares."""
    match objective:
        case Huber(delta=delta):
            return delta
        case LeastSquares():
            return math.inf
        case AdaptiveHuber():
            return TUNING * scale


def robust_scale(residual: Array, n_parameters: int) -> float:
    """1.4826 median |r|, corrected for the parameters spent; residuals `(n_runs,)`."""
    n = residual.size
    spread = MAD_TO_SD * float(np.median(np.abs(residual))) * math.sqrt(n / max(n - n_parameters, 1))
    return max(spread, SMALLEST_SCALE)
