"""What one fit minimises, as a function of theta: robust residuals plus quadratic priors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from planner.fitting.descend import Local, Rows
from planner.fitting.noise import Noise
from planner.fitting.objective import penalty
from planner.laws.centre import Array
from planner.laws.law import Law


class Forms(NamedTuple):
    """Normal priors on linear forms of theta: rows `(r, p)` x theta is near `mean` `(r,)`, within `sd` `(r,)`."""

    rows: Array
    mean: Array
    sd: Array

    def joined(self, other: Forms) -> Forms:
        """Both."""
        return Forms(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

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
        residual = raw if self.noise is None else self.noise.whiten(raw)
        size = np.abs(residual)
        inner = np.minimum(size, self.delta)
        pulled = weight * np.copysign(inner, residual)
        value = (weight * (inner * (size - 0.5 * inner))).sum(1)
        majorised = weight * (inner / np.maximum(size, 1e-300))
        curved = weight * (size <= self.delta) if newton else majorised
        if self.noise is None:
            gradient = -expansion.pull(pulled)
            metric = expansion.square(majorised)
            hessian = expansion.hessian(curved, pulled if newton else np.zeros_like(pulled))
        else:
            J = self.noise.whiten(expansion.jacobian())
            pulled_raw = self.noise.whiten_transposed(pulled)
            gradient = -expansion.pull(pulled_raw)
            metric = np.matmul(J * J, majorised[:, :, None])[:, :, 0]
            hessian = np.matmul(J * curved[:, None, :], J.transpose(0, 2, 1))
            if newton:
                hessian = hessian + expansion.hessian(np.zeros_like(pulled), pulled_raw)
        return self._with_priors(theta, Local(value, gradient, hessian, metric))

    def _with_priors(self, theta: Array, data: Local) -> Local:
        F = self.forms
        if not F.mean.size:
            return data
        strength = (self.scale / F.sd) ** 2
        off = theta @ F.rows.T - F.mean
        return Local(
            data.value + 0.5 * (strength * off * off).sum(1),
            data.gradient + (strength * off) @ F.rows,
            data.hessian + F.rows.T @ (strength[:, None] * F.rows),
            data.metric + (strength[:, None] * F.rows**2).sum(0),
        )

    def data_value(self, theta: Array) -> float:
        """The objective's sum over runs at one theta `(p,)`, priors left out."""
        return float((self.weight[0] * penalty(self.residual(theta[None])[0], self.delta)).sum())


def _of(values: Array, rows: Rows) -> Array:
    if values.ndim == 1 or len(values) in (1, len(rows)):
        return values
    return values[rows]
