"""The additive law in relative residuals: a convex problem for any exponents, and a lower bound for any cell of them.

With u = e^(-alpha n), v = e^(-beta d) the residual 1 - (E + A u + B v)/L is linear in the amplitudes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.fitting.descend import Box, Local, Rows, descend
from planner.laws.centre import Array


@dataclass(frozen=True)
class Relative:
    """Runs of a relative-residual fit: centred logs and loss `(m,)`, Huber delta on 1 - prediction/loss."""

    n: Array
    d: Array
    loss: Array
    delta: float

    def profile(self, alpha: Array, beta: Array) -> Array:
        """The lowest objective `(S,)` at exponents `(S,)`, over E, A, B >= 0."""
        basis = np.stack([np.ones((alpha.size, self.n.size)), _power(alpha, self.n), _power(beta, self.d)], axis=1)
        return self._minimum(basis, basis, None)

    def lower_bound(self, alpha: Array, beta: Array, half: Array, incumbent: float) -> Array:
        """A lower bound `(S,)` of the objective over cells centre +- half, where it is at most `incumbent`.

        e^(-alpha n) is convex in alpha: over a cell it lies between its tangent at the centre and its chord. With
        A = p + q and alpha = centre + half (p - q)/A both are linear in p, q >= 0, so the distance of the loss from
        [tangent, chord] is convex in (E, p, q, r, s). Where that problem's solver stopped, the linear lower bound of a
        convex function over the box that the incumbent allows closes what is left. Shapes: alpha, beta `(S,)`,
        half `(S, 2)`.
        """
        low, high = (np.ones((alpha.size, 5, self.n.size)) for _ in range(2))
        worst = 1 + self._largest_residual(incumbent)
        most = np.empty((alpha.size, 5))
        most[:, 0] = worst * self.loss.min()
        for at, centre, width, x in ((1, alpha, half[:, 0], self.n), (3, beta, half[:, 1], self.d)):
            middle = _power(centre, x)
            for side, sign in ((at, 1.0), (at + 1, -1.0)):
                low[:, side] = middle * (1 - sign * width[:, None] * x)
                high[:, side] = _power(centre + sign * width, x)
            smallest = np.minimum(high[:, at], high[:, at + 1])
            most[:, at] = most[:, at + 1] = (worst * self.loss / smallest).min(1)
        return self._minimum(low, high, most)

    def _largest_residual(self, incumbent: float) -> float:
        """No residual is larger where the objective is at most `incumbent`."""
        if np.isinf(self.delta) or incumbent <= self.delta**2 / 2:
            return float(np.sqrt(2 * incumbent))
        return incumbent / self.delta + self.delta / 2

    def _minimum(self, low: Array, high: Array, most: Array | None) -> Array:
        """Sum of the penalty of the distance of 1 from [c low, c high]/loss, minimised over c >= 0 (bases `(S, q, m)`)."""
        below, above = low / self.loss, high / self.loss

        def expand(c: Array, rows: Rows, newton: bool) -> Local:
            lo, hi = (below, above) if len(rows) == len(below) else (below[rows], above[rows])
            over = np.matmul(c[:, None, :], lo)[:, 0] - 1
            under = 1 - np.matmul(c[:, None, :], hi)[:, 0]
            size = np.maximum(np.maximum(over, under), 0.0)
            inner = np.minimum(size, self.delta)
            J = np.where((over > under)[:, None, :], lo, -hi)
            majorised = np.where(size > 0, inner / np.maximum(size, 1e-300), 0.0)
            curved = (size > 0) * (size <= self.delta) if newton else majorised
            hessian = np.matmul(J * curved[:, None, :], J.transpose(0, 2, 1))
            metric = np.matmul(J * J, np.maximum(majorised, 1e-3)[:, :, None])[:, :, 0]
            gradient = np.matmul(J, inner[:, :, None])[:, :, 0]
            return Local((inner * (size - 0.5 * inner)).sum(1), gradient, hessian, metric)

        q = low.shape[1]
        share = 1 / (3 * np.maximum(1, (q - 1) // 2)) * np.ones(q)
        start = share / np.maximum(above.mean(2), 1e-300)
        box = Box(np.zeros(q), np.full(q, np.inf))
        end = descend(expand, start, box, tolerance=1e-9, limit=60, majorised=4)
        if most is None:
            return end.value
        c = end.theta
        at = expand(c, np.arange(len(c)), False)
        return np.asarray(at.value + np.minimum(-at.gradient * c, at.gradient * (most - c)).sum(1))


def _power(exponent: Array, x: Array) -> Array:
    return np.exp(-exponent[:, None] * x)
