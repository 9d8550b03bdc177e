"""Which ideas help: compute-equivalent gains from paired runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import ndtr, ndtri

from planner.decisions.drift import MEAN, covariance, posterior
from planner.errors import InputError
from planner.fitting.objective import MAD_TO_SD
from planner.laws.centre import Array
from planner.laws.law import Law

PROMOTE, DROP = 0.8, 0.4  # on P(gain at target > 1): the futility rule that kept 75 % of the gain at 0.62x the cost
FARTHEST = 3.0  # nats of compute that an idea may be worth: e^3 is a factor of 20
ENOUGH = 3  # differences of pairs at one size before their spread is taken for that size's
# n x variance of the median of n standard normal values (order statistics; pi/2 for many).
MEDIAN_VARIANCE = {1: 1.0, 2: 1.0, 3: 1.346, 4: 1.193, 5: 1.434, 6: 1.288, 7: 1.473}
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

    A ratio below the law's floor has no answer; there h ends at +-3 nats.
    """
    h = np.zeros_like(log_ratio)
    goal = np.log(law(params, tokens)) + log_ratio
    for _ in range(40):
        step = 1e-4
        at = np.log(law(params * np.exp(h / 2), tokens * np.exp(h / 2)))
        beyond = np.log(law(params * np.exp((h + step) / 2), tokens * np.exp((h + step) / 2)))
        h = np.clip(h - np.clip((at - goal) * step / (beyond - at), -1, 1), -FARTHEST, FARTHEST)
    return h


def _cells(idea: Pairs) -> list[tuple[float, float]]:
    return sorted(set(zip(idea.params.tolist(), idea.tokens.tolist(), strict=True)), key=lambda cell: cell[0] * cell[1])


def _at(idea: Pairs, cell: tuple[float, float]) -> Array:
    """ln loss differences (variant minus baseline) of the pairs at one cell."""
    here = (idea.params == cell[0]) & (idea.tokens == cell[1])
    return np.asarray(np.log(idea.loss[here]) - np.log(idea.baseline_loss[here]))


def _pair_variance(ideas: list[Pairs]) -> dict[tuple[float, float], float]:
    """Variance of one pair's ln loss difference at each cell, pooled over ideas; cells with little to go by get the typical.

    From the median absolute difference of two pairs of one idea, which a few broken runs do not move.
    """
    cells = sorted({cell for idea in ideas for cell in _cells(idea)})
    apart = {cell: np.concatenate([_apart(_at(idea, cell)) for idea in ideas]) for cell in cells}
    if not any(values.size for values in apart.values()):
        raise InputError("no idea has two pairs at one size", "add a second seed: the noise of a pair is unknown")
    pooled = {cell: _variance(values) for cell, values in apart.items() if values.size >= ENOUGH}
    typical = float(np.median(list(pooled.values()))) if pooled else _variance(np.concatenate(list(apart.values())))
    return {cell: pooled.get(cell, typical) for cell in cells}


def _apart(values: Array) -> Array:
    """Absolute differences of every two values."""
    first, second = np.triu_indices(values.size, k=1)
    return np.abs(values[first] - values[second])


def _variance(apart: Array) -> float:
    sd = MAD_TO_SD * float(np.median(apart)) / math.sqrt(2)
    return max(sd, SMALLEST_SD) ** 2


def _gain(
    idea: Pairs, law: Law, pooled: dict[tuple[float, float], float], target_flops: float, level: float
) -> IdeaGain:
    cells = _cells(idea)
    params, tokens = np.array(cells).T
    difference = np.array([float(np.median(_at(idea, cell))) for cell in cells])
    size = np.array([_at(idea, cell).size for cell in cells])
    waste = np.array([MEDIAN_VARIANCE.get(int(number), math.pi / 2) for number in size])
    sd = np.sqrt(np.array([pooled[cell] for cell in cells]) * waste / size)
    seen = effective_compute(law, params, tokens, difference)
    far = np.abs(seen) >= FARTHEST
    if far.any():
        raise InputError(
            f"idea {idea.variant!r}: its loss differs by {math.expm1(difference[far][0]):+.0%} from the baseline's at "
            f"{params[far][0]:.3g} params: no compute makes up for that",
            "compare runs of one evaluation set, unit and tokenizer",
        )
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
