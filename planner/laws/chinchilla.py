"""The additive law of Hoffmann et al."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from planner.laws.centre import Array, Centre
from planner.laws.law import Optimum, Prior, Published, rows


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
    theta_names: ClassVar[tuple[str, ...]] = ("ln E", "ln A at centre", "ln B at centre", "alpha", "beta")
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
        G = (self.alpha * self.A / (self.beta * self.B)) ** (1 / total)
        params = G * (flops / 6) ** (self.beta / total)
        return Optimum(params, flops / 6 / params)

    def theta(self, centre: Centre) -> Array:
        """ln E, the logs of both terms at the centre, alpha, beta."""
        a = np.log(self.A) - self.alpha * centre.log_params
        b = np.log(self.B) - self.beta * centre.log_tokens
        return np.array([np.log(self.E), a, b, self.alpha, self.beta])

    @classmethod
    def from_theta(cls, theta: Array, centre: Centre) -> Self:
        """The law with these centred coordinates."""
        e, a, b, alpha, beta = (float(value) for value in theta)
        A = np.exp(a + alpha * centre.log_params)
        return cls(float(np.exp(e)), float(A), float(np.exp(b + beta * centre.log_tokens)), alpha, beta)

    @classmethod
    def gradient(cls, theta: Array, n: Array, d: Array) -> tuple[Array, Array]:
        """ln L = logsumexp(e, a - alpha n, b - beta d); its derivative has the terms' shares as factors."""
        f, share_a, share_b = _shares(rows(theta), n, d)
        parts = [1 - share_a - share_b, share_a, share_b, -share_a * n, -share_b * d]
        return f, np.stack(parts, axis=1)

    @classmethod
    def curvature(cls, theta: Array, n: Array, d: Array, weight: Array) -> Array:
        """Z' (diag p - p p') Z summed over runs, p the shares of the three terms, Z their logs' derivatives."""
        _, share_a, share_b = _shares(rows(theta), n, d)
        qa, qb = weight * share_a, weight * share_b
        shape = qa.shape
        H = np.zeros((shape[0], 5, 5))
        H[:, 0, 0] = (weight * (1 - share_a - share_b)).sum(1)
        for amplitude, exponent, q, x in ((1, 3, qa, n), (2, 4, qb, d)):
            H[:, amplitude, amplitude] = q.sum(1)
            H[:, amplitude, exponent] = H[:, exponent, amplitude] = -(q * x).sum(1)
            H[:, exponent, exponent] = (q * x * x).sum(1)
        J = np.stack([1 - share_a - share_b, share_a, share_b, -share_a * n, -share_b * d], axis=1)
        return np.asarray(H - np.matmul(J * weight[:, None, :], J.transpose(0, 2, 1)))

    @classmethod
    def starts(cls, additive: Array) -> Array:
        """The additive solutions are its own."""
        return additive

    @classmethod
    def prior(cls, log_loss: Array) -> Prior:
        """Wide on the level, exponents near the published ones (their mean over public sweeps .34, sd .15)."""
        level = float(np.mean(log_loss))
        mean = np.array([float(np.min(log_loss)) - 0.2, level - 2.0, level - 2.0, 0.34, 0.34])
        return Prior(mean, np.array([0.6, 1.5, 1.5, 0.15, 0.15]))


def _shares(theta: Array, n: Array, d: Array) -> tuple[Array, Array, Array]:
    constant = np.exp(theta[:, 0:1])
    term_a = np.exp(theta[:, 1:2] - theta[:, 3:4] * n)
    term_b = np.exp(theta[:, 2:3] - theta[:, 4:5] * d)
    loss = constant + term_a + term_b
    return np.log(loss), term_a / loss, term_b / loss
