"""The coupled law: size and data limit each other instead of adding up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from planner.laws.centre import Array, Centre
from planner.laws.law import Optimum, Prior, Published, rows


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
    theta_names: ClassVar[tuple[str, ...]] = ("ln E", "ln A at centre", "ln B at centre", "alpha", "beta", "ln k")
    lower: ClassVar[Array] = np.array([-8.0, -16.0, -16.0, 1e-3, 1e-3, -3.0])
    upper: ClassVar[Array] = np.array([4.0, 6.0, 6.0, 2.5, 2.5, 1.0])
    published: ClassVar[tuple[Published, ...]] = ()

    def __call__(self, params: ArrayLike, tokens: ArrayLike) -> Array:
        """Loss at raw counts."""
        log_a = np.log(self.A) - self.alpha * np.log(np.asarray(params, float))
        log_b = np.log(self.B) - self.beta * np.log(np.asarray(tokens, float))
        return np.asarray(self.E + np.exp(self.k * np.logaddexp(log_a / self.k, log_b / self.k)))

    def optimum(self, flops: float) -> Optimum:
        """N* = [(A/B) (alpha/beta)^k]^(1/(alpha+beta)) (C/6)^(beta/(alpha+beta)); at k = 1 it is Chinchilla's."""
        total = self.alpha + self.beta
        G = (self.A / self.B * (self.alpha / self.beta) ** self.k) ** (1 / total)
        params = G * (flops / 6) ** (self.beta / total)
        return Optimum(params, flops / 6 / params)

    def theta(self, centre: Centre) -> Array:
        """ln E, the logs of both terms at the centre, alpha, beta, ln k."""
        a = np.log(self.A) - self.alpha * centre.log_params
        b = np.log(self.B) - self.beta * centre.log_tokens
        return np.array([np.log(self.E), a, b, self.alpha, self.beta, np.log(self.k)])

    @classmethod
    def from_theta(cls, theta: Array, centre: Centre) -> Self:
        """The law with these centred coordinates."""
        e, a, b, alpha, beta, log_k = (float(value) for value in theta)
        A, B = np.exp(a + alpha * centre.log_params), np.exp(b + beta * centre.log_tokens)
        return cls(float(np.exp(e)), float(A), float(B), alpha, beta, float(np.exp(log_k)))

    @classmethod
    def gradient(cls, theta: Array, n: Array, d: Array) -> tuple[Array, Array]:
        """ln L = logaddexp(e, g), g = k logaddexp(ln a / k, ln b / k)."""
        f, share, slopes, _ = _parts(rows(theta), n, d)
        constant = (1 - share)[:, None, :]
        return f, np.concatenate([constant, share[:, None, :] * slopes], axis=1)

    @classmethod
    def curvature(cls, theta: Array, n: Array, d: Array, weight: Array) -> Array:
        """share (1 - share) (g' - e')(g' - e')' + share g'', summed over runs."""
        theta = rows(theta)
        _, share, slopes, (q, t) = _parts(theta, n, d)
        log_ratio = t * np.exp(theta[:, 5:6])
        bend = q * (1 - q)
        # g'' in (ln a, ln b, ln k), then the chain rule to (a, b, alpha, beta, ln k), which enter linearly.
        over_k = bend * np.exp(-theta[:, 5:6])
        kk = slopes[:, 4] + t * bend * log_ratio
        n, d = np.broadcast_to(n, q.shape), np.broadcast_to(d, q.shape)
        ones, zeros = np.ones_like(q), np.zeros_like(q)
        la = np.stack([ones, zeros, -n, zeros, zeros], axis=1)
        lb = np.stack([zeros, ones, zeros, -d, zeros], axis=1)
        lk = np.stack([zeros, zeros, zeros, zeros, ones], axis=1)
        difference = la - lb
        inner = weight * share
        H = _outer(difference, difference, inner * over_k) + _outer(lk, lk, inner * kk)
        cross = _outer(difference, lk, -inner * t * bend)
        H += cross + cross.transpose(0, 2, 1)
        outer = np.concatenate([-np.ones_like(q)[:, None, :], slopes], axis=1)
        full = _outer(outer, outer, weight * share * (1 - share))
        full[:, 1:, 1:] += H
        return full

    @classmethod
    def starts(cls, additive: Array) -> Array:
        """Each additive solution with ln k at 0, and the best with ln k where public sweeps lie (-0.5, -1).

        A k below 1 lifts the two terms apart from the constant, so E is lowered with it.
        """

        def coupled(part: Array, log_k: float, lower_e: float) -> Array:
            start = np.concatenate([part, np.full((*part.shape[:-1], 1), log_k)], axis=-1)
            start[..., 0] -= lower_e
            return start

        best = additive[:, :1]
        return np.concatenate([coupled(best, -0.05, 0.0), coupled(best, -0.5, 0.1), coupled(best, -1.0, 0.3)], axis=1)

    @classmethod
    def prior(cls, log_loss: Array) -> Prior:
        """alpha, beta ~ N(.34, .15), ln k ~ N(-.5, .3) (sd over seven public sources .29); the level is nearly free."""
        level = float(np.mean(log_loss))
        mean = np.array([float(np.min(log_loss)) - 0.2, level - 2.0, level - 2.0, 0.34, 0.34, -0.5])
        return Prior(mean, np.array([0.6, 1.5, 1.5, 0.15, 0.15, 0.3]))


def _parts(theta: Array, n: Array, d: Array) -> tuple[Array, Array, Array, tuple[Array, Array]]:
    """ln L, the reducible share of L, dg/d(a, b, alpha, beta, ln k), and (share q of the size term, (ln a - ln b)/k)."""
    k = np.exp(theta[:, 5:6])
    log_a = theta[:, 1:2] - theta[:, 3:4] * n
    log_b = theta[:, 2:3] - theta[:, 4:5] * d
    t = (log_a - log_b) / k
    q = 1 / (1 + np.exp(-np.clip(t, -700, 700)))
    g = k * np.logaddexp(log_a / k, log_b / k)
    f = np.logaddexp(theta[:, 0:1], g)
    in_log_k = g - q * log_a - (1 - q) * log_b
    slopes = np.stack([q, 1 - q, -q * n, -(1 - q) * d, in_log_k], axis=1)
    return f, np.exp(g - f), slopes, (q, t)


def _outer(left: Array, right: Array, weight: Array) -> Array:
    return np.asarray(np.matmul(left * weight[:, None, :], right.transpose(0, 2, 1)))
