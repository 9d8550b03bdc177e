"""The scaling study: runs that tell most about the final run, by an optimal design, a habit, or a list."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError
from planner.laws.centre import Array
from planner.models.shape import shape_for
from planner.sweep.design import (
    SEED_NOISE,
    Belief,
    Bundles,
    Constraints,
    Design,
    Done,
    ExcessLoss,
    Goal,
    LossAt,
    LossBand,
    Problem,
    Trunks,
    design_problem,
    designed,
    optimal_design,
)
from planner.sweep.file.studies import ScalingStudy
from planner.sweep.patterns import BRACKET, PATTERNS, PROFILE, Index, Scope
from planner.sweep.request import Cell, Request, Trunk, require_few
from planner.sweep.setting import Setting
from planner.sweep.size import Size
from planner.sweep.studies.listed import listed

FEWEST_SIZES, FEWEST_RUNS, FEWEST_CELLS = 3, 12, 6  # what a law of six parameters can be fitted to, with some to spare
SAME_RATIO = 0.01  # of tokens per parameter: a ray keeps to one within it


@dataclass(frozen=True)
class Known:
    """What a design may take for granted: a belief about the law (the prior when None), runs done that are not in it, the
    sd of ln loss between seeds at 1B parameters. `whole` asks for all that a study must have; a further batch need not."""

    belief: Belief | None = None
    done: Done | None = None
    noise: float = SEED_NOISE
    whole: bool = True


@dataclass(frozen=True)
class Proposed:
    """Runs of a scaling study with the design and the problem that they solve."""

    requests: list[Request]
    design: Design
    problem: Problem


def scaling_requests(setting: Setting, study: ScalingStudy, budget: float) -> tuple[list[Request], Design | None]:
    """The study's runs within `budget` accelerator-hours, and the certificate of an optimal design."""
    design = None
    if study.design == "optimal":
        proposed = optimal_requests(setting, study, budget, Known(done=prior_runs(setting)))
        found, design = proposed.requests, proposed.design
    else:
        found = _listed(setting, study, budget) if study.design == "list" else _patterned(setting, study, budget)
    require_few("scaling", len(found))
    _require_enough(found, budget, lists=study.design == "list")
    return found, design


def optimal_requests(setting: Setting, study: ScalingStudy, budget: float, known: Known) -> Proposed:
    """The runs that tell most about the study's goals for `budget` accelerator-hours, given what is `known`."""
    cells = grid_cells(setting)
    cost = np.array([setting.gpu_hours(cell) for cell in cells])
    _require_cells(cost, budget, FEWEST_CELLS if known.whole else 1)
    require_few("scaling", budget / float(cost.max()))
    settings = setting.sweep.file.hyperparameters
    alone = _designed(setting, study, cells, cost, budget, known, None)
    if settings.schedule != "wsd" or study.trunks == "never":
        return alone
    trunks = Trunks(settings.trunk_correlation, settings.cooldown)
    shared = _designed(setting, study, cells, cost, budget, known, trunks)
    better = shared.design.expected_sd < alone.design.expected_sd or study.trunks == "always"
    return shared if better else alone


def _require_cells(cost: Array, budget: float, fewest: int) -> None:
    if (cost <= budget).sum() >= fewest:
        return
    hint = "raise the budget or max_days_per_run, lower the sizes, or exclude less"
    if cost.size >= fewest:
        cheapest = np.sort(cost)[:fewest].sum()
        hint = f"the {fewest} cheapest cells cost {cheapest:.4g} GPU-hours: raise the budget or lower the sizes"
    raise InputError(
        f"a scaling study of {budget:.4g} GPU-hours affords {int((cost <= budget).sum())} of {cost.size} cells; a law needs "
        f"{fewest}",
        hint,
    )


def _designed(
    setting: Setting,
    study: ScalingStudy,
    cells: list[Cell],
    cost: Array,
    budget: float,
    known: Known,
    trunks: Trunks | None,
) -> Proposed:
    params, tokens = np.array([(cell.size.active, cell.tokens) for cell in cells]).T
    rules = _rules(setting) if known.whole else Constraints.none()
    question = partial(
        design_problem, params, tokens, cost, target=setting.target, budget=budget, goals=goals_of(setting, study),
        belief=known.belief, trunks=trunks, done=known.done, noise=known.noise,
    )  # fmt: skip
    problem, grid = question()
    if trunks is not None and study.trunks == "always":
        allowed = np.arange(problem.bundles.cost.size) >= len(cells)
        design = designed(problem, grid, rules, budget, allowed=allowed)
    else:
        design = optimal_design(*question.args, **question.keywords, rules=rules)
    return Proposed(_requests(setting, cells, problem.bundles, design), design, problem)


def _rules(setting: Setting) -> Constraints:
    exploration = setting.sweep.file.exploration
    return Constraints(max_runs=exploration.max_runs, ratio_spread=exploration.min_tokens_per_param_spread)


def goals_of(setting: Setting, study: ScalingStudy) -> tuple[Goal, ...]:
    """What the design is for; the loss of the final run comes first where it is asked for."""
    params, tokens = setting.target
    flops = 6 * params * tokens
    found: list[Goal] = []
    if "loss" in study.goals:
        found += [
            LossAt(params, tokens)
            if study.band == 1
            else LossBand(flops / study.band, flops * study.band, tokens / params)
        ]
        found += [LossAt(one.params_active, one.tokens, one.weight) for one in setting.sweep.file.target]
    if "size" in study.goals:
        found.append(ExcessLoss(flops))
    return tuple(found)


