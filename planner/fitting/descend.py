"""Damped Newton on many robust fits at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from planner.fitting.objective import majorising_weight, penalty, slope, true_weight
from planner.laws.centre import Array
from planner.laws.law import Law

MAJORISED_STEPS = 8  # first the curvature that always bounds the objective, then the true one
LARGEST_STEP = 1.5  # in any coordinate of theta
SMALLEST_DAMPING, LARGEST_DAMPING = 1e-9, 1e6


class Problem(NamedTuple):
    """One or S fits of one law: centred logs `(m,)`, ln loss and weights `(S, m)`, Huber delta, quadratic penalty.

    The penalty adds sum(pull x (theta - anchor)^2) / 2, `anchor` and `pull` of shape `(p,)`.
    """

    n: Array
    d: Array
    log_loss: Array
    weight: Array
    delta: float
    anchor: Array
    pull: Array


class Descent(NamedTuple):
    """Where each fit ended: theta `(S, p)`, objective `(S,)`, iterations, and which had converged `(S,)`."""

    theta: Array
    value: Array
    iterations: int
    converged: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def descend(law: type[Law], theta: Array, problem: Problem, *, tolerance: float = 1e-12, limit: int = 100) -> Descent:
    """Levenberg-Marquardt steps on the majorised objective, then semi-smooth Newton; each fit has its own damping.

    A fit is done after two steps in a row that each lower the objective by less than `tolerance` (relative), or that
    no damping makes acceptable. Steps are only ever taken downhill.
    """
    theta = np.clip(theta, law.lower, law.upper)
    value = _value(law, theta, problem)
    damping, quiet = np.full(len(theta), 1e-3), np.zeros(len(theta), int)
    active = np.arange(len(theta))
    iteration = 0
    for iteration in range(1, limit + 1):
        part = _rows(problem, active)
        step = _step(law, theta[active], part, damping[active], newton=iteration > MAJORISED_STEPS)
        trial = np.clip(theta[active] + step, law.lower, law.upper)
        reached = _value(law, trial, part)
        better = reached < value[active]
        gained = (value[active] - reached) / np.maximum(np.abs(value[active]), 1e-300)
        theta[active] = np.where(better[:, None], trial, theta[active])
        value[active] = np.where(better, reached, value[active])
        damping[active] = np.where(better, np.maximum(0.2 * damping[active], SMALLEST_DAMPING), 6.0 * damping[active])
        stuck = ~better & ((damping[active] > LARGEST_DAMPING) | (np.abs(step).max(1) < 1e-11))
        quiet[active] = np.where((better & (gained < tolerance)) | stuck, quiet[active] + 1, 0)
        active = active[quiet[active] < 2]
        if not active.size:
            break
    converged = np.ones(len(theta), bool)
    converged[active] = False
    return Descent(theta, value, iteration, converged)


def _rows(problem: Problem, index: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Problem:
    if len(index) == len(problem.log_loss):
        return problem
    return problem._replace(log_loss=problem.log_loss[index], weight=problem.weight[index])


def _value(law: type[Law], theta: Array, problem: Problem) -> Array:
    predicted = law.gradient(theta, problem.n, problem.d)[0]
    data = (problem.weight * penalty(problem.log_loss - predicted, problem.delta)).sum(1)
    return np.asarray(data + 0.5 * (problem.pull * (theta - problem.anchor) ** 2).sum(1))


def _step(law: type[Law], theta: Array, problem: Problem, damping: Array, *, newton: bool) -> Array:
    predicted, J = law.gradient(theta, problem.n, problem.d)
    residual = problem.log_loss - predicted
    pulled = problem.weight * slope(residual, problem.delta)
    majorised = problem.weight * majorising_weight(residual, problem.delta)
    metric = np.einsum("spm,sm->sp", J * J, majorised) + problem.pull + 1e-14
    gradient = problem.pull * (theta - problem.anchor) - np.matmul(J, pulled[:, :, None])[:, :, 0]
    curved = problem.weight * true_weight(residual, problem.delta) if newton else majorised
    H = np.matmul(J * curved[:, None, :], J.transpose(0, 2, 1)) + np.diag(problem.pull)
    if newton:
        H = H - law.curvature(theta, problem.n, problem.d, pulled)
    step = _damped(H, gradient, metric, damping)
    longest = np.abs(step).max(1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, LARGEST_STEP / np.maximum(longest, 1e-300)))


def _damped(H: Array, gradient: Array, metric: Array, damping: Array) -> Array:
    """Solve (H + damping x metric) step = -gradient, with negative curvature turned positive in the metric's scale."""
    scale = 1 / np.sqrt(metric)
    scaled = H * scale[:, :, None] * scale[:, None, :] + damping[:, None, None] * np.eye(H.shape[1])
    values, vectors = np.linalg.eigh(scaled)
    size = np.abs(values)
    size = np.maximum(size, 1e-8 * size.max(1, keepdims=True))
    rotated = np.matmul(vectors.transpose(0, 2, 1), (gradient * scale)[:, :, None])[:, :, 0]
    return np.asarray(-np.matmul(vectors, (rotated / size)[:, :, None])[:, :, 0] * scale)
