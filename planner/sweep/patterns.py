"""Designs by habit: fixed patterns of sizes and data, bought as often as a budget allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError
from planner.laws.centre import Array

Index = NDArray[np.intp]
Price = Callable[[Index, Array], Array]
"""Which sizes `(m,)` and raw tokens `(m,)` -> cost of each run `(m,)`, in the unit of the budget."""

CHINCHILLA = 20.0  # tokens per parameter (Hoffmann et al., arXiv 2203.15556, table 3)
LEVELS, LEVEL_RATIO, LEVEL_STEP = 5, 3.0, 3.0**0.25  # of compute; the highest level is sought in steps
PROFILE, BRACKET = 7, 3.0  # sizes on a profile, and how far from its middle they may lie
LADDER = (1.0, 2.0, 5.0, 10.0)  # multiples of the least data (OLMo ladder, arXiv 2412.04403)
OVERTRAINED = (20.0, 57.0, 160.0, 450.0, 1000.0)  # tokens per parameter, evenly apart in logs
TOKEN_RATIO = 2**0.5  # between neighbouring amounts of data that random designs draw from
RANDOM_PART = 0.02  # of what is left of the budget goes to a drawn cell
BIGGEST = 6  # cells


@dataclass(frozen=True)
class Scope:
    """Where runs may lie and what they cost: sizes (raw params, rising), least and most tokens of each `(n_sizes,)`, the price."""

    sizes: Array
    least: Array
    most: Array
    price: Price


@dataclass(frozen=True)
class Pattern:
    """Cells with at least one run, arrays `(n_cells,)`: index of the size, raw tokens, cost of one run, whole runs."""

    size: Index
    tokens: Array
    cost: Array
    runs: NDArray[np.int64]


@dataclass(frozen=True)
class _Cells:
    size: Index
    tokens: Array


def isoflop(scope: Scope, budget: float, seed: int = 0, *, under: float = BRACKET**2) -> Pattern:
    """Profiles of equal compute: up to five levels 3x apart, each over up to seven sizes around the one at 20 tokens per parameter.

    Sizes lie within 3x of a profile's middle, with at least one on either side of it: a profile without sizes past its
    minimum has none. That takes less data than `least`, down to `least / under` (1 forbids it). The highest level is
    the highest of which one copy with the levels below it is affordable; it ends where the largest size is the middle, for a
    profile cut off there has no minimum (left in, it would help a law's forecast some). `seed` is not used.
    Source: approach 2 of Hoffmann et al., arXiv 2203.15556, section 3.2; patterns as in Llama 3, arXiv 2407.21783, 3.2.1.
    """
    profiles = [cells for flops in _levels(scope) if (cells := _profile(scope, flops, under)) is not None]
    if not profiles:
        raise InputError(
            "no isoFLOP profile has sizes on both sides of 20 tokens per parameter within the sizes and data allowed",
            "widen the sizes, allow less data, or choose another design",
        )
    step = round(np.log(LEVEL_RATIO) / np.log(LEVEL_STEP))
    costs = [float(scope.price(cells.size, cells.tokens).sum()) for cells in profiles]
    tops = [top for top in range(len(profiles)) if sum(costs[top::-step][:LEVELS]) <= budget]
    chosen = profiles[max(tops, default=0) :: -step][:LEVELS]
    return _bought("isoflop", scope, _joined(chosen), budget)


def ladder(scope: Scope, budget: float, seed: int = 0) -> Pattern:
    """Every size on 1, 2, 5 and 10 times its least data (OLMo ladder, arXiv 2412.04403). `seed` is not used."""
    return _bought("ladder", scope, _crossed(scope, np.outer(scope.least, LADDER)), budget)


def overtrain(scope: Scope, budget: float, seed: int = 0) -> Pattern:
    """Every size on 20, 57, 160, 450 and 1000 tokens per parameter, where it may (after Gadre et al., arXiv 2403.08540).

    `seed` is not used.
    """
    return _bought("overtrain", scope, _crossed(scope, np.outer(scope.sizes, OVERTRAINED)), budget)


def ray(scope: Scope, budget: float, seed: int = 0) -> Pattern:
    """Every size at one ratio of tokens to parameters: 20, or the lowest that all sizes are allowed. `seed` is not used.

    Such runs do not tell size from data: the condition number grows as 1 / (alpha - beta)^2 (arXiv 2605.08541).
    """
    ratio = max(CHINCHILLA, float((scope.least / scope.sizes).max()))
    return _bought("ray", scope, _crossed(scope, scope.sizes[:, None] * ratio), budget)


def random(scope: Scope, budget: float, seed: int = 0) -> Pattern:
    """Cells drawn evenly from all sizes and data in steps of 1.41x; each draw gets 2 % of what is left, or one run."""
    cells = _grid(scope)
    cost = scope.price(cells.size, cells.tokens)
    rng = np.random.default_rng([seed, 0xDE5])
    runs, left = np.zeros(cost.size, np.int64), budget
    while (can := np.flatnonzero(cost <= left)).size:
        drawn = rng.choice(can)
        more = max(1, int(left * RANDOM_PART / cost[drawn]))
        runs[drawn] += more
        left -= more * float(cost[drawn])
    return _pattern("random", cells, cost, runs, budget)


def biggest(scope: Scope, budget: float, seed: int = 0) -> Pattern:
    """The six most expensive cells that a sixth of the budget buys, each with a sixth of it. `seed` is not used."""
    cells = _grid(scope)
    cost = scope.price(cells.size, cells.tokens)
    affordable = np.flatnonzero(cost <= budget / BIGGEST)
    chosen = affordable[np.argsort(-cost[affordable], kind="stable")[:BIGGEST]]
    runs = np.zeros(cost.size, np.int64)
    runs[chosen] = np.floor(budget / BIGGEST / cost[chosen])
    return _pattern("biggest", cells, cost, runs, budget)


PATTERNS: dict[str, Callable[[Scope, float, int], Pattern]] = {
    "isoflop": isoflop, "ladder": ladder, "overtrain": overtrain, "ray": ray, "random": random, "biggest": biggest,
}  # fmt: skip


def filled(cost: Array, budget: float) -> NDArray[np.int64]:
    """Runs per cell `(n_cells,)`: whole copies of the pattern, then one more of the cheapest cells; without one copy, its
    cheapest part."""
    copies = np.floor(budget / cost.sum())
    order = np.argsort(cost, kind="stable")
    rest = np.cumsum(cost[order]) <= budget - copies * cost.sum()
    runs = np.full(cost.size, copies)
    runs[order[rest]] += 1
    return runs.astype(np.int64)


def _levels(scope: Scope) -> Array:
    """Compute of every profile whose middle lies within the sizes, rising."""
    low, high = 6 * CHINCHILLA * scope.sizes[[0, -1]] ** 2
    return np.asarray(low * LEVEL_STEP ** np.arange(int(np.log(high / low) / np.log(LEVEL_STEP) + 1e-9) + 1))


def _profile(scope: Scope, flops: float, under: float) -> _Cells | None:
    """The sizes nearest to the middle that one level of compute allows; None without one on either side of it."""
    tokens = flops / (6 * scope.sizes)
    away = np.log(scope.sizes) - 0.5 * np.log(flops / (6 * CHINCHILLA))
    allowed = (tokens >= scope.least / under * (1 - 1e-9)) & (tokens <= scope.most * (1 + 1e-9))
    near = np.flatnonzero(allowed & (np.abs(away) <= np.log(BRACKET) + 1e-9))
    used = np.sort(near[np.argsort(np.abs(away[near]), kind="stable")[:PROFILE]])
    if used.size < 3 or not (away[used[0]] < -1e-9 and away[used[-1]] > 1e-9):
        return None
    return _Cells(used, tokens[used])


def _crossed(scope: Scope, tokens: Array) -> _Cells:
    """Amounts `(n_sizes, k)` that lie within what each size is allowed."""
    allowed = (tokens >= scope.least[:, None] * (1 - 1e-9)) & (tokens <= scope.most[:, None] * (1 + 1e-9))
    return _Cells(np.nonzero(allowed)[0], tokens[allowed])


def _grid(scope: Scope) -> _Cells:
    """Every size from its least data up in steps of 1.41x."""
    steps = int(np.log((scope.most / scope.least).max()) / np.log(TOKEN_RATIO) + 1e-9) + 1
    return _crossed(scope, np.outer(scope.least, TOKEN_RATIO ** np.arange(steps)))


def _joined(parts: list[_Cells]) -> _Cells:
    return _Cells(np.concatenate([part.size for part in parts]), np.concatenate([part.tokens for part in parts]))


def _bought(name: str, scope: Scope, cells: _Cells, budget: float) -> Pattern:
    if not cells.size.size:
        raise InputError(f"no cell of the {name} design lies within the data allowed", "widen the range of tokens")
    cost = scope.price(cells.size, cells.tokens)
    can = np.isfinite(cost)  # what is ruled out has no price
    if not can.any():
        raise InputError(f"every cell of the {name} design is ruled out", "exclude less, or allow longer runs")
    cells, cost = _Cells(cells.size[can], cells.tokens[can]), cost[can]
    return _pattern(name, cells, cost, filled(cost, budget), budget)


def _pattern(name: str, cells: _Cells, cost: Array, runs: NDArray[np.int64], budget: float) -> Pattern:
    """The cells that have runs; InputError when none has."""
    bought = runs > 0
    if not bought.any():
        raise InputError(
            f"a {name} design within {budget:.4g} affords no run: its cheapest costs {cost.min():.4g}",
            "raise the budget, or lower the sizes or the data",
        )
    return Pattern(cells.size[bought], cells.tokens[bought], cost[bought], runs[bought])
