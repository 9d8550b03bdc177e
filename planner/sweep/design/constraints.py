"""What a plan must have beside precision: levels, spread, reach, replicates; and what it may not exceed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.laws.centre import Array

Mask = NDArray[np.bool_]
SAME = 0.05  # of ln tokens or ln params: closer counts as one level


@dataclass(frozen=True)
class Constraints:
    """Numbers of runs and levels; None or 1 leaves one out.

    `ratio_spread`: the largest tokens per parameter over the smallest. `reach`: at least one run with the largest affordable
    compute over this factor. `levels`: distinct sizes, and distinct amounts of data. `top_seeds` of the largest cell, and
    `cheap_seeds` each of `cheap_cells` others (2, 3 and 2: a pure-error sd and a test of fit).
    """

    max_runs: int | None = None
    max_per_cell: int | None = None
    ratio_spread: float = 8.0
    reach: float = 10.0
    levels: int = 3
    top_seeds: int = 2
    cheap_seeds: int = 3
    cheap_cells: int = 2

    @classmethod
    def none(cls) -> Constraints:
        """Nothing but the budget."""
        return cls(None, None, 1.0, np.inf, 1, 1, 1, 0)


@dataclass(frozen=True)
class Grid:
    """The cells as constraints see them `(m,)`: raw counts, runs already done, and the compute that `reach` starts from."""

    params: Array
    tokens: Array
    done: NDArray[np.intp]
    largest_flops: float

    @property
    def flops(self) -> Array:
        """6 x params x tokens."""
        return 6 * self.params * self.tokens


@dataclass(frozen=True)
class Need:
    """A constraint that runs do not meet yet: what it is called, which cells would help, and how many runs there."""

    name: str
    helps: Mask
    runs: int = 1


def unmet(rules: Constraints, grid: Grid, planned: Array) -> Need | None:
    """The first constraint that `planned` runs per cell `(m,)`, with those done, do not meet; None when all hold."""
    runs = planned + grid.done
    there = runs > 0
    for name, values in (("sizes", grid.params), ("amounts of data", grid.tokens)):
        if _levels(values[there]).size < rules.levels:
            return Need(f"{rules.levels} {name}", ~_near(values, values[there]))
    need = _reach(rules, grid, there) or _spread(rules, grid, there)
    return need or _top(rules, grid, runs) or _cheap(rules, grid, runs)


def _levels(values: Array) -> Array:
    """Distinct levels of raw counts."""
    return np.unique(np.round(np.log(values) / SAME))


def _near(values: Array, seen: Array) -> Mask:
    return np.isin(np.round(np.log(values) / SAME), _levels(seen))


def _reach(rules: Constraints, grid: Grid, there: Mask) -> Need | None:
    far = grid.flops >= grid.largest_flops / rules.reach * (1 - 1e-9)
    if not np.isfinite(rules.reach) or (far & there).any():
        return None
    return Need(f"a run within {rules.reach:g}x of the largest affordable", far)


def _spread(rules: Constraints, grid: Grid, there: Mask) -> Need | None:
    ratio = grid.tokens / grid.params
    low, high = (ratio[there].min(), ratio[there].max()) if there.any() else (np.inf, 0.0)
    if rules.ratio_spread <= 1 or high >= low * rules.ratio_spread * (1 - 1e-9):
        return None
    helps = (ratio >= low * rules.ratio_spread) | (ratio <= high / rules.ratio_spread)
    return Need(f"tokens per parameter spread over {rules.ratio_spread:g}x", helps if there.any() else ~there)


def _top(rules: Constraints, grid: Grid, runs: Array) -> Need | None:
    if rules.top_seeds <= 1:
        return None
    top = int(np.argmax(np.where(runs > 0, grid.flops, -1)))
    wanted = rules.top_seeds - int(runs[top])
    return (
        Need(f"{rules.top_seeds} seeds of the largest cell", np.arange(runs.size) == top, wanted)
        if wanted > 0
        else None
    )


def _cheap(rules: Constraints, grid: Grid, runs: Array) -> Need | None:
    top = int(np.argmax(np.where(runs > 0, grid.flops, -1)))
    seeded = runs >= rules.cheap_seeds
    seeded[top] = False
    if rules.cheap_seeds <= 1 or seeded.sum() >= rules.cheap_cells:
        return None
    rest = (runs > 0) & ~seeded
    rest[top] = False
    candidates = rest if rest.any() else ~seeded & (np.arange(runs.size) != top)
    first = int(np.argmin(np.where(candidates, (rules.cheap_seeds - runs) * grid.flops, np.inf)))
    return Need(
        f"{rules.cheap_seeds} seeds at {rules.cheap_cells} cheap cells",
        np.arange(runs.size) == first, rules.cheap_seeds - int(runs[first]),
    )  # fmt: skip
