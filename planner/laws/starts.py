"""Starting points by variable projection: a grid of exponents, the amplitudes solved exactly in each cell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from planner.laws.centre import Array

EXPONENTS = np.geomspace(0.05, 1.2, 16)
# Non-negative least squares in three variables, by trying every set of positive ones.
_ACTIVE_SETS = ((0, 1), (0, 2), (1, 2), (0,), (1,), (2,))


def additive_starts(
    n: Array, d: Array, loss: Array, weight: Array, *, grids: Mapping[str, Array] | None = None, keep: int = 3
) -> Array:
    """The `keep` best local minima of the (alpha, beta) grid as theta = (ln E, ln A', ln B', alpha, beta), `(keep, 5)`.

    Loss is regressed on (1, e^(-alpha n), e^(-beta d)) with weights weight/loss^2, so relative errors count.
    Shapes: n, d, loss, weight `(m,)`; `grids` replaces the values tried for alpha or beta.
    """
    alphas, betas = ((grids or {}).get(letter, EXPONENTS) for letter in ("alpha", "beta"))
    amplitudes, misfit = _grid(np.exp(-np.outer(alphas, n)), np.exp(-np.outer(betas, d)), loss, weight / loss**2)
    cells = _local_minima(misfit, keep)
    first, second = np.divmod(cells, betas.size)
    floor = 1e-3 * loss.min()  # a term at zero has no logarithm
    logs = np.log(np.maximum(amplitudes.reshape(-1, 3)[cells], floor))
    return np.concatenate([logs, alphas[first][:, None], betas[second][:, None]], axis=1)


def _grid(size: Array, data: Array, loss: Array, weight: Array) -> tuple[Array, Array]:
    """Amplitudes `(g, h, 3)` and misfit `(g, h)` of the non-negative fit in each cell of the grid."""
    gram, right = np.empty((len(size), len(data), 3, 3)), np.empty((len(size), len(data), 3))
    weighted_size, weighted_data, pulled = size * weight, data * weight, weight * loss
    gram[..., 0, 0] = weight.sum()
    gram[..., 1, 1] = (weighted_size * size).sum(1)[:, None]
    gram[..., 2, 2] = (weighted_data * data).sum(1)
    gram[..., 0, 1] = gram[..., 1, 0] = weighted_size.sum(1)[:, None]
    gram[..., 0, 2] = gram[..., 2, 0] = weighted_data.sum(1)
    gram[..., 1, 2] = gram[..., 2, 1] = weighted_size @ data.T
    right[..., 0] = pulled.sum()
    right[..., 1] = (size @ pulled)[:, None]
    right[..., 2] = data @ pulled
    grams, rights = gram.reshape(-1, 3, 3), right.reshape(-1, 3)
    amplitudes = _solve_active(grams, rights, (0, 1, 2))
    gained = (amplitudes * rights).sum(1)
    outside = np.flatnonzero(~(amplitudes > 0).all(1))
    if outside.size:
        amplitudes[outside], gained[outside] = _nonnegative(grams[outside], rights[outside])
    shape = (len(size), len(data))
    return amplitudes.reshape(*shape, 3), float(pulled @ loss) - gained.reshape(shape)


def _nonnegative(gram: Array, right: Array) -> tuple[Array, Array]:
    """The best of the smaller active sets, for cells whose unconstrained fit has a negative amplitude."""
    best, amplitudes = np.full(len(right), -np.inf), np.zeros_like(right)
    for active in _ACTIVE_SETS:
        solved = _solve_active(gram, right, active)
        gained = np.where((solved > 0).all(1), (solved * right[:, active]).sum(1), -np.inf)
        better = np.flatnonzero(gained > best)
        best[better] = gained[better]
        amplitudes[better] = 0.0
        amplitudes[better[:, None], active] = solved[better]
    return amplitudes, best


def _solve_active(gram: Array, right: Array, active: tuple[int, ...]) -> Array:
    A = gram[:, active, :][:, :, active]
    scale = 1 / np.sqrt(np.einsum("cii->ci", A))
    A = A * scale[:, :, None] * scale[:, None, :] + 1e-12 * np.eye(len(active))
    return np.asarray(np.linalg.solve(A, (right[:, active] * scale)[..., None])[..., 0] * scale)


def _local_minima(misfit: Array, keep: int) -> NDArray[np.intp]:
    """Flat indices `(keep,)` of the lowest cells not above their neighbours, padded with the lowest of all."""
    wall = np.pad(misfit, 1, constant_values=np.inf)
    neighbours = np.minimum(np.minimum(wall[:-2, 1:-1], wall[2:, 1:-1]), np.minimum(wall[1:-1, :-2], wall[1:-1, 2:]))
    score = np.where(misfit <= neighbours, misfit, np.inf).ravel()
    order = np.argsort(score)[:keep]
    lowest = int(np.argmin(misfit))
    padded = np.full(keep, lowest, np.intp)
    padded[: order.size] = np.where(np.isfinite(score[order]), order, lowest)
    return padded
