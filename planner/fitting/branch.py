"""Branch and bound over cells of (alpha, beta): how far below the incumbent can the optimum be?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.engines import Engine, here
from planner.fitting.relaxed import Relative
from planner.laws.centre import Array

FIRST_CELLS = 16  # per exponent
BATCH = 200  # cells split at a time, the lowest bounds first
CHUNK, LEAST, MOST = (
    100_000,
    12,
    100,
)  # cells x runs bounded together, which stay in cache; and cells, at least and at most


@dataclass(frozen=True)
class Bound:
    """What branch and bound proved of the additive law in relative residuals, for exponents within `box`.

    No law there has an objective below `lower`; one at `alpha`, `beta` has `upper`. `cells` were bounded. When `proven`
    is false the limit of cells was reached before the gap closed to the tolerance, and `lower` is what is known so far.
    """

    lower: float
    upper: float
    alpha: float
    beta: float
    box: tuple[float, float]
    cells: int
    tolerance: float
    proven: bool

    @property
    def gap(self) -> float:
        """(upper - lower) / upper."""
        return (self.upper - self.lower) / self.upper if self.upper > 0 else 0.0

    def __str__(self) -> str:
        """One sentence, which says so when nothing was proven."""
        said = "proven" if self.proven else f"not proven within the limit of {self.cells} cells"
        return f"global optimum {said}: objective {self.upper:.8g}, at most {self.gap:.1e} lower anywhere"


def branch_and_bound(
    runs: Relative,
    incumbent: tuple[float, float],
    box: tuple[float, float],
    *,
    tolerance: float,
    limit: int,
    engine: Engine = here,
) -> Bound:
    """Cells are halved both ways until each one's lower bound is within `tolerance` (relative) of the best objective.

    `incumbent` is an (alpha, beta) to begin with; centres of cells replace it where they are lower. Stops after `limit`
    cells. `engine` bounds the cells.
    """
    best, at = float(runs.profile(*_columns(incumbent))[0]), incumbent
    edges = np.geomspace(*box, FIRST_CELLS + 1)
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    centre = np.stack([column.ravel() for column in np.meshgrid(middle, middle)], axis=1)
    width = np.stack([column.ravel() for column in np.meshgrid(half, half)], axis=1)
    bound = _bounded(runs, centre, width, best, engine)
    cells, closed = len(centre), np.inf
    while True:
        done = bound >= best * (1 - tolerance)
        closed = min(closed, float(bound[done].min(initial=np.inf)))
        centre, width, bound = centre[~done], width[~done], bound[~done]
        if not len(bound) or cells >= limit:
            break
        order = np.argsort(bound)
        now, later = order[:BATCH], order[BATCH:]
        children, halves = _quarters(centre[now], width[now])
        inner = profiles(runs, centre[now, 0], centre[now, 1], engine)
        if inner.min() < best:
            best, at = (
                float(inner.min()),
                (float(centre[now][inner.argmin(), 0]), float(centre[now][inner.argmin(), 1])),
            )
        fresh = np.maximum(_bounded(runs, children, halves, best, engine), np.repeat(bound[now], 4))
        cells += len(children)
        centre, width = np.concatenate([centre[later], children]), np.concatenate([width[later], halves])
        bound = np.concatenate([bound[later], fresh])
    lower = min(closed, float(bound.min(initial=np.inf)), best)
    return Bound(lower, best, *at, box=box, cells=cells, tolerance=tolerance, proven=not len(bound))


def profiles(runs: Relative, alpha: Array, beta: Array, engine: Engine = here) -> Array:
    """`runs.profile` at exponents `(S,)`, chunk by chunk."""
    parts = [(runs, alpha[part], beta[part]) for part in _parts(runs, alpha.size)]
    found: Array = np.concatenate([*engine(_profile, parts)])
    return found


def _bounded(runs: Relative, centre: Array, half: Array, best: float, engine: Engine) -> Array:
    parts = [(runs, centre[part], half[part], best) for part in _parts(runs, len(centre))]
    found: Array = np.maximum(np.concatenate([*engine(_bound, parts)]), 0.0)
    return found


def _parts(runs: Relative, number: int) -> list[slice]:
    size = min(max(CHUNK // runs.loss.size, LEAST), MOST)
    return [slice(first, first + size) for first in range(0, number, size)]


def _profile(part: tuple[Relative, Array, Array]) -> Array:
    runs, alpha, beta = part
    return runs.profile(alpha, beta)


def _bound(part: tuple[Relative, Array, Array, float]) -> Array:
    runs, centre, half, best = part
    return runs.lower_bound(centre[:, 0], centre[:, 1], half, best)


def _quarters(centre: Array, half: Array) -> tuple[Array, Array]:
    signs: NDArray[np.float64] = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], float)
    children = centre[:, None] + signs * half[:, None] / 2
    return children.reshape(-1, 2), np.repeat(half / 2, 4, axis=0)


def _columns(pair: tuple[float, float]) -> tuple[Array, Array]:
    return np.array([pair[0]]), np.array([pair[1]])
