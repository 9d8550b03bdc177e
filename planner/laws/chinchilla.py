"""The additive law of Hoffmann et al."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from planner.laws.centre import Array, Centre
from planner.laws.law import Optimum, Prior, Published, amplitude_forms, rows, split_at
from planner.laws.starts import additive_starts


@dataclass(frozen=True)
class Chinchilla:
    """L = E + A / params^alpha + B / tokens^beta.

    L, E in nats per token; A, B in nats x count^exponent; alpha, beta without unit.
    Source: Hoffmann et al., arXiv 2203.15556, eq. 2; refit by Besiroglu et al., arXiv 2404.10102.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    name: ClassVar[str] = "chinchilla"
    formula: ClassVar[str] = "L = E + A/N^alpha + B/D^beta"
    source: ClassVar[str] = "Hoffmann et al. 2022, arXiv 2203.15556, eq. 2"
    link: ClassVar[str] = "log"
    target: ClassVar[str] = "loss"
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens")
    theta_names: ClassVar[tuple[str, ...]] = ("ln E", "ln A at centre", "ln B at centre", "alpha", "beta")
    letters: ClassVar[tuple[str, ...]] = ("E", "A", "B", "alpha", "beta")
    lower: ClassVar[Array] = np.array([-8.0, -16.0, -16.0, 1e-3, 1e-3])
    upper: ClassVar[Array] = np.array([4.0, 6.0, 6.0, 2.5, 2.5])
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Hoffmann et al. 2022, arXiv 2203.15556, approach 3",
            {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
        ),
        Published(
            "Besiroglu et al. 2024, arXiv 2404.10102, table 1",
            {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658},
        ),
    )

    def __call__(self, params: ArrayLike, tokens: ArrayLike) -> Array:
        """Loss at raw counts."""
        N, D = np.asarray(params, float), np.asarray(tokens, float)
        return np.asarray(self.E + self.A * N**-self.alpha + self.B * D**-self.beta)

    def optimum(self, flops: float) -> Optimum:
        """The closed form of arXiv 2203.15556, eq. 4, with 6 x params x tokens = flops."""
        total = self.alpha + self.beta
        log_ratio = math.log(self.alpha * self.A) - math.log(self.beta * self.B)
        return split_at((log_ratio + self.beta * math.log(flops / 6)) / total, flops)

    def theta(self, centre: Centre) -> Array:
        """ln E, the logs of both terms at the centre, alpha, beta."""
        a = np.log(self.A) - self.alpha * centre.logs[0]
        b = np.log(self.B) - self.beta * centre.logs[1]
        return np.array([np.log(self.E), a, b, self.alpha, self.beta])

    @classmethod
    def from_theta(cls, theta: Array, centre: Centre) -> Self:
        """The law with these centred coordinates."""
        e, a, b, alpha, beta = (float(value) for value in theta)
        A = np.exp(a + alpha * centre.logs[0])
        return cls(float(np.exp(e)), float(A), float(np.exp(b + beta * centre.logs[1])), alpha, beta)

    @classmethod
    def inputs(cls, centre: Centre, *columns: ArrayLike) -> Array:
        """Centred ln params and ln tokens."""
        return centre.coordinates(*columns)

    @classmethod
    def signed(cls, x: Array, y: Array, weight: Array) -> type[Self]:
        """Its letters are positive whatever the runs say."""
        return cls

    @classmethod
    def letter_forms(cls, centre: Centre) -> Array:
        """Rows that take theta to (ln E, ln A, ln B, alpha, beta)."""
        return amplitude_forms(5, centre)

    @classmethod
    def expand(cls, theta: Array, x: Array) -> Shares:
        """ln L = logsumexp(e, a - alpha n, b - beta d) and its sums."""
        return Shares.of(rows(theta), *x)

    @classmethod
    def gradient(cls, theta: Array, x: Array) -> tuple[Array, Array]:
        """ln L = logsumexp(e, a - alpha n, b - beta d); its derivative has the terms' shares as factors."""
        at = cls.expand(theta, x)
        return at.f, at.jacobian()

    @classmethod
    def curvature(cls, theta: Array, x: Array, weight: Array) -> Array:
        """Z' (diag p - p p') Z summed over runs, p the shares of the three terms, Z their logs' derivatives."""
        at = cls.expand(theta, x)
        return -at.hessian(np.zeros(at.f.shape), np.broadcast_to(weight, at.f.shape))

    @classmethod
    def search_starts(
        cls, x: Array, y: Array, weight: Array, keep: int = 3, *, grids: Mapping[str, Array] | None = None
    ) -> Array:
        """The additive solutions over a grid of exponents."""
        return additive_starts(x[0], x[1], np.exp(y), weight, grids=grids, keep=keep)

    @classmethod
    def prior(cls, log_loss: Array) -> Prior:
        """Wide on the level, exponents near the published ones (their mean over public sweeps .34, sd .15)."""
        level = float(np.mean(log_loss))
        mean = np.array([float(np.min(log_loss)) - 0.2, level - 2.0, level - 2.0, 0.34, 0.34])
        return Prior(mean, np.array([0.6, 1.5, 1.5, 0.15, 0.15]))


