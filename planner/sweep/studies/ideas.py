"""The ideas study: each idea beside the baseline, same size, data and seed, rung by rung through gates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.decisions.drift import SHARED, covariance, posterior
from planner.decisions.policies import GATES
from planner.decisions.policy import LAW, NOISE, Above, Gate, IdeaWorld, Policy, simulate
from planner.decisions.power import detectable_gain, ladder_sd, pair_variance
from planner.errors import InputError
from planner.laws.centre import Array
from planner.sweep.file.studies import IdeasStudy
from planner.sweep.request import Cell, Request, require_few
from planner.sweep.setting import Setting
from planner.sweep.studies.listed import placed

SMALLEST_PAIRS = 3  # on each rung: the noise of a pair must be seen, and one broken run be outvoted
# Probability of helping that lets an idea on, at each of the policy's sizes over the largest. Laxer than `planner policy`'s gates:
# those save compute for a given gain, these keep the most gain within a given budget (24 ideas of the assumed pool at 1e5 to
# 3.3e6 GPU-hours: less gain missed and fewer harmful ideas promoted than without gates; other worlds than the test's).
THRESHOLDS = (0.1, 0.15, 0.2, 0.3, 0.8)
SIMULATED = 200  # pools of ideas behind the chance of reaching a rung


@dataclass(frozen=True)
class Rung:
    """One stage of the study: where, how many pairs, the probability of helping that lets an idea on to the next, and the
    chance that an idea gets here."""

    cell: Cell
    pairs: int
    threshold: float
    chance: float


def idea_requests(setting: Setting, study: IdeasStudy, budget: float) -> list[Request]:
    """Pairs of every idea and the baseline on each rung; later rungs with the chance of being reached.

    Raises InputError when the budget does not pay three pairs each at the smallest size, or the study cannot show the
    gain that it asks for.
    """
    rungs = rungs_of(setting, study, budget)
    names = ["baseline", *(idea.name for idea in setting.sweep.file.idea)]
    require_few("ideas", float(sum(rung.pairs for rung in rungs)) * len(names))
    return [
        Request(rung.cell, seed, _purpose(name), stage, name, 1.0 if name == "baseline" else rung.chance)
        for name in names
        for stage, rung in enumerate(rungs, 1)
        for seed in range(rung.pairs)
    ]


def _purpose(name: str) -> str:
    return "pairs for ideas" if name == "baseline" else f"gain of {name}"


def rungs_of(setting: Setting, study: IdeasStudy, budget: float) -> list[Rung]:
    """The rungs at the sizes of the decisions room's gates that the sweep reaches, and the largest size with most data.

    With gates the budget is the expected cost, ideas dropping out on the way as in the policy's simulation; without, that of
    all pairs on all rungs.
    """
    ideas = len(setting.sweep.file.idea)
    places = _places(setting, study)
    least = SMALLEST_PAIRS * setting.gpu_hours(places[0][0])
    if least * (ideas + 1) > budget:
        raise InputError(
            f"{ideas} ideas on {budget:.4g} GPU-hours: not even three pairs each at the smallest size",
            f"that takes {least * (ideas + 1):.4g} GPU-hours: raise the budget, or test {max(0, int(budget / least) - 1)} ideas",
        )
    found = _rungs(setting, study, places, budget, ideas)
    _require_power(setting, study, budget, found)
    return found


def _places(setting: Setting, study: IdeasStudy) -> list[tuple[Cell, float]]:
    """Cells and the probability that lets an idea on: the policy's sizes, relative to the largest, that lie within the
    sweep's, with least data each; then the largest with most. Or the study's own rungs, with the last of the probabilities."""
    if study.at:
        return list(
            zip(
                placed(setting, study.name or study.kind, study.at),
                THRESHOLDS[len(THRESHOLDS) - len(study.at) :],
                strict=True,
            )
        )
    largest = setting.sizes[-1].active
    places: dict[float, tuple[Cell, float]] = {}
    for (share, _, _), threshold in zip(GATES, THRESHOLDS, strict=True):
        if share * largest < setting.sizes[0].active * 0.95:
            continue
        size = min(setting.sizes, key=lambda size: abs(math.log(size.active / (share * largest))))
        places[size.active] = (setting.cell(size, setting.tokens_between(size)[0]), threshold)
    last = setting.sizes[-1]
    places[last.active] = (places[last.active][0], THRESHOLDS[-2])  # one rung is still to come
    return [*places.values(), (setting.cell(last, setting.tokens_between(last)[-1]), THRESHOLDS[-1])]


def _rungs(
    setting: Setting, study: IdeasStudy, places: list[tuple[Cell, float]], budget: float, ideas: int
) -> list[Rung]:
    """Pairs by what they tell per expected hour; the chances behind the expectation follow from the pairs, so twice."""
    pairs = [SMALLEST_PAIRS] * len(places)
    for _ in range(2 if study.gates else 1):
        chances = _chances(setting, places, pairs, ideas) if study.gates else [1.0] * len(places)
        hours = [
            setting.gpu_hours(cell) * (1 + ideas * chance) for (cell, _), chance in zip(places, chances, strict=True)
        ]
        pairs = _pairs(setting, [cell for cell, _ in places], np.array(hours), budget)
    return [
        Rung(cell, number, threshold, chance)
        for (cell, threshold), number, chance in zip(places, pairs, chances, strict=True)
        if number
    ]


def _chances(setting: Setting, places: list[tuple[Cell, float]], pairs: Sequence[int], ideas: int) -> list[float]:
    """The chance that an idea reaches each rung, in the policy's simulated pool of ideas."""
    gates = tuple(
        Gate(cell.size.active, max(1, number), Above(threshold))
        for (cell, threshold), number in zip(places, pairs, strict=True)
    )
    world = IdeaWorld(ideas=ideas, final=setting.target, smallest=gates[0].params)
    return [
        1.0,
        *(simulate(Policy("", gates[:n]), world, repeats=SIMULATED).promoted / ideas for n in range(1, len(gates))),
    ]


