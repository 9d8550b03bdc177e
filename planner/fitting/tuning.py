"""Where the best learning rate and batch lie, from a grid of runs at several sizes and data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planner.errors import InputError
from planner.fitting.estimate import t_quantile
from planner.fitting.objective import MAD_TO_SD, TUNING
from planner.laws.centre import Array

ROUNDS = 20  # of re-weighting against mistuned and broken runs
SPARE = 5  # runs more than coefficients: with fewer the noise is a guess
NEAR = 0.02  # of the cell's lowest loss (ln): beyond it the surface is no parabola


@dataclass(frozen=True)
class TuningRuns:
    """A grid of runs; arrays `(n_runs,)`: counts and batch raw, loss in nats per token."""

    params: Array
    tokens: Array
    lr_peak: Array
    batch_tokens: Array
    loss: Array


@dataclass(frozen=True)
class TunedSetting:
    """The best learning rate and batch (tokens) at (params, tokens), each with its interval at `level`.

    `n_runs` near-optimal runs in `n_cells` cells were used; `scale` is the residual sd of ln loss.
    """

    params: float
    tokens: float
    lr_peak: float
    lr_interval: tuple[float, float]
    batch_tokens: float
    batch_interval: tuple[float, float]
    level: float
    n_runs: int
    n_cells: int
    scale: float


def tune(runs: TuningRuns, *, params: float, tokens: float, level: float = 0.9) -> TunedSetting:
    """The optimum at (params, tokens) by one quadratic surface for all cells.

    In each cell (params, tokens) ln loss is a parabola in ln lr and ln batch with common curvature; the optimum moves
    as a power of params and tokens. With an intercept a cell this is linear least squares (Huber-weighted) in
    (x^2, x, x n, x d, y^2, y, y n, y d, x y), x = ln lr, y = ln batch, n = ln params, d = ln tokens, all centred.
    Only runs within 2 % of their cell's lowest loss count. Raises InputError when the surface has no minimum.
    """
    kept, cell = _near_optimum(runs)
    columns = [np.log(getattr(runs, name)[kept]) for name in ("params", "tokens", "lr_peak", "batch_tokens")]
    centre = [float(column.mean()) for column in columns]
    n, d, x, y = (column - middle for column, middle in zip(columns, centre, strict=True))
    cells, index = np.unique(cell[kept], return_inverse=True)
    surface = np.column_stack([x * x, x, x * n, x * d, y * y, y, y * n, y * d, x * y])
    design = np.column_stack([surface, np.eye(cells.size)[index]])
    if design.shape[0] < design.shape[1] + SPARE:
        raise InputError(
            f"{design.shape[0]} runs near their optimum are too few for {design.shape[1]} coefficients",
            "widen the grid of learning rates and batches, or add seeds",
        )
    coefficients, covariance, scale = _huber_regression(design, np.log(runs.loss[kept]))
    df = design.shape[0] - design.shape[1]
    at = (math.log(params) - centre[0], math.log(tokens) - centre[1])
    best, J = _optimum(coefficients[:9], at)
    sd = np.sqrt(np.einsum("ip,pq,iq->i", J, covariance[:9, :9], J))
    half = t_quantile(level, df) * sd
    with np.errstate(over="ignore"):  # what overflows is refused below
        low, middle, high = (np.exp(best + shift + centre[2:]) for shift in (-half, 0.0, half))
    if not np.isfinite([*low, *high]).all() or not (low > 0).all():
        raise InputError("learning rate and batch are not identified by these runs", "widen the grid, or add seeds")
    return TunedSetting(
        params=params,
        tokens=tokens,
        lr_peak=float(middle[0]),
        lr_interval=(float(low[0]), float(high[0])),
        batch_tokens=float(middle[1]),
        batch_interval=(float(low[1]), float(high[1])),
        level=level,
        n_runs=design.shape[0],
        n_cells=cells.size,
        scale=scale,
    )


def _near_optimum(runs: TuningRuns) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.bool_]], Array]:
    """Runs within 2 % of the second lowest loss of their cell (one lucky or broken run must not set the mark)."""
    cell = _levels(runs.params) * 1000 + _levels(runs.tokens)
    kept = np.zeros(cell.size, bool)
    for value in np.unique(cell):
        here = cell == value
        ordered = np.sort(runs.loss[here])
        mark = ordered[min(1, ordered.size - 1)]
        kept |= here & (runs.loss <= mark * math.exp(NEAR)) & (here.sum() >= 3)
    return kept, cell


def _levels(values: Array) -> Array:
    """The number of each value's cluster: neighbours within 2 % are one (whole steps round the tokens)."""
    order = np.argsort(values)
    jumps = np.diff(np.log(values[order]), prepend=np.log(values[order[0]])) > 0.02
    levels = np.empty(values.size)
    levels[order] = np.cumsum(jumps)
    return levels


def _huber_regression(design: Array, target: Array) -> tuple[Array, Array, float]:
    weight = np.ones(target.size)
    scale = 0.0
    for _ in range(ROUNDS):
        rooted = np.sqrt(weight)[:, None]
        solution = np.linalg.lstsq(design * rooted, target * rooted[:, 0], rcond=None)[0]
        residual = target - design @ solution
        freedom = target.size / max(target.size - design.shape[1], 1)
        scale = max(MAD_TO_SD * float(np.median(np.abs(residual))) * math.sqrt(freedom), 1e-9)
        weight = np.minimum(1.0, TUNING * scale / np.maximum(np.abs(residual), 1e-300))
    information = (design * weight[:, None]).T @ design
    return np.asarray(solution, float), np.asarray(np.linalg.pinv(information, hermitian=True) * scale**2, float), scale


def _optimum(c: Array, at: tuple[float, float]) -> tuple[Array, Array]:
    """The surface's minimum (x, y) at centred (n, d), and its derivative in the nine coefficients, `(2, 9)`."""
    n, d = at
    H = np.array([[2 * c[0], c[8]], [c[8], 2 * c[4]]])
    if np.linalg.eigvalsh(H)[0] <= 0:
        raise InputError(
            "the loss has no minimum in learning rate and batch over these runs", "widen the grid on both sides"
        )
    pull = np.array([c[1] + c[2] * n + c[3] * d, c[5] + c[6] * n + c[7] * d])
    best = -np.linalg.solve(H, pull)
    # d best = -H^-1 (d pull + dH best)
    change = np.zeros((2, 9))
    change[0, 0], change[1, 4] = 2 * best[0], 2 * best[1]
    change[0, 1:4], change[1, 5:8] = (1, n, d), (1, n, d)
    change[0, 8], change[1, 8] = best[1], best[0]
    return best, -np.linalg.solve(H, change)
