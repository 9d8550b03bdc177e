"""What a law shows of itself: typical letters, runs that tell them apart, its limits and its directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from planner.laws.centre import Array


@dataclass(frozen=True)
class Limit:
    """Where columns take extreme values, the law is another formula of its letters and the columns left."""

    columns: Mapping[str, float]
    formula: str


@dataclass(frozen=True)
class Example:
    """Typical letters (not a fit), a design that identifies them, and what must hold there.

    `columns` has one array `(m,)` per variable; `falls` and `rises` name the columns whose growth alone always lowers or
    raises the value on the design.
    """

    letters: Mapping[str, float]
    columns: Mapping[str, Array]
    limits: tuple[Limit, ...] = ()
    falls: tuple[str, ...] = ()
    rises: tuple[str, ...] = ()


def crossed(**axes: Array | tuple[float, ...]) -> dict[str, Array]:
    """Every combination of the axes' values, as one flat array per axis."""
    grids = np.meshgrid(*(np.asarray(values, float) for values in axes.values()), indexing="ij")
    return {name: grid.ravel() for name, grid in zip(axes, grids, strict=True)}


def spaced(low: float, high: float, count: int) -> Array:
    """`count` values in equal ratios."""
    return np.geomspace(low, high, count)
