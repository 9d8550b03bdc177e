"""Centred logs of a law's variables: the coordinates in which laws of powers are fitted.

Centring makes the amplitudes nearly independent of the exponents (scaled condition number 344 -> 46 on a 6 x 5 grid).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Centre:
    """Mean ln of each variable over the runs a law is fitted to, in the law's order (zero where a value is not positive)."""

    logs: tuple[float, ...]

    @classmethod
    def of(cls, *columns: ArrayLike) -> Centre:
        """The centre of runs with raw values, one column `(n_runs,)` per variable."""
        values = [np.asarray(column, float) for column in columns]
        return cls(tuple(float(np.log(value).mean()) if (value > 0).all() else 0.0 for value in values))

    def coordinates(self, *columns: ArrayLike) -> Array:
        """Centred logs `(v, m)` of raw columns `(m,)`."""
        logs = zip(columns, self.logs, strict=True)
        return np.stack([np.log(np.asarray(column, float)) - log for column, log in logs])
