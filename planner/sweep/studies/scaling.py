"""The scaling study: runs that tell most about the final run's loss."""

from __future__ import annotations

import numpy as np

from planner.errors import InputError
from planner.sweep.file.studies import ScalingStudy
from planner.sweep.optimal import Design, optimal_design
from planner.sweep.request import Cell, Request, require_few
from planner.sweep.setting import Setting

FEWEST_SIZES, FEWEST_RUNS = 3, 12  # what a law of six parameters can be fitted to, with some to spare
LADDER = (1.0, 2.0, 5.0, 10.0)  # multiples of the smallest amount of data (OLMo ladder, arXiv 2412.04403)


def scaling_requests(setting: Setting, study: ScalingStudy, budget: float) -> tuple[list[Request], Design | None]:
    """The study's runs within `budget` accelerator-hours, and the certificate of an optimal design."""
    cells = setting.allowed(_grid(setting) if study.design == "optimal" else _ladder(setting))
    cost = np.array([setting.gpu_hours(cell) for cell in cells])
    if (cost <= budget).sum() < 6:
        raise InputError(
            f"a scaling study of {budget:.4g} GPU-hours affords {int((cost <= budget).sum())} of {cost.size} cells; a law needs 6",
            f"the six cheapest cells cost {np.sort(cost)[:6].sum():.4g} GPU-hours: raise the budget or lower the sizes",
        )
    require_few("scaling", budget / float(cost.max()))
    design = None
    if study.design == "optimal":
        params, tokens = np.array([(cell.size.active, cell.tokens) for cell in cells]).T
        design = optimal_design(params, tokens, cost, target=setting.target, budget=budget)
        runs = design.runs
    else:
        runs = _filled(cost, budget)
    why = f"loss of the final run ({study.design} design)"
    require_few("scaling", float(runs.sum()))
    _require_enough(cells, runs, budget)
    requests = [
        Request(cell, seed, why) for cell, number in zip(cells, runs, strict=True) for seed in range(int(number))
    ]
    return requests, design


def _require_enough(cells: list[Cell], runs: np.ndarray, budget: float) -> None:
    """Refuse a study that a law could not be fitted to, or not any more after a few runs have failed."""
    per_size: dict[float, int] = {}
    for cell, number in zip(cells, runs, strict=True):
        per_size[cell.size.active] = per_size.get(cell.size.active, 0) + int(number)
    sizes = sum(number >= 2 for number in per_size.values())
    if sizes < FEWEST_SIZES or runs.sum() < FEWEST_RUNS:
        raise InputError(
            f"a scaling study of {budget:.4g} GPU-hours buys {int(runs.sum())} runs, two or more at {sizes} sizes; "
            f"a law needs {FEWEST_RUNS} at {FEWEST_SIZES} sizes",
            'raise exploration.budget, lower the sizes, or try design = "ladder"',
        )


def _grid(setting: Setting) -> list[Cell]:
    return [setting.cell(size, tokens) for size in setting.sizes for tokens in setting.tokens_between(size)]


def _ladder(setting: Setting) -> list[Cell]:
    low, high = setting.sweep.file.exploration.tokens
    return [
        setting.cell(size, low.tokens(size.active) * multiple)
        for size in setting.sizes
        for multiple in LADDER
        if low.tokens(size.active) * multiple <= high.tokens(size.active)
    ]


def _filled(cost: np.ndarray, budget: float) -> np.ndarray:
    """Whole copies of the pattern, then one more of the cheapest cells; without one copy, its cheapest part."""
    copies = np.floor(budget / cost.sum())
    order = np.argsort(cost, kind="stable")
    rest = np.cumsum(cost[order]) <= budget - copies * cost.sum()
    runs = np.full(cost.size, copies)
    runs[order[rest]] += 1
    return runs.astype(np.int64)