def _pairs(setting: Setting, cells: list[Cell], cost: Array, budget: float) -> list[int]:
    """Three pairs on every rung that can have them, cheapest first; then one by one where they lower the variance of ln
    gain at the final run most per expected hour `cost` `(n_rungs,)`."""
    params, tokens = np.array([(cell.size.active, cell.tokens) for cell in cells]).T
    prior = covariance(np.log(np.append(6 * params * tokens, 6 * math.prod(setting.target))))
    one = pair_variance(LAW, params, tokens, noise=NOISE, correlation=SHARED)
    pairs = np.zeros(cost.size, int)
    left = budget
    for rung in range(cost.size):
        if SMALLEST_PAIRS * cost[rung] <= left:
            pairs[rung] = SMALLEST_PAIRS
            left -= SMALLEST_PAIRS * float(cost[rung])
    while (can := (cost <= left) & (pairs > 0)).any():
        now = _variance(prior, one, pairs)
        worth = np.array([now - _variance(prior, one, pairs + unit) for unit in np.eye(cost.size, dtype=int)])
        best = int(np.argmax(np.where(can, worth / cost, -1)))
        more = max(1, int(left * 0.02 / cost[best]))
        pairs[best] += more
        left -= more * float(cost[best])
    return [int(number) for number in pairs]


def _variance(prior: Array, one: Array, pairs: np.ndarray) -> float:
    """Variance of ln gain at the final run after `pairs` on each rung."""
    used = np.flatnonzero(pairs)
    index = np.append(used, prior.shape[0] - 1)
    sd = posterior(prior[np.ix_(index, index)], 0.0, np.zeros(used.size), one[used] / pairs[used])[1]
    return float(sd[-1] ** 2)


def _require_power(setting: Setting, study: IdeasStudy, budget: float, rungs: list[Rung]) -> None:
    """Refuse more ideas than the budget can test at the wanted power, and say how many it can."""
    wanted, ideas = study.wanted_gain, len(setting.sweep.file.idea)
    if wanted is None or _detectable(rungs, study) <= wanted:
        return
    fewer = 0
    for number in range(ideas - 1, 0, -1):
        if _detectable(_rungs(setting, study, _places(setting, study), budget, number), study) <= wanted:
            fewer = number
            break
    raise InputError(
        f"{ideas} ideas on {budget:.4g} GPU-hours: a gain of {_detectable(rungs, study):.3g} is the smallest that shows with "
        f"power {study.power:g}; {wanted:g} is wanted",
        f"test {fewer} ideas, or raise the budget or wanted_gain" if fewer else "raise the budget or wanted_gain",
    )


def _detectable(rungs: list[Rung], study: IdeasStudy) -> float:
    """The smallest constant gain that pairs on all rungs show."""
    params, tokens = np.array([(rung.cell.size.active, rung.cell.tokens) for rung in rungs]).T
    one = pair_variance(LAW, params, tokens, noise=NOISE, correlation=SHARED)
    return detectable_gain(ladder_sd(one, [rung.pairs for rung in rungs]), power=study.power)
