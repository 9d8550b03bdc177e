"""How an idea's gain may change with scale: a Gaussian prior over ln gain at several computes."""

from __future__ import annotations

from dataclasses import dataclass

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


def covariance(log_flops: Array, *, sd: float = SD, slope: float = SLOPE, walk: float = WALK) -> Array:
    """Prior covariance `(m, m)` of ln gain at computes `(m,)`, anchored at the smallest: level, slope and random walk."""
    z = log_flops - log_flops.min()
    return np.asarray(sd**2 + slope**2 * np.outer(z, z) + walk**2 * np.minimum.outer(z, z))


def posterior(prior: Array, mean: float, seen: Array, variance: Array) -> tuple[Array, Array]:
    """Mean and sd of ln gain at every compute, after observing `seen` with `variance` at the first len(seen) of them."""
    k = seen.size
    gain = np.linalg.solve(prior[:k, :k] + np.diag(variance), prior[:k]).T
    return mean + gain @ (seen - mean), np.sqrt(np.maximum(np.diag(prior) - np.einsum("ij,ji->i", gain, prior[:k]), 0))


@dataclass(frozen=True)
class GainPrior:
    """What is believed of ln gain before any run: a level, a trend per nat of compute, a walk per square root of a nat.

    `pivot` is the ln FLOPs that the level speaks of; `interaction` the sd of what a combination gains beyond its parts.
    """

    mean: float
    sd: float
    slope: float
    walk: float
    pivot: float
    interaction: float = 0.05

    def covariance(self, log_flops: Array, sd: float) -> Array:
        """Prior covariance `(m, m)` of ln gain at computes `(m,)`, with `sd` of the level."""
        z = log_flops - self.pivot
        walk = np.where(np.outer(z, z) > 0, np.minimum.outer(np.abs(z), np.abs(z)), 0.0)
        return np.asarray(sd**2 + self.slope**2 * np.outer(z, z) + self.walk**2 * walk)


def pool_prior(log_flops: Array) -> GainPrior:
    """The assumed pool of ideas, anchored at the smallest compute tested."""
    return GainPrior(MEAN, SD, SLOPE, WALK, float(log_flops.min()))


def constant_prior(log_flops: Array) -> GainPrior:
    """A gain that no scale changes, with a wide level: nothing is shrunk."""
    return GainPrior(0.0, 0.3, 0.0, 0.0, float(log_flops.mean()))


def sloped_prior(log_flops: Array) -> GainPrior:
    """A wide level and a trend g1 ~ N(0, .02) per nat about the mean ln FLOPs (SCIENCE.md 6.3)."""
    return GainPrior(0.0, 0.3, 0.02, 0.0, float(log_flops.mean()))
