"""Which ideas help: compute-equivalent gains from paired runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import ndtr, ndtri

from planner.decisions.drift import MEAN, covariance, posterior
from planner.errors import InputError
from planner.laws.centre import Array
from planner.laws.law import Law

PROMOTE, DROP = 0.8, 0.4  # on P(gain at target > 1): the futility rule that kept 75 % of the gain at 0.62x the cost
SMALLEST_SD = 1e-4  # of ln loss of a pair: identical pairs are no proof of no noise


class Verdict(StrEnum):
    """What to do with an idea."""

    PROMOTE = "promote"
    HOLD = "hold"
    DROP = "drop"


@dataclass(frozen=True)
class Pairs:
    """Runs of one idea beside the baseline's runs of the same params, tokens and seed; arrays `(n_pairs,)`."""

    variant: str
    params: Array
    tokens: Array
    loss: Array
    baseline_loss: Array
    expected_gain: float | None = None


@dataclass(frozen=True)
class IdeaGain:
    """Compute-equivalent gain of one idea: the factor in compute at which the baseline would match it.

    `gain` and `interval` speak of the target, with drift on the way there; `gain_tested` of the largest compute
    tested, `flops_tested`. `probability` is that of a gain above 1 at the target.
    """

    variant: str
    n_pairs: int
    gain: float
    interval: tuple[float, float]
    gain_tested: float
    interval_tested: tuple[float, float]
    flops_tested: float
    level: float
    at: str
    probability: float
    decision: Verdict


def compare(ideas: list[Pairs], law: Law, *, target_flops: float, level: float = 0.9) -> list[IdeaGain]:
    """Gains of `ideas` under a common `law`, best first, at `target_flops` (6 x params x tokens).

    Each pair's ln loss difference becomes ln gain by finding the effective compute, split evenly over params and
    tokens, at which the law's loss matches. Pair noise is pooled over ideas within each (params, tokens). A Gaussian
    prior over ideas and over drift with scale shrinks the winners. The law's own error is left out: it scales every
    gain alike and is second order here.
    """
    pooled = _pair_variance(ideas)
    gains = [_gain(idea, law, pooled, target_flops, level) for idea in ideas]
    return sorted(gains, key=lambda gain: (-gain.gain, gain.variant))


def effective_compute(law: Law, params: Array, tokens: Array, log_ratio: Array) -> Array:
    """ln factor h of compute with ln L(N e^(h/2), D e^(h/2)) = ln L(N, D) + log_ratio; Newton on a monotone curve.

    A ratio below the law's floor has no answer; there h is capped at +-3 nats.
    """
    h = np.zeros_like(log_ratio)
    goal = np.log(law(params, tokens)) + log_ratio
    for _ in range(40):
        step = 1e-4
        at = np.log(law(params * np.exp(h / 2), tokens * np.exp(h / 2)))
        beyond = np.log(law(params * np.exp((h + step) / 2), tokens * np.exp((h + step) / 2)))
        h = np.clip(h - np.clip((at - goal) * step / (beyond - at), -1, 1), -3, 3)
    return h


def _cells(idea: Pairs) -> list[tuple[float, float]]:
    return sorted(set(zip(idea.params.tolist(), idea.tokens.tolist(), strict=True)), key=lambda cell: cell[0] * cell[1])


def _at(idea: Pairs, cell: tuple[float, float]) -> Array:
    """ln loss differences (variant minus baseline) of the pairs at one cell."""
    here = (idea.params == cell[0]) & (idea.tokens == cell[1])
    return np.asarray(np.log(idea.loss[here]) - np.log(idea.baseline_loss[here]))


def _pair_variance(ideas: list[Pairs]) -> dict[tuple[float, float], float]:
    """Variance of one pair's ln loss difference at each cell, pooled over ideas by median: mistuned runs do not count."""
    pooled = {}
    for cell in sorted({cell for idea in ideas for cell in _cells(idea)}):
        spread = [difference - np.median(difference) for idea in ideas if (difference := _at(idea, cell)).size > 1]
        freedom = sum(values.size - 1 for values in spread)
        if freedom >= 3:
            values = np.concatenate(spread)
            sd = 1.4826 * float(np.median(np.abs(values))) * math.sqrt(values.size / freedom)
            pooled[cell] = max(sd, SMALLEST_SD) ** 2
    if not pooled:
        raise InputError("no idea has two pairs at one size", "add a second seed: the noise of a pair is unknown")
    typical = float(np.median(list(pooled.values())))
    return {cell: pooled.get(cell, typical) for cell in {cell for idea in ideas for cell in _cells(idea)}}


def _gain(
    idea: Pairs, law: Law, pooled: dict[tuple[float, float], float], target_flops: float, level: float
) -> IdeaGain:
    cells = _cells(idea)
    params, tokens = np.array(cells).T
    difference = np.array([float(np.median(_at(idea, cell))) for cell in cells])
    # The median of n normal values has pi/2 times the variance of the mean; for one or two they are the same.
    size = np.array([_at(idea, cell).size for cell in cells])
    waste = np.where(size > 2, math.pi / 2, 1.0)
    sd = np.sqrt(np.array([pooled[cell] for cell in cells]) * waste / size)
    seen = effective_compute(law, params, tokens, difference)
    slope = (effective_compute(law, params, tokens, difference + 1e-4) - seen) / 1e-4
    log_flops = np.log(np.append(6 * params * tokens, target_flops))
    mean = MEAN if idea.expected_gain is None else math.log(idea.expected_gain)
    at, spread = posterior(covariance(log_flops), mean, seen, (slope * sd) ** 2)
    probability = float(ndtr(at[-1] / spread[-1]))
    z = float(ndtri(0.5 + level / 2))

    def interval(index: int) -> tuple[float, float]:
        return math.exp(at[index] - z * spread[index]), math.exp(at[index] + z * spread[index])

    return IdeaGain(
        variant=idea.variant,
        n_pairs=int(size.sum()),
        gain=math.exp(at[-1]),
        interval=interval(-1),
        gain_tested=math.exp(at[-2]),
        interval_tested=interval(-2),
        flops_tested=float(6 * params[-1] * tokens[-1]),
        level=level,
        at="target",
        probability=probability,
        decision=Verdict.PROMOTE if probability > PROMOTE else Verdict.DROP if probability < DROP else Verdict.HOLD,
    )
