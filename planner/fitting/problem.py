"""What one fit minimises, as a function of theta: robust residuals plus quadratic priors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from planner.fitting.descend import Local, Rows
from planner.fitting.noise import Noise
from planner.fitting.objective import penalty
from planner.laws.centre import Array
from planner.laws.law import Expansion, Law


class Forms(NamedTuple):
    """Normal priors on linear forms of theta: rows `(r, p)` x theta is near `mean` `(r,)`, within `sd` `(r,)`."""

    rows: Array
    mean: Array
    sd: Array

    def joined(self, other: Forms) -> Forms:
        """Both."""
        return Forms(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def added(self, theta: Array, scale: float | Array, local: Local) -> Local:
        """`local`, with the priors weighed against a squared noise `scale`: one, or one for each theta `(S, 1)`."""
        if not self.mean.size:
            return local
        strength = (scale / self.sd) ** 2
        off = theta @ self.rows.T - self.mean
        return Local(
            local.value + 0.5 * (strength * off * off).sum(1),
            local.gradient + (strength * off) @ self.rows,
            local.hessian + self.rows.T @ (strength[..., None] * self.rows),
            local.metric + (strength[..., None] * self.rows**2).sum(-2),
        )

    @classmethod
    def none(cls, p: int) -> Forms:
        """No prior on a theta of p entries."""
        return cls(np.zeros((0, p)), np.zeros(0), np.ones(0))


@dataclass(frozen=True)
class Problem:
    """One law's runs and what weighs them.

    The law's inputs `(v, m)`; ln loss `(m,)` and weight `(1, m)` for all fits alike, or `(S, m)`; Huber delta; prior forms,
    weighed against the squared noise `scale`; `noise` says which residuals are wider or correlated, if any.
    """

    law: type[Law]
    x: Array
    log_loss: Array
    weight: Array
    delta: float
    forms: Forms
    scale: float = 1.0
    noise: Noise | None = None

    def residual(self, theta: Array) -> Array:
        """Whitened residuals `(S, m)` at thetas `(S, p)`."""
        raw = self.log_loss - self.law.expand(theta, self.x).f
        return raw if self.noise is None else self.noise.whiten(raw)

    def at(self, theta: Array, rows: Rows, newton: bool) -> Local:
        """Sum over runs of weight x penalty + scale^2 x (priors' squared deviations) / 2, and its derivatives."""
        weight = _of(self.weight, rows)
        expansion = self.law.expand(theta, self.x)
        raw = _of(self.log_loss, rows) - expansion.f
        if self.noise is None:
            return self.forms.added(theta, self.scale, robust(expansion, raw, weight, self.delta, newton))
        residual = self.noise.whiten(raw)
        value, pulled, majorised, curved = _parts(residual, weight, self.delta, newton)
        J = self.noise.whiten(expansion.jacobian())
        pulled_raw = self.noise.whiten_transposed(pulled)
        hessian = np.matmul(J * curved[:, None, :], J.transpose(0, 2, 1))
        if newton:
            hessian = hessian + expansion.hessian(np.zeros_like(pulled), pulled_raw)
        metric = np.matmul(J * J, majorised[:, :, None])[:, :, 0]
        return self.forms.added(theta, self.scale, Local(value, -expansion.pull(pulled_raw), hessian, metric))

    def data_value(self, theta: Array) -> float:
        """The objective's sum over runs at one theta `(p,)`, priors left out."""
        return float((self.weight[0] * penalty(self.residual(theta[None])[0], self.delta)).sum())


def robust(expansion: Expansion, residual: Array, weight: Array, delta: float | Array, newton: bool) -> Local:
    """Sum over runs of weight x Huber's penalty of `residual` `(S, m)`, and its derivatives; `delta` one, or `(S, 1)`."""
    value, pulled, majorised, curved = _parts(residual, weight, delta, newton)
    hessian = expansion.hessian(curved, pulled if newton else np.zeros_like(pulled))
    return Local(value, -expansion.pull(pulled), hessian, expansion.square(majorised))


class _Parts(NamedTuple):
    value: Array
    pulled: Array
    majorised: Array
    curved: Array


def _parts(residual: Array, weight: Array, delta: float | Array, newton: bool) -> _Parts:
    """The penalty's sum over runs `(S,)`, and each run's slope, majorising and wanted curvature `(S, m)`."""
    size = np.abs(residual)
    inner = np.minimum(size, delta)
    majorised = weight * (inner / np.maximum(size, 1e-300))
    return _Parts(
        (weight * (inner * (size - 0.5 * inner))).sum(1),
        weight * np.copysign(inner, residual),
        majorised,
        weight * (size <= delta) if newton else majorised,
    )


def _of(values: Array, rows: Rows) -> Array:
    if values.ndim == 1 or len(values) in (1, len(rows)):
        return values
    return values[rows]
