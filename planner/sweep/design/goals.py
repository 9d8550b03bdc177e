"""What a design should tell: the loss of a run, of a band of runs, or the best size and data of a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from planner.errors import InputError
from planner.laws.centre import Array
from planner.laws.law import of_size_and_data
from planner.sweep.design.belief import Belief

STEP = 0.01  # of ln params, for differences about the best size
BAND_POINTS = 5


class Goal(Protocol):
    """Something to be known: its derivatives in theta, draw by draw, and how much it counts."""

    @property
    def weight(self) -> float:
        """How much it counts beside other goals, each measured in its own sd under an even design."""
        ...

    def columns(self, belief: Belief) -> Array:
        """Derivatives `(K, p, q)`; the goal's variance is the sum over its q columns."""
        ...


@dataclass(frozen=True)
class LossAt:
    """ln loss of the run with raw `params` and `tokens`."""

    params: float
    tokens: float
    weight: float = 1.0

    def columns(self, belief: Belief) -> Array:
        """The law's slope there."""
        return belief.gradient(np.array([self.params]), np.array([self.tokens])).transpose(0, 2, 1)


@dataclass(frozen=True)
class LossBand:
    """ln loss along the frontier from `low_flops` to `high_flops`: mean variance of five points, tokens_per_param as given."""

    low_flops: float
    high_flops: float
    tokens_per_param: float
    weight: float = 1.0

    def columns(self, belief: Belief) -> Array:
        """The law's slopes at points even in ln compute."""
        if not 0 < self.low_flops <= self.high_flops or not self.tokens_per_param > 0:
            raise InputError(
                f"a band from {self.low_flops:.3g} to {self.high_flops:.3g} FLOPs at {self.tokens_per_param:g} tokens/param",
                "the lower end first, all above zero",
            )
        flops = np.geomspace(self.low_flops, self.high_flops, BAND_POINTS)
        params = np.sqrt(flops / 6 / self.tokens_per_param)
        at = belief.gradient(params, params * self.tokens_per_param)
        return at.transpose(0, 2, 1) / math.sqrt(BAND_POINTS)


@dataclass(frozen=True)
class BestSize:
    """ln N* of `flops`: the size of lowest loss; as ln N* + ln D* is fixed, it is ln D* with the other sign."""

    flops: float
    weight: float = 1.0

    def columns(self, belief: Belief) -> Array:
        """d ln N* / d theta; draws that have no best size are left out."""
        return _best_size(belief, self.flops)[0][:, :, None]


@dataclass(frozen=True)
class ExcessLoss:
    """ln loss lost at `flops` by training the size that the fit calls best: (d2 ln L / d ln N^2) (error of ln N*)^2 / 2.

    Unlike `BestSize` it does not mind a best size that is uncertain because nearly all sizes do as well.
    """

    flops: float
    weight: float = 1.0

    def columns(self, belief: Belief) -> Array:
        """d ln N* / d theta times the square root of half the bend: the variance is the expected excess."""
        slope, bend = _best_size(belief, self.flops)
        return (slope * np.sqrt(bend / 2)[:, None])[:, :, None]


def _best_size(belief: Belief, flops: float) -> tuple[Array, Array]:
    """Derivative of ln N* in theta `(K, p)` and the bend of ln loss along 6 x params x tokens = flops, `(K,)`.

    Both are zero for draws without an optimum.
    """
    law = belief.law
    if not of_size_and_data(law):
        raise InputError(
            f"the {law.name} law has no best size: it speaks of {', '.join(law.variables)}",
            "ask for a loss, or choose a law of params and tokens",
        )
    slopes, bends = zip(*(_of_draw(belief, theta, flops) for theta in belief.theta), strict=True)
    if not any(bends):
        raise InputError(f"the {law.name} law has no best size at {flops:.3g} FLOPs", "ask for a loss instead")
    return np.array(slopes), np.array(bends)


def _of_draw(belief: Belief, theta: Array, flops: float) -> tuple[Array, float]:
    """Implicit function theorem: d ln N* = -(d2f / dv dtheta) / (d2f / dv2), v = ln N, by differences about the optimum."""
    law = belief.law
    try:
        best = law.from_theta(theta, belief.centre).optimum(flops)
    except InputError:
        return np.zeros(theta.size), 0.0
    params = best.params * np.exp(STEP * np.array([-1, 0, 1]))
    f, J = law.gradient(theta, law.inputs(belief.centre, params, flops / 6 / params))
    bend = float(f[0, 0] - 2 * f[0, 1] + f[0, 2]) / STEP**2
    if not bend > 0:
        return np.zeros(theta.size), 0.0
    return np.asarray(-(J[0, :, 2] - J[0, :, 0]) / (2 * STEP) / bend), bend
