"""What it takes to see a gain: its effect on loss, the noise of a pair, seeds per arm, and what more pairs would settle."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from planner.decisions.gains import DROP, PROMOTE, Comparison, Verdict
from planner.errors import InputError
from planner.laws.centre import Array

Loss = Callable[[Array, Array], Array]  # (params, tokens) -> loss, raw counts; every law is one

NOISE_EXPONENT = 0.22  # assumed: the sd between seeds falls as params^-.22
STEP = 1e-4  # in ln compute
MORE_PAIRS = (1, 2, 4, 8, 16, 32, 64)
SETTLED = 0.5  # probability of a verdict that makes more pairs worth naming


def run_noise(params: ArrayLike, at_1b: float) -> Array:
    """Sd of ln loss between seeds at `params`, from `at_1b` at 1B parameters."""
    return np.asarray(at_1b * (1e9 / np.asarray(params, float)) ** NOISE_EXPONENT)


def sensitivity(law: Loss, params: ArrayLike, tokens: ArrayLike) -> Array:
    """s = -d ln loss / d ln compute, compute spread evenly over params and tokens; (alpha x + beta y) / (2 L) for Chinchilla's."""
    N, D = np.asarray(params, float), np.asarray(tokens, float)
    up, down = math.exp(STEP / 2), math.exp(-STEP / 2)
    return np.asarray((np.log(law(N * down, D * down)) - np.log(law(N * up, D * up))) / (2 * STEP))


def pair_variance(law: Loss, params: ArrayLike, tokens: ArrayLike, *, noise: float, correlation: float) -> Array:
    """Variance of ln gain from one pair: 2 (1 - rho) (sigma / s)^2, `noise` the sd of ln loss at 1B parameters."""
    return np.asarray(2 * (1 - correlation) * (run_noise(params, noise) / sensitivity(law, params, tokens)) ** 2)


def seeds_per_arm(gain: float, variance: ArrayLike, *, power: float = 0.8, error: float = 0.05) -> Array:
    """Pairs that show `gain` in a one-sided test: variance (z_(1-error) + z_power)^2 / ln^2 gain, not rounded.

    `variance` is that of ln gain from one pair.
    """
    if not gain > 0 or gain == 1:
        raise InputError(f"a gain of {gain:g} cannot be looked for", "give a factor in compute other than 1: 1.1")
    return np.asarray(np.asarray(variance, float) * (_z(power, error) / math.log(gain)) ** 2)


def ladder_sd(variance: ArrayLike, pairs: ArrayLike) -> float:
    """Sd of a constant ln gain from `pairs` `(k,)` on rungs with `variance` `(k,)` a pair: [sum r / v]^-1/2."""
    return float(1 / math.sqrt(float(np.sum(np.asarray(pairs, float) / np.asarray(variance, float)))))


def detectable_gain(sd: float, *, power: float = 0.8, error: float = 0.05) -> float:
    """The smallest gain that a one-sided test sees with this sd of ln gain."""
    return math.exp(_z(power, error) * sd)


def _z(power: float, error: float) -> float:
    return float(ndtri(1 - error) + ndtri(power))


@dataclass(frozen=True)
class RungPower:
    """What pairs at one tested size tell: `sd_of_pair` of ln gain, and the pairs and FLOPs (both runs) that show a gain.

    `pairs_wanted` shows the wanted gain with 80 % power in a one-sided 5 % test, at this size and without drift.
    """

    params: float
    tokens: float
    sd_of_pair: float
    pairs_wanted: float
    flops: float


def rung_power(found: Comparison, law: Loss, *, wanted: float) -> list[RungPower]:
    """The power of pairs at every tested size, from the noise that the pairs showed."""
    rungs = []
    for params, tokens in sorted(found.own, key=math.prod):
        variance = 2 * (found.own[params, tokens] / float(sensitivity(law, params, tokens))) ** 2
        pairs = float(seeds_per_arm(wanted, variance))
        rungs.append(RungPower(params, tokens, math.sqrt(variance), pairs, 12 * params * tokens * math.ceil(pairs)))
    return rungs


@dataclass(frozen=True)
class More:
    """The cheapest further pairs that would probably settle an idea on hold; fresh seeds, a baseline run with each.

    `sd_now` and `sd_after` are those of ln gain at the target, `probability` that of a verdict other than hold then,
    `promote` of promotion. `settles` is false where drift leaves it open whatever is run at the tested sizes: then the
    pairs named are those that help most.
    """

    variant: str
    params: float
    tokens: float
    pairs: int
    flops: float
    sd_now: float
    sd_after: float
    probability: float
    promote: float
    settles: bool


def finding_out(found: Comparison, law: Loss) -> list[More]:
    """For every idea on hold, what more pairs at one of the tested sizes would do, and cost (FLOPs, both runs)."""
    return [_more(found, law, idea.variant) for idea in found.ideas if idea.decision is Verdict.HOLD]


def _more(found: Comparison, law: Loss, variant: str) -> More:
    options = [
        _after(found, law, variant, cell, pairs) for cell in sorted(found.own, key=math.prod) for pairs in MORE_PAIRS
    ]
    enough = [option for option in options if option.settles]
    return min(enough, key=lambda o: o.flops) if enough else max(options, key=lambda o: o.probability)


def _after(found: Comparison, law: Loss, variant: str, cell: tuple[float, float], pairs: int) -> More:
    """Preposterior: the mean to come is normal about today's, with the variance that the pairs will remove."""
    joint, number = found.joint, found.joint.names.index(variant)
    flops = 6 * cell[0] * cell[1]
    here = int(np.argmin(np.abs(joint.log_flops[:-1] - math.log(flops))))
    spread = joint.covariance[number][:, number]
    seen = 2 * (found.own[cell] / float(sensitivity(law, *cell))) ** 2 / pairs
    removed = float(spread[-1, here] ** 2 / (spread[here, here] + seen))
    now = float(spread[-1, -1])
    after, mean = math.sqrt(max(now - removed, 1e-12)), float(joint.mean[number, -1])
    promote = float(ndtr((mean - ndtri(PROMOTE) * after) / math.sqrt(max(removed, 1e-12))))
    drop = float(ndtr((ndtri(DROP) * after - mean) / math.sqrt(max(removed, 1e-12))))
    likely = promote + drop
    return More(
        variant, *cell, pairs, 2 * pairs * flops, math.sqrt(now), after, likely, promote, settles=likely >= SETTLED
    )
