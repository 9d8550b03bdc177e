"""The coupled law: size and data limit each other instead of adding up."""

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
class Coupled:
    """L = E + ((A / params^alpha)^(1/k) + (B / tokens^beta)^(1/k))^k; k = 1 is the additive Chinchilla law.

    L, E in nats per token; A, B in nats x count^exponent; alpha, beta, k without unit. On 13 public series of seven
    sources ln k lies between -0.14 and -1.06, so the additive law misses all of them in the same direction.
    Source: this project's own measurement; no coefficients are published. E is a fitted level that a sweep does not
    identify, never the entropy of text.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    k: float

    name: ClassVar[str] = "coupled"
    formula: ClassVar[str] = "L = E + ((A/N^alpha)^(1/k) + (B/D^beta)^(1/k))^k"
    source: ClassVar[str] = "this project; additive case: arXiv 2203.15556, eq. 2"
    link: ClassVar[str] = "log"
    target: ClassVar[str] = "loss"
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens")
    theta_names: ClassVar[tuple[str, ...]] = ("ln E", "ln A at centre", "ln B at centre", "alpha", "beta", "ln k")
    letters: ClassVar[tuple[str, ...]] = ("E", "A", "B", "alpha", "beta", "k")
    lower: ClassVar[Array] = np.array([-8.0, -16.0, -16.0, 1e-3, 1e-3, -3.0])
    upper: ClassVar[Array] = np.array([4.0, 6.0, 6.0, 2.5, 2.5, 1.0])
    published: ClassVar[tuple[Published, ...]] = ()

    def __call__(self, params: ArrayLike, tokens: ArrayLike) -> Array:
        """Loss at raw counts."""
        n, d = np.log(np.asarray(params, float)), np.log(np.asarray(tokens, float))
        log_a, log_b = np.log(self.A) - self.alpha * n, np.log(self.B) - self.beta * d
        return np.asarray(self.E + np.exp(self.k * np.logaddexp(log_a / self.k, log_b / self.k)))

    def optimum(self, flops: float) -> Optimum:
        """N* = [(A/B) (alpha/beta)^k]^(1/(alpha+beta)) (C/6)^(beta/(alpha+beta)); at k = 1 it is Chinchilla's."""
        total = self.alpha + self.beta
        log_ratio = math.log(self.A) - math.log(self.B) + self.k * math.log(self.alpha / self.beta)
        return split_at((log_ratio + self.beta * math.log(flops / 6)) / total, flops)

    def theta(self, centre: Centre) -> Array:
        """ln E, the logs of both terms at the centre, alpha, beta, ln k."""
        a = np.log(self.A) - self.alpha * centre.logs[0]
        b = np.log(self.B) - self.beta * centre.logs[1]
        return np.array([np.log(self.E), a, b, self.alpha, self.beta, np.log(self.k)])

    @classmethod
    def from_theta(cls, theta: Array, centre: Centre) -> Self:
        """The law with these centred coordinates."""
        e, a, b, alpha, beta, log_k = (float(value) for value in theta)
        A, B = np.exp(a + alpha * centre.logs[0]), np.exp(b + beta * centre.logs[1])
        return cls(float(np.exp(e)), float(A), float(B), alpha, beta, float(np.exp(log_k)))

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
        """Rows that take theta to (ln E, ln A, ln B, alpha, beta, ln k)."""
        return amplitude_forms(6, centre)

    @classmethod
    def expand(cls, theta: Array, x: Array) -> CoupledExpansion:
        """ln L = logaddexp(e, g), g = k logaddexp(ln a / k, ln b / k), and its sums."""
        return CoupledExpansion.of(rows(theta), *x)

    @classmethod
    def gradient(cls, theta: Array, x: Array) -> tuple[Array, Array]:
        """ln L = logaddexp(e, g), g = k logaddexp(ln a / k, ln b / k)."""
        at = cls.expand(theta, x)
        return at.f, at.jacobian()

    @classmethod
    def curvature(cls, theta: Array, x: Array, weight: Array) -> Array:
        """share (1 - share) (g' - e')(g' - e')' + share g'', summed over runs."""
        at = cls.expand(theta, x)
        return -at.hessian(np.zeros(at.f.shape), np.broadcast_to(weight, at.f.shape))

    @classmethod
    def search_starts(
        cls, x: Array, y: Array, weight: Array, keep: int = 3, *, grids: Mapping[str, Array] | None = None
    ) -> Array:
        """Beside the additive solutions, with ln k where public sweeps lie, three laws of even terms and plain exponents.

        A k below 1 lifts the two terms apart from the constant, so E may be lowered with it. The even ones do not follow
        an additive solution into a corner (an exponent of zero, no floor) where the coupled optimum is not.
        """
        additive = additive_starts(x[0], x[1], np.exp(y), weight, grids=grids, keep=keep)
        best = additive[:1]
        total = np.logaddexp(np.logaddexp(best[..., :1], best[..., 1:2]), best[..., 2:3])

        def coupled(part: Array, log_k: float, lower_e: float) -> Array:
            start = np.concatenate([part, np.full((*part.shape[:-1], 1), log_k)], axis=-1)
            start[..., 0] -= lower_e
            return start

        def even(share: float, exponent: float, log_k: float) -> Array:
            rest = np.broadcast_to([exponent, exponent, log_k], (*total.shape[:-1], 3))
            term = total + np.log(share / 2)
            return np.concatenate([total + np.log(1 - share), term, term, rest], axis=-1)

        parts = [coupled(best, log_k, lower) for log_k, lower in ((-0.05, 0.0), (-0.5, 0.1), (-1.0, 0.3), (0.7, 0.0))]
        parts += [even(*spec) for spec in ((0.3, 0.3, -0.5), (0.4, 0.3, -1.0), (0.998, 0.1, -0.4))]
        return np.concatenate([*parts, coupled(additive[1:], -0.8, 0.0)])

    @classmethod
    def prior(cls, log_loss: Array) -> Prior:
        """What seven public sources have in common: mean over sources, and 1.5 times their spread.

        ln(lowest loss / E) ~ N(.47, .27), alpha ~ N(.29, .10), beta ~ N(.26, .15), ln k ~ N(-.81, .53); both amplitudes
        are nearly free. Learned and tested by tests/benchmarks/intervals.py, each source predicted from the others.
        """
        level = float(np.mean(log_loss))
        mean = np.array([float(np.min(log_loss)) - 0.47, level - 2.0, level - 2.0, 0.29, 0.26, -0.81])
        return Prior(mean, np.array([0.27, 1.5, 1.5, 0.10, 0.15, 0.53]))


