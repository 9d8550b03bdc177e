"""The ideas study: each idea beside the baseline, same size, data and seed, on a few rungs of compute."""

from __future__ import annotations

import numpy as np

from planner.decisions.drift import SHARED, covariance, posterior
from planner.errors import InputError
from planner.laws import Chinchilla
from planner.laws.centre import Array
from planner.sweep.optimal import seed_noise
from planner.sweep.request import Request, require_few
from planner.sweep.setting import Setting, Size

SMALLEST_PAIRS = 3  # on each rung: the noise of a pair must be seen, and one broken run be outvoted


def idea_requests(setting: Setting, budget: float) -> list[Request]:
    """Pairs on four rungs: the smallest, middle and largest size with least data, the largest with most.

    After three pairs on every rung, pairs go one by one where they lower the variance of ln gain at the final run most
    per hour. Every idea and the baseline get the same runs.
    """
    names = ["baseline", *(idea.name for idea in setting.sweep.file.idea)]
    rungs = _rungs(setting)
    cost = np.array([setting.gpu_hours(size, tokens) for size, tokens in rungs]) * len(names)
    least = SMALLEST_PAIRS * float(cost[0])
    if least > budget:
        raise InputError(
            f"{len(names) - 1} ideas on {budget:.4g} GPU-hours: not even three pairs each at the smallest size",
            f"that takes {least:.4g} GPU-hours: raise the budget, or test {max(0, int(budget / least * len(names)) - 1)} ideas",
        )
    pairs = _pairs(setting, rungs, cost, budget)
    require_few("ideas", float(sum(pairs)) * len(names))
    return [
        Request(
            "ideas", size, tokens, seed, rung + 1, f"gain of {name}" if name != "baseline" else "pairs for ideas", name
        )
        for name in names
        for rung, ((size, tokens), number) in enumerate(zip(rungs, pairs, strict=True))
        for seed in range(number)
    ]


def _rungs(setting: Setting) -> list[tuple[Size, float]]:
    small, middle, large = setting.sizes[0], setting.sizes[len(setting.sizes) // 2], setting.sizes[-1]
    least = [(size, setting.tokens_between(size)[0]) for size in (small, middle, large)]
    return [*least, (large, setting.tokens_between(large)[-1])]


def _pairs(setting: Setting, rungs: list[tuple[Size, float]], cost: Array, budget: float) -> list[int]:
    params, tokens = np.array([(size.active, tokens) for size, tokens in rungs]).T
    final = setting.final
    prior = covariance(np.log(np.append(6 * params * tokens, final.flops)))
    one = pair_variance(params, tokens)
    pairs = np.zeros(cost.size, int)
    left = budget
    for rung in range(cost.size):  # cheapest first; a rung that cannot have its three pairs has none
        if SMALLEST_PAIRS * cost[rung] <= left:
            pairs[rung] = SMALLEST_PAIRS
            left -= SMALLEST_PAIRS * float(cost[rung])
    while (can := (cost <= left) & (pairs > 0)).any():
        worth = [
            _variance(prior, one, pairs) - _variance(prior, one, pairs + unit) for unit in np.eye(cost.size, dtype=int)
        ]
        best = int(np.argmax(np.where(can, np.array(worth) / cost, -1)))
        more = max(1, int(left * 0.02 / cost[best]))
        pairs[best] += more
        left -= more * float(cost[best])
    return [int(number) for number in pairs]


def pair_variance(params: Array, tokens: Array) -> Array:
    """Variance of ln gain from one pair: 2 (1 - rho) (noise / sensitivity)^2, under the published Chinchilla refit.

    The sensitivity of ln loss to ln compute spread over both counts is (alpha x + beta y) / (2 L).
    """
    law = Chinchilla(**Chinchilla.published[1].values)
    x, y = law.A * params**-law.alpha, law.B * tokens**-law.beta
    sensitivity = (law.alpha * x + law.beta * y) / (2 * law(params, tokens))
    return np.asarray(2 * (1 - SHARED) * (seed_noise(params) / sensitivity) ** 2)


def _variance(prior: Array, one: Array, pairs: np.ndarray) -> float:
    """Variance of ln gain at the final run after `pairs` on each rung."""
    used = np.flatnonzero(pairs)
    index = np.append(used, prior.shape[0] - 1)
    sd = posterior(prior[np.ix_(index, index)], 0.0, np.zeros(used.size), one[used] / pairs[used])[1]
    return float(sd[-1] ** 2)