@dataclass(frozen=True)
class Shares:
    """ln L at S thetas and the shares of the size and the data term in L, all `(S, m)`.

    The sums need n, d `(m,)`, shared by all thetas."""

    f: Array
    size: Array
    data: Array
    n: Array
    d: Array

    @classmethod
    def of(cls, theta: Array, n: Array, d: Array) -> Self:
        """Terms by exponentials, shares by division."""
        size = np.exp(theta[:, 1:2] - theta[:, 3:4] * n)
        data = np.exp(theta[:, 2:3] - theta[:, 4:5] * d)
        loss = size + data
        loss += np.exp(theta[:, 0:1])
        size /= loss
        data /= loss
        return cls(np.log(loss), size, data, n, d)

    def jacobian(self) -> Array:
        """The shares; times -n, -d for the exponents."""
        parts = [1 - self.size - self.data, self.size, self.data, -self.size * self.n, -self.data * self.d]
        return np.stack(parts, axis=1)

    @cached_property
    def _powers(self) -> tuple[Array, Array]:
        return _powers(self.n), _powers(self.d)

    def pull(self, weight: Array) -> Array:
        """Sum of weight x df."""
        N, D = self._powers
        out = np.empty((len(self.f), 5))
        out[:, 1::2] = (weight * self.size) @ N[:, :2]
        out[:, 2::2] = (weight * self.data) @ D[:, :2]
        out[:, 0] = weight.sum(1) - out[:, 1] - out[:, 2]
        out[:, 3:] *= -1
        return out

    def square(self, weight: Array) -> Array:
        """Sum of weight x df^2."""
        N, D = self._powers
        out = np.empty((len(self.f), 5))
        out[:, 1::2] = (weight * self.size * self.size) @ N[:, ::2]
        out[:, 2::2] = (weight * self.data * self.data) @ D[:, ::2]
        level = 1 - self.size - self.data
        out[:, 0] = (weight * level * level).sum(1)
        return out

    def hessian(self, outer: Array, inner: Array) -> Array:
        """Since d2f = Z' diag(p) Z - df df', few sums of products of shares with powers of n and d are enough."""
        N, D = self._powers
        both = outer + inner
        by_size, by_data = both * self.size, both * self.data
        crossed = by_size * self.data
        a, b = by_size @ N[:, :2], by_data @ D[:, :2]
        aa = (by_size * self.size - inner * self.size) @ N
        bb = (by_data * self.data - inner * self.data) @ D
        ab, nab = crossed @ D[:, :2], (crossed * self.n) @ D[:, :2]
        pa, pb = (inner * self.size) @ N[:, :2], (inner * self.data) @ D[:, :2]
        H = np.empty((len(self.f), 5, 5))
        H[:, 0, 1], H[:, 0, 3] = a[:, 0] - aa[:, 0] - pa[:, 0] - ab[:, 0], aa[:, 1] + pa[:, 1] + nab[:, 0] - a[:, 1]
        H[:, 0, 2], H[:, 0, 4] = b[:, 0] - bb[:, 0] - pb[:, 0] - ab[:, 0], bb[:, 1] + pb[:, 1] + ab[:, 1] - b[:, 1]
        H[:, 0, 0] = outer.sum(1) - a[:, 0] - b[:, 0] - H[:, 0, 1] - H[:, 0, 2] + pa[:, 0] + pb[:, 0]
        H[:, 1, 1], H[:, 1, 3], H[:, 3, 3] = aa[:, 0], -aa[:, 1], aa[:, 2]
        H[:, 2, 2], H[:, 2, 4], H[:, 4, 4] = bb[:, 0], -bb[:, 1], bb[:, 2]
        H[:, 1, 2], H[:, 1, 4], H[:, 2, 3], H[:, 3, 4] = ab[:, 0], -ab[:, 1], -nab[:, 0], nab[:, 1]
        H[:, LOWER[0], LOWER[1]] = H[:, LOWER[1], LOWER[0]]
        return H


LOWER = np.tril_indices(5, -1)


def _powers(x: Array) -> Array:
    """1, x, x^2 of runs `(m,)`, as `(m, 3)`."""
    powers = np.empty((x.size, 3))
    powers[:, 0], powers[:, 1], powers[:, 2] = 1.0, x, x * x
    return powers
