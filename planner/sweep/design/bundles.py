"""What can be bought: one run, or a constant-rate trunk with several cooldown branches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError
from planner.laws.centre import Array

Index = NDArray[np.intp]

CORRELATION = 0.5  # of the noise of two branches of one trunk: assumed until two trunks of three branches measure it
COOLDOWN = 0.15  # share of a branch's tokens that its cooldown takes
BRANCH_RATIO = 2.0  # tokens of neighbouring branches, at least


@dataclass(frozen=True)
class Bundles:
    """Bundle b trains the cells `cells[b]` `(n, q)` once for `cost[b]` `(n,)`, any one unit.

    `precision` `(n, q, q)` is the inverse covariance of the ln losses of one copy. Shorter bundles are padded: padding
    has zero precision and the cell of the bundle's first run.
    """

    cells: Index
    cost: Array
    precision: Array

    @property
    def runs(self) -> Index:
        """Losses that one copy gives, `(n,)`."""
        return np.asarray((np.diagonal(self.precision, axis1=1, axis2=2) > 0).sum(1))

    def at(self, keep: NDArray[np.bool_]) -> Bundles:
        """The bundles where `keep` holds."""
        return Bundles(self.cells[keep], self.cost[keep], self.precision[keep])


def single_runs(cost: Array, noise: Array) -> Bundles:
    """One bundle per cell; `noise` `(n_cells,)` is the sd of ln loss between seeds."""
    precision = (np.asarray(noise, float) ** -2)[:, None, None]
    return Bundles(np.arange(precision.size)[:, None], np.asarray(cost, float), precision)


def trunk_bundles(
    params: Array,
    tokens: Array,
    cost: Array,
    noise: Array,
    *,
    correlation: float = CORRELATION,
    cooldown: float = COOLDOWN,
) -> Bundles:
    """A trunk for every cell that has cells of the same size and at most half its tokens: branches in steps of two or more.

    A trunk to D trains 1 - cooldown of it once, every branch adds the cooldown share of its own: cost = (1 - f) c_top +
    f sum c_branch. Losses of one trunk have covariance sigma^2 [(1 - rho) I + rho 11']. There may be none.
    """
    if not (0 <= correlation < 1 and 0 < cooldown < 1):
        raise InputError(
            f"a trunk with correlation {correlation:g} and cooldown share {cooldown:g}",
            "correlation from 0 to below 1, cooldown between 0 and 1",
        )
    ladders = [ladder for top in range(params.size) if len(ladder := _branches(params, tokens, top)) > 1]
    widest = max(map(len, ladders), default=1)
    cells = np.array([ladder + ladder[:1] * (widest - len(ladder)) for ladder in ladders], np.intp).reshape(-1, widest)
    precision = np.zeros((len(ladders), widest, widest))
    for ladder, own in zip(ladders, precision, strict=True):
        k = len(ladder)
        shared = (1 - correlation) * np.eye(k) + correlation
        own[:k, :k] = np.linalg.inv(shared * np.outer(noise[ladder], noise[ladder]))
    paid = [float((1 - cooldown) * cost[ladder[0]] + cooldown * cost[ladder].sum()) for ladder in ladders]
    return Bundles(cells, np.array(paid), precision)


def _branches(params: Array, tokens: Array, top: int) -> list[int]:
    """The cell `top` and those of its size below it, each with at most half the tokens of the one before."""
    ladder = [top]
    for cell in sorted(np.flatnonzero(params == params[top]), key=lambda cell: -tokens[cell]):
        if tokens[cell] <= tokens[ladder[-1]] / BRANCH_RATIO * (1 + 1e-9):
            ladder.append(int(cell))
    return ladder


def joined(*parts: Bundles) -> Bundles:
    """All bundles in one list, in order."""
    widest = max(part.cells.shape[1] for part in parts)
    cells = [np.pad(part.cells, ((0, 0), (0, widest - part.cells.shape[1])), mode="edge") for part in parts]
    wide = [widest - part.cells.shape[1] for part in parts]
    precision = [np.pad(part.precision, ((0, 0), (0, w), (0, w))) for part, w in zip(parts, wide, strict=True)]
    return Bundles(np.concatenate(cells), np.concatenate([part.cost for part in parts]), np.concatenate(precision))
