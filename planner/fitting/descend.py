"""Damped Newton on many fits at once, one evaluation per step."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planner.laws.centre import Array

MAJORISED_STEPS = 8  # first the curvature that always bounds the objective, then the true one
LARGEST_STEP = 1.5  # in any coordinate
SMALLEST_DAMPING, LARGEST_DAMPING = 1e-9, 1e6
TRUSTED_DAMPING = 1e-2  # below it the quadratic model's predicted gain tells how far the optimum is
SMALLEST_PIVOT = 1e-8  # of the scaled Hessian, whose diagonal is about one
LONGEST = 5000  # steps; runs that hardly identify a law make a bent valley in which a thousand are needed
NOWHERE = 1e300  # an objective that every other is better than
SMALL_BATCH = 24  # below it LAPACK, one system at a time, is quicker than elimination over the batch

Rows = NDArray[np.intp]


class Local(NamedTuple):
    """An objective around S points: value `(S,)`, gradient `(S, q)`, Hessian `(S, q, q)`, positive metric `(S, q)`."""

    value: Array
    gradient: Array
    hessian: Array
    metric: Array


Expand = Callable[[Array, Rows, bool], Local]
"""Points `(S, q)`, which of the fits they belong to `(S,)`, and whether the true curvature is wanted."""


class Box(NamedTuple):
    """Bounds of the coordinates, `(q,)` each."""

    lower: Array
    upper: Array


class Descent(NamedTuple):
    """Where each fit ended: point `(S, q)`, objective `(S,)`, iterations, and which had converged `(S,)`."""

    theta: Array
    value: Array
    iterations: int
    converged: NDArray[np.bool_]


def descend(
    expand: Expand,
    start: Array,
    box: Box,
    *,
    tolerance: float = 1e-12,
    limit: int = LONGEST,
    majorised: int = MAJORISED_STEPS,
) -> Descent:
    """Projected Levenberg-Marquardt steps on the majorised curvature, then semi-smooth Newton; each fit damps itself.

    A fit is done after two steps in a row that each lower the objective by less than `tolerance` (relative), that no
    damping makes acceptable, or when the next step's predicted gain is below a tenth of it. Steps only go downhill.
    """
    point = np.clip(start, box.lower, box.upper)
    active: Rows = np.arange(len(point))
    here = _sound(expand(point, active, majorised < 1))
    value = here.value.copy()
    damping, quiet = np.full(len(point), 1e-3), np.zeros(len(point), int)
    at, iteration = point.copy(), 0
    for iteration in range(1, limit + 1):
        step, predicted = _step(at, here, damping[active], box)
        enough = 0.1 * tolerance * np.abs(here.value)
        close = (predicted < enough) & (damping[active] <= TRUSTED_DAMPING) & (iteration > majorised)
        trial = np.clip(at + step, box.lower, box.upper)
        there = _sound(expand(trial, active, iteration >= majorised))
        better = there.value < here.value
        small = here.value - there.value < tolerance * np.abs(here.value)
        d = damping[active]
        d = np.where(better, np.maximum(0.2 * d, SMALLEST_DAMPING), 6.0 * d)
        stuck = ~better & ((d > LARGEST_DAMPING) | (np.abs(step).max(1) < 1e-11))
        quiet[active] = np.where((better & small) | stuck, quiet[active] + 1, 0) + 2 * close
        at = np.where(better[:, None], trial, at)
        here = _choose(better, there, here)
        point[active], value[active], damping[active] = at, here.value, d
        going = quiet[active] < 2
        if not going.all():
            active, at, here = active[going], at[going], Local(*(part[going] for part in here))
        if not active.size:
            break
    converged = np.ones(len(point), bool)
    converged[active] = False
    return Descent(point, value, iteration, converged)


def _sound(local: Local) -> Local:
    """With nothing to gain where a number is not finite: a step into such a place is never better."""
    sound = np.all([np.isfinite(part).reshape(len(part), -1).all(1) for part in local], axis=0)
    if sound.all():
        return local
    flat = Local(np.full(len(sound), NOWHERE), *(np.zeros_like(part) for part in local[1:]))
    return _choose(sound, local, flat)


def _choose(better: NDArray[np.bool_], there: Local, here: Local) -> Local:
    if better.all():
        return there
    return Local(
        *(np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old) for new, old in zip(there, here, strict=True))
    )


def _step(at: Array, here: Local, damping: Array, box: Box) -> tuple[Array, Array]:
    """The damped Newton step `(S, q)` and the gain it predicts `(S,)`; a coordinate pushed out of its bound is held."""
    gradient, metric = here.gradient, here.metric + 1e-14
    held = ((at <= box.lower) & (gradient > 0)) | ((at >= box.upper) & (gradient < 0))
    scale = 1 / np.sqrt(metric)
    scaled = here.hessian * scale[:, :, None] * scale[:, None, :]
    g = gradient * scale
    if held.any():
        free = ~held
        g = g * free
        scaled = scaled * free[:, :, None] * free[:, None, :] + np.eye(g.shape[1]) * held[:, None, :]
    damped = scaled + damping[:, None, None] * np.eye(g.shape[1])
    direction = _solve(damped, -g)
    predicted = -(g * direction).sum(1) - 0.5 * np.einsum("si,sij,sj->s", direction, scaled, direction)
    step = direction * scale
    longest = np.abs(step).max(1, keepdims=True)
    return step * np.minimum(1.0, LARGEST_STEP / np.maximum(longest, 1e-300)), np.abs(predicted)


def _solve(A: Array, right: Array) -> Array:
    """Solve A x = right for symmetric A `(S, q, q)`, over the batch at once; negative curvature is turned positive.

    A large batch is eliminated without pivoting; the few systems with a small or negative pivot go by eigenvalues.
    """
    q = A.shape[1]
    if len(A) < SMALL_BATCH:
        return _by_eigenvalues(A, right)
    L, x = A.transpose(1, 2, 0).copy(), right.T.copy()
    smallest = L[0, 0].copy()
    for i in range(q):
        smallest = np.minimum(smallest, L[i, i])
        pivot = np.where(L[i, i] > SMALLEST_PIVOT, L[i, i], 1.0)
        L[i, i] = pivot
        factor = L[i + 1 :, i] / pivot
        L[i + 1 :, i + 1 :] -= factor[:, None] * L[i, None, i + 1 :]
        x[i + 1 :] -= factor * x[i]
    for i in range(q - 1, -1, -1):
        x[i] = (x[i] - (L[i, i + 1 :] * x[i + 1 :]).sum(0)) / L[i, i]
    solution = x.T
    bad = np.flatnonzero(~(smallest > SMALLEST_PIVOT))
    if bad.size:
        solution[bad] = _by_eigenvalues(A[bad], right[bad])
    return np.ascontiguousarray(solution)


def _by_eigenvalues(A: Array, right: Array) -> Array:
    values, vectors = np.linalg.eigh(A)
    size = np.abs(values)
    size = np.maximum(size, 1e-8 * size.max(1, keepdims=True))
    rotated = np.matmul(vectors.transpose(0, 2, 1), right[:, :, None])[:, :, 0]
    return np.asarray(np.matmul(vectors, (rotated / size)[:, :, None])[:, :, 0])
