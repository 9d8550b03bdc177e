"""Limited unique data: what training on it again is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from planner.laws.centre import Array
from planner.laws.law import Law
from planner.laws.published.data_constrained import DataConstrainedExcess

_FITTED = DataConstrainedExcess.published[0]
RATIOS = (1e-2, 1e5)  # tokens per parameter between which the size that unique tokens feed is looked for


@dataclass(frozen=True)
class Repeats:
    """Tokens there are once, and how fast repeats of them, and params beyond what they can feed, lose their worth.

    Effective tokens are U (1 + R_D (1 - exp(-(D/U - 1) / R_D))) for D beyond U, effective params likewise beyond N_U with
    R_N, where N_U is the size for which U is the law's own best number of tokens (Muennighoff et al., arXiv 2305.16264,
    eqs. 5-6). R_D and R_N are theirs (C4, 2023), fitted with their law; a sweep without repeats cannot check them.
    """

    unique_tokens: float
    R_D: float = _FITTED.values["R_D"]
    R_N: float = _FITTED.values["R_N"]

    @property
    def source(self) -> str:
        """Where the two constants come from."""
        return _FITTED.source

    @property
    def most_effective(self) -> float:
        """Effective tokens of endless repeats."""
        return self.unique_tokens * (1 + self.R_D)

    def effective_tokens(self, tokens: Array) -> Array:
        """New tokens worth as much as `tokens`, repeats among them."""
        return _decayed(tokens, self.unique_tokens, self.R_D)

    def effective_params(self, params: Array, fed: float) -> Array:
        """Params worth as much as `params` where the unique tokens feed only `fed`."""
        return _decayed(params, fed, self.R_N)

    def tokens_for(self, effective: Array) -> Array:
        """Tokens, repeats among them, worth `effective` new ones; infinite where no number of repeats is."""
        U, R = self.unique_tokens, self.R_D
        left = 1 - np.maximum(effective / U - 1, 0) / R
        with np.errstate(divide="ignore", invalid="ignore"):
            repeated = U * (1 - R * np.log(np.maximum(left, 0)))
        return np.asarray(np.where(effective <= U, effective, repeated))

    def fed(self, law: Law) -> float:
        """N_U: the size whose best split has exactly the unique tokens; an end of RATIOS where it lies beyond."""
        low, high = (math.log(6 * self.unique_tokens**2 / ratio) for ratio in reversed(RATIOS))

        def excess(log_flops: float) -> float:
            return math.log(law.optimum(math.exp(log_flops)).tokens / self.unique_tokens)

        if excess(low) >= 0 or excess(high) <= 0:
            return self.unique_tokens / RATIOS[1 if excess(low) >= 0 else 0]
        return law.optimum(math.exp(brentq(excess, low, high, xtol=1e-12))).params


def _decayed(value: Array, base: float, R: float) -> Array:
    """`value` up to `base`; beyond it each multiple is worth less, R of them at most."""
    beyond = np.maximum(value / base - 1, 0)
    return np.asarray(np.where(value <= base, value, base * (1 + R * -np.expm1(-beyond / R))))
