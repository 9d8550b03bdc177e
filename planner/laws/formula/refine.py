"""Levenberg-Marquardt on a formula's runs, all starts at once: brings starts near an optimum, and judges none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from planner.laws.centre import Array
from planner.laws.formula.reading import Reading

STEPS = 30
LONGEST_STEP = 2.0  # in a logarithm or an exponent


class Refined(NamedTuple):
    """Thetas `(S, p)`, their misfits `(S,)`, the pull towards less misfit `(S, p)`, the Gauss-Newton matrix `(S, p, p)`."""

    theta: Array
    misfit: Array
    pull: Array
    normal: Array

    def improved(self, there: Refined) -> Refined:
        """The better of both, start by start."""
        better = there.misfit < self.misfit
        pairs = zip(there, self, strict=True)
        return Refined(*(np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old) for new, old in pairs))


def refined(reading: Reading, theta: Array, x: Array, y: Array, weight: Array) -> Refined:
    """Starts `(S, p)` after a few steps towards the least squares of y `(m,)` with weights `(m,)`."""
    damping = np.full(len(theta), 1e-2)
    here = measured(reading, theta, x, y, weight)
    for _ in range(STEPS):
        step = _step(reading, here, damping)
        there = measured(reading, np.clip(here.theta + step, reading.lower, reading.upper), x, y, weight)
        damping = np.where(there.misfit < here.misfit, np.maximum(damping / 5, 1e-12), damping * 4)
        here = here.improved(there)
    return here


def _step(reading: Reading, here: Refined, damping: Array) -> Array:
    """Damped in units of each coordinate's own curvature; a coordinate pushed out of its bound is held."""
    at, pull, H = here.theta, here.pull, here.normal
    free = ~(((at <= reading.lower) & (pull < 0)) | ((at >= reading.upper) & (pull > 0)))
    scale = free / np.sqrt(np.maximum(np.einsum("sii->si", H), 1e-300))
    scaled = H * scale[:, :, None] * scale[:, None, :]
    scaled += np.eye(at.shape[1]) * (damping[:, None] + ~free)[:, None, :]
    step = np.linalg.solve(scaled, (pull * scale)[..., None])[..., 0] * scale
    local = np.isfinite(reading.upper - reading.lower)
    longest = np.abs(np.where(local, step, 0.0)).max(1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, LONGEST_STEP / np.maximum(longest, 1e-300)))


def measured(reading: Reading, theta: Array, x: Array, y: Array, weight: Array) -> Refined:
    """Misfit and its derivatives; an infinite misfit where anything is not finite."""
    at = reading.compiled.expand(theta, x)
    with np.errstate(all="ignore"):
        residual = y - at.f
        misfit = (weight * residual * residual).sum(1)
        pull = at.pull(weight * residual)
        normal = at.hessian(np.broadcast_to(weight, at.f.shape), np.zeros_like(at.f))
    good = np.isfinite(misfit) & np.isfinite(pull).all(1) & np.isfinite(normal).all((1, 2))
    return Refined(
        theta,
        np.where(good, misfit, np.inf),
        np.where(good[:, None], pull, 0.0),
        np.where(good[:, None, None], normal, np.eye(theta.shape[1])),
    )
