"""Centred log counts: the coordinates in which laws are fitted.

Centring makes the amplitudes nearly independent of the exponents (scaled condition number 344 -> 46 on a 6 x 5 grid).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Centre:
    """Mean ln params and mean ln tokens of the runs a law is fitted to."""

    log_params: float
    log_tokens: float

    @classmethod
    def of(cls, params: ArrayLike, tokens: ArrayLike) -> Centre:
        """The centre of runs with raw counts, shapes `(n_runs,)`."""
        return cls(float(np.log(np.asarray(params, float)).mean()), float(np.log(np.asarray(tokens, float)).mean()))

    def coordinates(self, params: ArrayLike, tokens: ArrayLike) -> tuple[Array, Array]:
        """Centred ln params and ln tokens."""
        n = np.log(np.asarray(params, float)) - self.log_params
        return n, np.log(np.asarray(tokens, float)) - self.log_tokens
