"""The simulated lab's hidden truth: drawn from a seed, used by nothing but the lab and the scoring."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from planner.decisions.drift import NULL_MEAN, NULL_SD, SHARED, SLOPE, USEFUL_MEAN, USEFUL_SHARE
from planner.decisions.power import run_noise
from planner.laws import Coupled
from planner.sweep.prescription import step_law

# Second derivatives of ln loss in ln rate, ln batch and across: quadratic fits to the public Step Law sweep
# (17 cells of size and data at up to 1.1B; medians, arXiv 2503.04715).
RATE_CURVATURE, BATCH_CURVATURE, CROSS_CURVATURE = 0.0127, 0.0122, -0.005
DIVERGENT_RATE = 4.0  # times the best rate: above it most runs diverge
DIVERGES_TOO_FAST = 0.8  # of those runs
BROKEN = 0.015  # typical excess of ln loss of a run with a mistake in it


@dataclass(frozen=True)
class World:
    """What the runs really do.

    `rate_shift`, `batch_shift` are (level, slope in ln params, slope in ln tokens) by which the best ln rate and ln
    batch differ from the published rule about 1B parameters and 20B tokens; `gains` maps an idea to (ln gain at the
    smallest run, drift per nat of compute). `noise` is the sd of ln loss between seeds at 1B.
    """

    seed: int
    law: Coupled
    rate_shift: tuple[float, float, float]
    batch_shift: tuple[float, float, float]
    gains: dict[str, tuple[float, float]]
    noise: float
    smallest_flops: float

    def best_setting(self, params_non_embedding: float, tokens: float) -> tuple[float, float]:
        """The best learning rate and batch (tokens)."""
        rule = step_law(params_non_embedding, tokens)
        at = np.array([1.0, np.log(params_non_embedding / 1e9), np.log(tokens / 2e10)])
        return (
            float(rule.lr_peak * np.exp(at @ np.array(self.rate_shift))),
            float(rule.batch_tokens * np.exp(at @ np.array(self.batch_shift))),
        )

    def log_gain(self, variant: str, flops: float) -> float:
        """ln compute-equivalent gain of a variant at a compute."""
        if variant == "baseline":
            return 0.0
        level, drift = self.gains[variant]
        return level + drift * float(np.log(flops / self.smallest_flops))

    def mean_loss(self, variant: str, params: float, tokens: float) -> float:
        """Loss of a well-tuned run without seed noise; a gain acts on params and tokens alike."""
        boost = np.exp(self.log_gain(variant, 6 * params * tokens) / 2)
        return float(self.law(params * boost, tokens * boost))

    def tuning_excess(self, rate: float, batch: float, best: tuple[float, float]) -> float:
        """Excess of ln loss of a run away from the best rate and batch."""
        x, y = np.log(rate / best[0]), np.log(batch / best[1])
        return float(0.5 * RATE_CURVATURE * x * x + 0.5 * BATCH_CURVATURE * y * y + CROSS_CURVATURE * x * y)

    def noise_sd(self, params: float) -> float:
        """Sd of ln loss between seeds; larger models vary less."""
        return float(run_noise(params, self.noise))

    def seed_noise(self, run_id: str, params: float, pair: tuple[object, ...]) -> float:
        """Noise of ln loss: one part of its own, one that runs of the same `pair` share."""
        common, own = self.normal("pair", *pair), self.normal("own", run_id)
        return self.noise_sd(params) * float(np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own)

    def normal(self, *key: object) -> float:
        """A standard normal number that depends on the key and the world's seed alone, so plans can grow."""
        return float(ndtri(self.uniform(*key)))

    def uniform(self, *key: object) -> float:
        """A uniform number in (0, 1) that depends on the key and the world's seed alone."""
        digest = hashlib.sha256(repr((self.seed, *key)).encode("utf-8")).digest()
        return (int.from_bytes(digest[:8], "big") + 0.5) / 2.0**64


def draw_world(seed: int, ideas: list[tuple[str, float | None]], *, noise: float, smallest_flops: float) -> World:
    """A world from the spread of public sweeps; `ideas` are names with the gain their authors expect, or None.

    Without an expectation 75 % of ideas are null or harmful, N(-.03, .05) in ln gain, the rest exponential with mean .12.
    """
    rng = np.random.default_rng([seed, 0x1AB])
    law = _law(rng)
    shifts = rng.normal(size=(2, 3)) * np.array([0.15, 0.03, 0.03])
    gains = {}
    for name, expected in ideas:
        own = np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:4], "big")])
        if expected is not None:
            level = np.log(expected) + 0.05 * own.normal()
        else:
            level = own.exponential(USEFUL_MEAN) if own.random() < USEFUL_SHARE else own.normal(NULL_MEAN, NULL_SD)
        gains[name] = (float(level), float(SLOPE * own.normal()))
    rate, batch = (tuple(float(value) for value in row) for row in shifts)
    return World(seed, law, rate, batch, gains, noise, smallest_flops)  # type: ignore[arg-type]


def _law(rng: np.random.Generator) -> Coupled:
    """A coupled law near the public fits: best at about 20 tokens per parameter at 1B, somewhat more at scale.

    Its reducible terms are about .36 nats each at 1B parameters and 20B tokens (Besiroglu et al., arXiv 2404.10102:
    .357 and .356), its exponents split compute as Llama 3 found, tokens ~ compute^.52 (arXiv 2407.21783: .537).
    """
    alpha, beta = 0.345 * np.exp(0.06 * rng.normal()), 0.325 * np.exp(0.06 * rng.normal())
    E, k = 1.75 * np.exp(0.05 * rng.normal()), np.exp(-0.5 + 0.2 * rng.normal())
    x, y = 0.36 * np.exp(0.15 * rng.normal()), 0.36 * np.exp(0.15 * rng.normal())
    return Coupled(float(E), float(x * 1e9**alpha), float(y * 2e10**beta), float(alpha), float(beta), float(k))