@dataclass(frozen=True)
class CoupledExpansion:
    """ln L at S thetas, the reducible share of L, and dg/d(a, b, alpha, beta, ln k) `(S, 5, m)`; else `(S, m)`.

    `bend` is q (1 - q) / k with q the size term's share of g, `gap` ln a - ln b at the run.
    """

    f: Array
    share: Array
    slopes: Array
    bend: Array
    gap: Array
    n: Array
    d: Array

    @classmethod
    def of(cls, theta: Array, n: Array, d: Array) -> Self:
        """One exponential for q and its logarithm, one pair for the level."""
        k = np.exp(theta[:, 5:6])
        log_a = theta[:, 1:2] - theta[:, 3:4] * n
        log_b = theta[:, 2:3] - theta[:, 4:5] * d
        gap = log_a - log_b
        small = np.exp(-np.abs(gap) / k)
        larger = 1 / (1 + small)
        q = np.where(gap > 0, larger, small * larger)
        g = np.maximum(log_a, log_b) + k * np.log1p(small)
        slopes = np.empty((q.shape[0], 5, q.shape[1]))
        slopes[:, 0], slopes[:, 1] = q, 1 - q
        slopes[:, 2], slopes[:, 3] = -q * n, (q - 1) * d
        slopes[:, 4] = g - log_b - q * gap
        f = np.logaddexp(theta[:, 0:1], g)
        return cls(f, np.exp(g - f), slopes, q * (1 - q) / k, gap, n, d)

    @cached_property
    def _derivative(self) -> Array:
        return np.concatenate([(1 - self.share)[:, None], self.share[:, None] * self.slopes], axis=1)

    def jacobian(self) -> Array:
        """(1 - share, share x dg)."""
        return self._derivative

    def pull(self, weight: Array) -> Array:
        """Sum of weight x df."""
        return np.asarray(np.matmul(self._derivative, weight[:, :, None])[:, :, 0])

    def square(self, weight: Array) -> Array:
        """Sum of weight x df^2."""
        return np.asarray(np.matmul(self._derivative**2, weight[:, :, None])[:, :, 0])

    def hessian(self, outer: Array, inner: Array) -> Array:
        """d2f = share (1 - share) (g' - e')(g' - e')' + share g''.

        k softplus(u / k) is a perspective, so g'' = bend v v' with v = d(ln a) - d(ln b) - gap d(ln k), and dg/d(ln k)
        once more on the diagonal of ln k.
        """
        H = _gram(self._derivative, outer)
        if not inner.any():
            return H
        apart = np.concatenate([np.full_like(self.share[:, None], -1.0), self.slopes], axis=1)
        reducible = inner * self.share
        H -= _gram(apart, reducible * (1 - self.share))
        v = np.empty_like(self.slopes)
        v[:, 0], v[:, 1], v[:, 2], v[:, 3], v[:, 4] = 1.0, -1.0, -self.n, self.d, -self.gap
        H[:, 1:, 1:] -= _gram(v, reducible * self.bend)
        H[:, 5, 5] -= (reducible * self.slopes[:, 4]).sum(1)
        return H


def _gram(rows_: Array, weight: Array) -> Array:
    return np.asarray(np.matmul(rows_ * weight[:, None, :], rows_.transpose(0, 2, 1)))