def prior_runs(setting: Setting) -> Done | None:
    """Runs already paid for, as information that the design need not buy again."""
    prior = setting.sweep.prior
    return None if prior is None else Done(prior["params_active"].to_numpy(float), prior["tokens"].to_numpy(float))


def _requests(setting: Setting, cells: list[Cell], bundles: Bundles, design: Design) -> list[Request]:
    """One request per run of every copy: single cells, or a trunk and its branches."""
    why = "loss of the final run (optimal design)"
    requests = []
    for bundle, copies in enumerate(design.runs):
        for copy in range(int(copies)):
            if bundle < len(cells):
                requests.append(Request(cells[bundle], copy, why))
            else:
                requests += _trunk(setting, [cells[index] for index in _members(bundles, bundle)], copy, why)
    return requests


def _members(bundles: Bundles, bundle: int) -> list[int]:
    """The cells of one bundle, padding left out."""
    real = np.diagonal(bundles.precision[bundle]) > 0
    return [int(cell) for cell in bundles.cells[bundle][real]]


def _trunk(setting: Setting, branches: Sequence[Cell], seed: int, why: str) -> list[Request]:
    """The trunk up to where its longest branch leaves it, then the branches."""
    cooldown = setting.sweep.file.hyperparameters.cooldown
    tokens = [cell.tokens for cell in branches]
    trunk = Trunk((1 - cooldown) * max(tokens), float(np.exp(np.mean(np.log(tokens)))), cooldown)
    first = replace(branches[0], tokens=trunk.tokens, trunk=trunk, is_trunk=True)
    rest = [Request(replace(cell, trunk=trunk), seed, why) for cell in branches]
    return [Request(first, seed, "trunk of cooldown branches"), *rest]


def grid_cells(setting: Setting) -> list[Cell]:
    """Every size with data in steps of 1.41x, what the sweep rules out left out."""
    return setting.allowed([setting.cell(size, D) for size in setting.sizes for D in setting.tokens_between(size)])


def scope_of(setting: Setting, sizes: Sequence[Size]) -> Scope:
    """These sizes, the data that the sweep lets each see, and the hours a run is planned with: infinite where ruled out."""
    bounds = setting.sweep.file.exploration.tokens
    least, most = (np.array([bound.tokens(size.active) for size in sizes]) for bound in bounds)

    def price(size: Index, tokens: Array) -> Array:
        cells = [setting.cell(sizes[i], float(D)) for i, D in zip(size, tokens, strict=True)]
        allowed = set(setting.allowed(cells))
        return np.array([setting.gpu_hours(cell) if cell in allowed else np.inf for cell in cells])

    return Scope(np.array([size.active for size in sizes]), least, most, price)


def _profiled(setting: Setting) -> tuple[Size, ...]:
    """Sizes near enough for profiles of seven within 3x of their middle: between the sweep's own where those are too far."""
    low, high = setting.sizes[0].active, setting.sizes[-1].active
    number = math.ceil(math.log(high / low) / (2 * math.log(BRACKET) / (PROFILE - 1)) - 1e-9) + 1
    if number <= len(setting.sizes):
        return setting.sizes
    shapes = [shape_for(setting.family, float(target)) for target in np.geomspace(low, high, number)]
    sizes = {size.active: size for size in map(Size, shapes)}
    return tuple(sizes[active] for active in sorted(sizes))


def patterned_cells(setting: Setting, name: str, budget: float, seed: int) -> tuple[list[Cell], NDArray[np.int64]]:
    """A design by habit on the sweep's sizes and data: its cells, and runs of each within `budget` accelerator-hours."""
    sizes = _profiled(setting) if name == "isoflop" else setting.sizes
    found = PATTERNS[name](scope_of(setting, sizes), budget, seed)
    pairs = zip(found.size, found.tokens, strict=True)
    return [setting.cell(sizes[index], float(tokens)) for index, tokens in pairs], found.runs


def _patterned(setting: Setting, study: ScalingStudy, budget: float) -> list[Request]:
    cells, runs = patterned_cells(setting, study.design, budget, setting.sweep.file.seed)
    why = f"loss of the final run ({study.design} design)"
    return [Request(cell, seed, why) for cell, number in zip(cells, runs, strict=True) for seed in range(int(number))]


def _listed(setting: Setting, study: ScalingStudy, budget: float) -> list[Request]:
    return listed(setting, study.name or study.kind, study.runs, budget, purpose="loss of the final run (listed)")


def _require_enough(requests: list[Request], budget: float, *, lists: bool) -> None:
    """Refuse a study that a law could not be fitted to, or not any more after a few runs have failed."""
    runs = [request for request in requests if not request.cell.is_trunk]
    per_size: dict[float, int] = {}
    for request in runs:
        per_size[request.cell.size.active] = per_size.get(request.cell.size.active, 0) + 1
    sizes = sum(number >= 2 for number in per_size.values())
    if sizes < FEWEST_SIZES or len(runs) < FEWEST_RUNS:
        raise InputError(
            f"a scaling study of {budget:.4g} GPU-hours buys {len(runs)} runs, two or more at {sizes} sizes; "
            f"a law needs {FEWEST_RUNS} at {FEWEST_SIZES} sizes",
            "list more runs" if lists else "raise exploration.budget, or lower the sizes",
        )
