"""What may make a run take longer than planned: attempts that are lost, and hours that no model knows exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planner.costs.run_cost import PRODUCTION_SPREAD
from planner.errors import InputError
from planner.laws.centre import Array

# Of the variance of ln(modelled / published hours) of 36 dense runs, the share that runs of one lab have in common
# (one-way analysis of variance over 17 labs' families, tests/benchmarks/schedule.py).
COMMON_SHARE = 0.48


@dataclass(frozen=True)
class Risk:
    """Failures and the spread of hours.

    - `failure_rate`: probability that an attempt at a run is lost and started anew on the same nodes: 0.04, the failures
      (0.03) and divergences (0.01) of a sweep file's `[lab]`. Stops that resume from a checkpoint are not meant: planned
      hours hold them already (`costs.reliability`; under 1 % of hours on 256 chips).
    - `lost`: the share of a run's hours that a lost attempt took, on average.
    - `spread`: sd of ln hours, of which COMMON_SHARE of the variance is one draw for all runs.
    """

    failure_rate: float = 0.04
    lost: float = 0.5
    spread: float = PRODUCTION_SPREAD

    def __post_init__(self) -> None:
        """Raise InputError for a rate or spread that no lab has."""
        _require(0 <= self.failure_rate <= 0.9, "failure rate", self.failure_rate, "0 to 0.9; 0.04 is the default")
        _require(0 <= self.lost <= 1, "share lost by a failure", self.lost, "0 to 1")
        _require(0 <= self.spread <= 2, "spread of ln hours", self.spread, "0 to 2; 0.29 is the default")

    @property
    def common_sd(self) -> float:
        """Sd of ln hours that all runs of a plan have in common."""
        return self.spread * math.sqrt(COMMON_SHARE)

    @property
    def own_sd(self) -> float:
        """Sd of ln hours of each run by itself."""
        return self.spread * math.sqrt(1 - COMMON_SHARE)

    @property
    def expected(self) -> float:
        """Expected over planned hours, the common draw at its median: attempts lost, and the mean of a lognormal."""
        return (1 + self.failure_rate / (1 - self.failure_rate) * self.lost) * math.exp(self.own_sd**2 / 2)

    def draws(self, n_runs: int, repeats: int, seed: int) -> Array:
        """Real over planned hours, the common draw apart `(repeats, n_runs)`."""
        rng = np.random.default_rng(seed)
        failures = rng.geometric(1 - self.failure_rate, size=repeats * n_runs) - 1
        edge = min(self.lost, 1 - self.lost)
        share = rng.uniform(self.lost - edge, self.lost + edge, size=int(failures.sum()))
        lost = np.bincount(np.repeat(np.arange(failures.size), failures), weights=share, minlength=failures.size)
        own = np.exp(self.own_sd * rng.standard_normal((repeats, n_runs)))
        return np.asarray(own * (1 + lost.reshape(repeats, n_runs)))


def _require(fine: bool, name: str, value: float, wanted: str) -> None:
    if not fine:
        raise InputError(f"a {name} of {value:g} is not possible", f"give {wanted}")
