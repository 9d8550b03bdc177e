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

STEP = 1e-4  # of a coordinate, for differences of the best size
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
        """Implicit function theorem: d ln N* = -(d2f/dv dtheta) / (d2f/dv2), v = ln N along 6 x params x tokens = flops.

        Both by differences of the law's slopes about the law's own optimum; draws that have no best size are left out.
        """
        law = belief.law
        if not of_size_and_data(law):
            raise InputError(
                f"the {law.name} law has no best size: it speaks of {', '.join(law.variables)}",
                "ask for a loss, or choose a law of params and tokens",
            )
        rows = [self._draw(belief, theta) for theta in belief.theta]
        if not any(row.any() for row in rows):
            raise InputError(f"the {law.name} law has no best size at {self.flops:.3g} FLOPs", "ask for a loss instead")
        return np.array(rows)[:, :, None]

    def _draw(self, belief: Belief, theta: Array) -> Array:
        """Derivative `(p,)` of one draw; zero where it has no optimum."""
        law = belief.law
        try:
            best = law.from_theta(theta, belief.centre).optimum(self.flops)
        except InputError:
            return np.zeros(theta.size)
        h = 0.01
        params = best.params * np.exp(np.array([-h, 0, h]))
        f, J = law.gradient(theta, law.inputs(belief.centre, params, self.flops / 6 / params))
        bend = float(f[0, 0] - 2 * f[0, 1] + f[0, 2]) / h**2
        if not bend > 0:
            return np.zeros(theta.size)
        return np.asarray(-(J[0, :, 2] - J[0, :, 0]) / (2 * h) / bend)
