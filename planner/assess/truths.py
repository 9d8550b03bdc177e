"""What the runs of simulated worlds really follow: four kinds of truth, many worlds at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from planner.lab.world import World
from planner.laws.centre import Array

PARAMS, TOKENS = 1e9, 2e10  # where the terms' amplitudes are given
CURVATURE = 0.02  # sd of the curvature of a term's logarithm, per nat squared
STEEPEST = 2.0  # times it, at most: beyond, loss would rise with data
BEND = 0.05  # sd of what the data exponent changes by at a break
BREAK = (1e11, 1e13)  # tokens between which it breaks
SHARPNESS = 0.5  # nats over which a break happens


class Kind(StrEnum):
    """What a world's loss follows; the estimator that fits the runs knows only the coupled law."""

    ADDITIVE = "additive"
    COUPLED = "coupled"
    CURVED = "curved"
    HOSTILE = "hostile"


MEANING = {
    Kind.ADDITIVE: "the refitted Chinchilla law, letters spread by its standard errors",
    Kind.COUPLED: "the law that is fitted, letters spread as on public sweeps: the worlds of the simulated lab",
    Kind.CURVED: "coupled, letters spread wider, both terms curved, the data exponent breaking far out",
    Kind.HOSTILE: "Farseer's formula far beyond its data: no floor, another form",
}


class Truth(Protocol):
    """ln loss of W worlds."""

    def log_loss(self, params: Array, tokens: Array) -> Array:
        """ln loss `(W, m)` of well-tuned runs without noise, at raw counts `(m,)` or `(W, m)`."""
        ...


@dataclass(frozen=True)
class Terms:
    """L = E + (x^(1/k) + y^(1/k))^k with both terms' logarithms curved and the data exponent breaking once.

    ln x = a - alpha n - n_bend n^2 / 2, ln y the same in d and less `change` w ln(1 + exp((d - at) / w)), w = 0.5, where
    n, d are ln params and ln tokens from 1B and 20B. Arrays `(W, 1)`. With bends and change 0 it is the coupled law.
    """

    E: Array
    a: Array
    b: Array
    alpha: Array
    beta: Array
    k: Array
    n_bend: Array
    d_bend: Array
    change: Array
    at: Array

    def log_loss(self, params: Array, tokens: Array) -> Array:
        """ln loss `(W, m)`."""
        n, d = np.log(params / PARAMS), np.log(tokens / TOKENS)
        log_x = self.a - self.alpha * n - 0.5 * self.n_bend * n * n
        broken = self.change * SHARPNESS * np.logaddexp(0, (d - self.at) / SHARPNESS)
        log_y = self.b - self.beta * d - 0.5 * self.d_bend * d * d - broken
        return np.asarray(np.logaddexp(np.log(self.E), self.k * np.logaddexp(log_x / self.k, log_y / self.k)))


@dataclass(frozen=True)
class Hostile:
    """Farseer's formula (Li et al., arXiv 2506.10972, eq. 3), times 3.4 to be near nats per token: the same in all W worlds.

    Letters as this project's studies quote them (eq. 8; not checked against the paper), used far outside the data that they
    were fitted to: a stress test, not a belief.
    """

    worlds: int

    def log_loss(self, params: Array, tokens: Array) -> Array:
        """ln loss `(W, m)`."""
        floor = np.exp(-0.062465473 * params**0.13 + 0.1284880679442551)
        amplitude = np.exp(230.73437075885855 * params**-0.1729 - 1.544209554)
        exponent = np.exp(-1.665630816 * params**0.0458999999999619 + 3.133347198805445)
        found = np.log(3.4 * (floor + amplitude * tokens**-exponent))
        return np.broadcast_to(found, (self.worlds, found.shape[-1]))


def truth_of(kind: Kind, worlds: Sequence[World], rngs: Sequence[np.random.Generator]) -> Truth:
    """The truth of one kind in these worlds; each world's letters come from its own generator, or are its lab's law."""
    match kind:
        case Kind.HOSTILE:
            return Hostile(len(worlds))
        case Kind.COUPLED:
            letters = np.array([_of_lab(world) for world in worlds])
        case Kind.ADDITIVE:
            letters = np.array([_additive(rng) for rng in rngs])
        case Kind.CURVED:
            letters = np.array([_curved(rng) for rng in rngs])
    return Terms(*letters.T[:, :, None])


def _of_lab(world: World) -> list[float]:
    law = world.law
    log_x = np.log(law.A) - law.alpha * np.log(PARAMS)
    log_y = np.log(law.B) - law.beta * np.log(TOKENS)
    return [law.E, log_x, log_y, law.alpha, law.beta, law.k, 0.0, 0.0, 0.0, 0.0]


def _additive(rng: np.random.Generator) -> list[float]:
    """E 1.817 (.03), alpha .348 (.02), beta .366 (.02), terms of .357 and .356 nats at 1B and 20B (5 %): Besiroglu et al.,
    arXiv 2404.10102, table 1 with its standard errors; that of the terms is assumed."""
    z = rng.normal(size=5)
    E, alpha, beta = 1.8172 + 0.03 * z[0], 0.3478 + 0.02 * z[1], 0.3658 + 0.02 * z[2]
    return [E, np.log(0.357) + 0.05 * z[3], np.log(0.356) + 0.05 * z[4], alpha, beta, 1.0, 0.0, 0.0, 0.0, 0.0]


def _curved(rng: np.random.Generator) -> list[float]:
    """ln E, both terms (of .36 nats at 1B, .22 at 50B tokens), exponents and ln k ~ N(-.45, .25) spread as in this
    project's design study (wider than public sweeps), curvatures N(0, .02), a break of N(0, .05) in the data exponent."""
    z = rng.normal(size=8)
    alpha, beta = 0.345 * np.exp(0.12 * z[0]), 0.34 * np.exp(0.14 * z[1])
    n_bend, d_bend = CURVATURE * np.clip(z[2:4], -STEEPEST, STEEPEST)
    log_y = np.log(0.22) + 0.25 * z[4] + beta * np.log(5e10 / TOKENS)
    return [
        1.75 * np.exp(0.1 * z[5]), np.log(0.36) + 0.2 * z[6], log_y, alpha, beta, np.exp(-0.45 + 0.25 * z[7]),
        n_bend, d_bend, BEND * rng.normal(), rng.uniform(*np.log(np.array(BREAK) / TOKENS)),
    ]  # fmt: skip
