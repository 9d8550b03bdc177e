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
NEAR = 0.04  # of the cell's lowest loss (ln): beyond it the surface is no cubic (tests/benchmarks/step_law.py)
PASSES = 40  # of moving the centre to the optimum
SETTLED = 1e-5  # nats of learning rate or batch: a pass that moves the optimum less ends the search
LONGEST = 1.0  # nats that a pass may move it


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


@dataclass(frozen=True)
class _Surface:
    """One surface for all cells, about its own optimum.

    The optimum lies at `centre` `(2, 3)` times (1, n, d) plus what the first nine `coefficients` leave of it: none once
    the fit has settled. `covariance` is of all coefficients.
    """

    centre: Array
    coefficients: Array
    covariance: Array
    scale: float
    df: int


def tune(runs: TuningRuns, *, params: float, tokens: float, level: float = 0.9) -> TunedSetting:
    """The optimum at (params, tokens) by one surface for all cells.

    In each cell (params, tokens) ln loss is its lowest value plus one cubic, the same in all cells, of how far ln lr and
    ln batch lie from the optimum (at the published optima it is lopsided: too high a rate costs more than too low a one);
    the optimum moves as a power of params and tokens. Without the third-order terms where runs are few. Only runs
    within 4 % of their cell's lowest loss count. Raises InputError when the surface has no minimum.
    """
    kept, cell = _near_optimum(runs)
    columns = [np.log(getattr(runs, name)[kept]) for name in ("params", "tokens", "lr_peak", "batch_tokens")]
    middles = [float(column.mean()) for column in columns]
    n, d, x, y = (column - middle for column, middle in zip(columns, middles, strict=True))
    cells, index = np.unique(cell[kept], return_inverse=True)
    surface = _fit(n, d, x, y, np.eye(cells.size)[index], np.log(runs.loss[kept]))
    at = (math.log(params) - middles[0], math.log(tokens) - middles[1])
    left, J = _optimum(surface.coefficients[:9], at)
    best = surface.centre @ np.array([1.0, *at]) + left
    sd = np.sqrt(np.einsum("ip,pq,iq->i", J, surface.covariance[:9, :9], J))
    half = t_quantile(level, surface.df) * sd
    with np.errstate(over="ignore"):  # what overflows is refused below
        low, middle, high = (np.exp(best + shift + middles[2:]) for shift in (-half, 0.0, half))
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
        n_runs=int(kept.sum()),
        n_cells=cells.size,
        scale=surface.scale,
    )


def _fit(n: Array, d: Array, x: Array, y: Array, cells: Array, log_loss: Array) -> _Surface:
    """The parabola; then, from its optimum, the cubic, if the runs suffice and it settles.

    n, d, x, y `(m,)` are ln params, ln tokens, ln lr, ln batch, centred; `cells` `(m, n_cells)` says who is where.
    """
    parabola = _pass(n, d, x, y, cells, log_loss, np.zeros((2, 3)), cubic=False)
    surface = parabola
    for _ in range(PASSES if log_loss.size >= 13 + cells.shape[1] + SPARE else 0):
        try:
            move = _move(surface.coefficients)
        except InputError:
            break
        surface = _pass(n, d, x, y, cells, log_loss, surface.centre + move, cubic=True)
        if np.abs(move).max() < SETTLED:
            return surface
    return parabola


def _pass(
    n: Array, d: Array, x: Array, y: Array, cells: Array, log_loss: Array, centre: Array, *, cubic: bool
) -> _Surface:
    """Linear least squares (Huber-weighted) in u, v = x, y less the centre, and an intercept a cell."""
    u, v = np.stack([x, y]) - centre @ np.stack([np.ones_like(n), n, d])
    terms = [u * u, u, u * n, u * d, v * v, v, v * n, v * d, u * v]
    terms += [u**3, u * u * v, u * v * v, v**3] if cubic else []
    design = np.column_stack([*terms, cells])
    df = design.shape[0] - design.shape[1]
    if df < SPARE:
        raise InputError(
            f"{design.shape[0]} runs near their optimum are too few for {design.shape[1]} coefficients",
            "widen the grid of learning rates and batches, or add seeds",
        )
    return _Surface(centre, *_huber_regression(design, log_loss), df)


def _move(coefficients: Array) -> Array:
    """How the optimum of the surface's second-order part moves with (1, n, d), `(2, 3)`, at most `LONGEST`."""
    start = _optimum(coefficients[:9], (0.0, 0.0))[0]
    along = [_optimum(coefficients[:9], at)[0] - start for at in ((1.0, 0.0), (0.0, 1.0))]
    return np.clip(np.column_stack([start, *along]), -LONGEST, LONGEST)


def _near_optimum(runs: TuningRuns) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.bool_]], Array]:
    """Runs within 4 % of the second lowest loss of their cell (one lucky or broken run must not set the mark)."""
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
