"""How an idea's gain may change with scale: a Gaussian prior over ln gain at several computes."""

from __future__ import annotations

import numpy as np

from planner.laws.centre import Array

# The assumed pool of ideas, in ln gain: most are null or mildly harmful, some useful. No survey of ideas exists; the policy
# figures quoted for the verdicts were simulated with this pool.
USEFUL_SHARE, USEFUL_MEAN = 0.25, 0.12  # exponential
NULL_MEAN, NULL_SD = -0.03, 0.05  # normal
MEAN = (1 - USEFUL_SHARE) * NULL_MEAN + USEFUL_SHARE * USEFUL_MEAN
SHARED = 0.5  # assumed correlation of the noise of two runs with the same data order and initialisation
SD = 0.10
WALK = 0.015  # assumed drift of ln gain per square root of a nat of compute
SLOPE = 0.007  # sd of its assumed trend, per nat of compute


def covariance(log_flops: Array) -> Array:
    """Prior covariance `(m, m)` of ln gain at computes `(m,)`, anchored at the smallest: level, slope and random walk."""
    z = log_flops - log_flops.min()
    return np.asarray(SD**2 + SLOPE**2 * np.outer(z, z) + WALK**2 * np.minimum.outer(z, z))


def posterior(prior: Array, mean: float, seen: Array, variance: Array) -> tuple[Array, Array]:
    """Mean and sd of ln gain at every compute, after observing `seen` with `variance` at the first len(seen) of them."""
    k = seen.size
    gain = np.linalg.solve(prior[:k, :k] + np.diag(variance), prior[:k]).T
    return mean + gain @ (seen - mean), np.sqrt(np.maximum(np.diag(prior) - np.einsum("ij,ji->i", gain, prior[:k]), 0))
