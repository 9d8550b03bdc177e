"""Starting points by variable projection: a grid of exponents, the amplitudes solved exactly in each cell."""

from __future__ import annotations

import numpy as np

from planner.laws.centre import Array

EXPONENTS = np.geomspace(0.05, 1.2, 16)
# Non-negative least squares in three variables, by trying every set of positive ones.
_ACTIVE_SETS = ((0, 1, 2), (0, 1), (0, 2), (1, 2), (0,), (1,), (2,))


def additive_starts(n: Array, d: Array, loss: Array, weight: Array, keep: int = 3) -> Array:
    """The `keep` best local minima of the (alpha, beta) grid as theta = (ln E, ln A', ln B', alpha, beta).

    Loss is regressed on (1, e^(-alpha n), e^(-beta d)) with weights 1/loss^2, so relative errors count.
    Shapes: n, d `(m,)`; loss, weight `(S, m)`; returns `(S, keep, 5)`.
    """
    relative = weight / loss**2
    amplitudes, misfit = _grid(np.exp(-np.outer(EXPONENTS, n)), np.exp(-np.outer(EXPONENTS, d)), loss, relative)
    cells = _local_minima(misfit, keep)
    problems = np.arange(loss.shape[0])[:, None]
    chosen = amplitudes.reshape(loss.shape[0], -1, 3)[problems, cells]
    floor = 1e-3 * loss.min(1)[:, None, None]  # a term at zero has no logarithm
    first, second = np.divmod(cells, EXPONENTS.size)
    exponents = np.stack([EXPONENTS[first], EXPONENTS[second]], axis=-1)
    return np.concatenate([np.log(np.maximum(chosen, floor)), exponents], axis=-1)


def _grid(basis_n: Array, basis_d: Array, loss: Array, weight: Array) -> tuple[Array, Array]:
    """Amplitudes `(S, g, g, 3)` and misfit `(S, g, g)` over the grid, from Gram matrices shared by all problems."""
    S, g = loss.shape[0], basis_n.shape[0]
    products = (basis_n[:, None, :] * basis_d[None, :, :]).reshape(g * g, -1)
    gram = np.empty((S, g, g, 3, 3))
    gram[..., 0, 0] = weight.sum(1)[:, None, None]
    gram[..., 1, 1] = (weight @ (basis_n**2).T)[:, :, None]
    gram[..., 2, 2] = (weight @ (basis_d**2).T)[:, None, :]
    gram[..., 0, 1] = gram[..., 1, 0] = (weight @ basis_n.T)[:, :, None]
    gram[..., 0, 2] = gram[..., 2, 0] = (weight @ basis_d.T)[:, None, :]
    gram[..., 1, 2] = gram[..., 2, 1] = (weight @ products.T).reshape(S, g, g)
    right = np.empty((S, g, g, 3))
    right[..., 0] = (weight * loss).sum(1)[:, None, None]
    right[..., 1] = ((weight * loss) @ basis_n.T)[:, :, None]
    right[..., 2] = ((weight * loss) @ basis_d.T)[:, None, :]
    best, amplitudes = np.full((S, g, g), np.inf), np.zeros((S, g, g, 3))
    total = (weight * loss * loss).sum(1)[:, None, None]
    for active in _ACTIVE_SETS:
        solved = _solve_active(gram, right, active)
        misfit = np.where((solved > 0).all(-1), total - (solved * right[..., active]).sum(-1), np.inf)
        better = misfit < best
        best = np.where(better, misfit, best)
        padded = np.zeros_like(amplitudes)
        padded[..., active] = solved
        amplitudes = np.where(better[..., None], padded, amplitudes)
    return amplitudes, best


def _solve_active(gram: Array, right: Array, active: tuple[int, ...]) -> Array:
    A = gram[..., active, :][..., :, active]
    scale = 1 / np.sqrt(np.einsum("...ii->...i", A))
    A = A * scale[..., :, None] * scale[..., None, :] + 1e-12 * np.eye(len(active))
    return np.asarray(np.linalg.solve(A, (right[..., active] * scale)[..., None])[..., 0] * scale)


def _local_minima(misfit: Array, keep: int) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """Flat indices `(S, keep)` of the lowest cells not above their neighbours, padded with the lowest of all."""
    wall = np.pad(misfit, ((0, 0), (1, 1), (1, 1)), constant_values=np.inf)
    neighbours = np.stack([wall[:, :-2, 1:-1], wall[:, 2:, 1:-1], wall[:, 1:-1, :-2], wall[:, 1:-1, 2:]])
    score = np.where(misfit <= neighbours.min(0), misfit, np.inf).reshape(misfit.shape[0], -1)
    order = np.argsort(score, axis=1)[:, :keep]
    lowest = np.argmin(misfit.reshape(misfit.shape[0], -1), axis=1)[:, None]
    return np.where(np.isfinite(np.take_along_axis(score, order, 1)), order, lowest)
