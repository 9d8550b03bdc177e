"""What is known before runs of ideas are looked at: the law, and the noise of each run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.decisions.pairs import Arms
from planner.laws.centre import Array, Centre
from planner.laws.law import Law


@dataclass(frozen=True)
class Belief:
    """What is known of the law: its class, centred `theta` `(p,)`, and its covariance `(p, p)`; None takes it for exact."""

    law: type[Law]
    centre: Centre
    theta: Array
    covariance: Array | None = None

    @classmethod
    def exact(cls, law: Law) -> Belief:
        """A law taken for true."""
        centre = Centre((math.log(1e9), math.log(2e10)))
        return cls(type(law), centre, law.theta(centre))

    @classmethod
    def vague(cls, law: type[Law], arms: Arms) -> Belief:
        """The weak prior of the law, for the arms' own runs to settle."""
        centre = Centre.of(arms.params, arms.tokens)
        prior = law.prior(np.log(arms.loss[arms.arm == 0]))
        return cls(law, centre, prior.mean, np.diag(prior.sd**2))


@dataclass(frozen=True)
class Noise:
    """Sd of ln loss of each run `(n_runs,)`: `own`, and `shared` by the runs of one pair (inf: levels are left free)."""

    own: Array
    shared: Array

    @classmethod
    def correlated(cls, sd: Array, rho: float) -> Noise:
        """From the sd of one run and the correlation of two runs of a pair."""
        return cls(sd * math.sqrt(1 - rho), sd * math.sqrt(rho))

    def at(self, keep: NDArray[np.bool_]) -> Noise:
        """The noise of some of the runs."""
        return Noise(self.own[keep], self.shared[keep])
