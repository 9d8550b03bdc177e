"""The scaling study: runs that tell most about the final run's loss."""

from __future__ import annotations

import numpy as np

from planner.errors import InputError
from planner.sweep.optimal import Design, optimal_design
from planner.sweep.request import Request, require_few
from planner.sweep.setting import Setting, Size
from planner.sweep.spec import Study

FEWEST_SIZES, FEWEST_RUNS = 3, 12  # what a law of six parameters can be fitted to, with some to spare
LADDER = (1.0, 2.0, 5.0, 10.0)  # multiples of the smallest amount of data (OLMo ladder, arXiv 2412.04403)


def scaling_requests(setting: Setting, study: Study, budget: float) -> tuple[list[Request], Design | None]:
    """The study's runs within `budget` accelerator-hours, and the certificate of an optimal design."""
    cells = _grid(setting) if study.design == "optimal" else _ladder(setting)
    cost = np.array([setting.gpu_hours(size, tokens) for size, tokens in cells])
    if (cost <= budget).sum() < 6:
        raise InputError(
            f"a scaling study of {budget:.4g} GPU-hours affords {int((cost <= budget).sum())} of {cost.size} cells; a law needs 6",
            f"the six cheapest cells cost {np.sort(cost)[:6].sum():.4g} GPU-hours: raise the budget or lower the sizes",
        )
    require_few("scaling", budget / float(cost.max()))
    design = None
    if study.design == "optimal":
        params, tokens = np.array([(size.active, tokens) for size, tokens in cells]).T
        target = (float(setting.final_params.active), setting.sweep.file.final.tokens)
        design = optimal_design(params, tokens, cost, target=target, budget=budget)
        runs = design.runs
    else:
        runs = _filled(cost, budget)
    why = f"loss of the final run ({study.design} design)"
    require_few("scaling", float(runs.sum()))
    _require_enough(cells, runs, budget)
    requests = [
        Request("scaling", size, tokens, seed, stage=1, purpose=why)
        for (size, tokens), number in zip(cells, runs, strict=True)
        for seed in range(int(number))
    ]
    return requests, design


def _require_enough(cells: list[tuple[Size, float]], runs: np.ndarray, budget: float) -> None:
    """Refuse a study that a law could not be fitted to, or not any more after a few runs have failed."""
    per_size: dict[float, int] = {}
    for (size, _), number in zip(cells, runs, strict=True):
        per_size[size.active] = per_size.get(size.active, 0) + int(number)
    sizes = sum(number >= 2 for number in per_size.values())
    if sizes < FEWEST_SIZES or runs.sum() < FEWEST_RUNS:
        raise InputError(
            f"a scaling study of {budget:.4g} GPU-hours buys {int(runs.sum())} runs, two or more at {sizes} sizes; "
            f"a law needs {FEWEST_RUNS} at {FEWEST_SIZES} sizes",
            'raise exploration.budget, lower the sizes, or try design = "ladder"',
        )


def _grid(setting: Setting) -> list[tuple[Size, float]]:
    return [(size, tokens) for size in setting.sizes for tokens in setting.tokens_between(size)]


def _ladder(setting: Setting) -> list[tuple[Size, float]]:
    low, high = setting.sweep.file.exploration.tokens
    return [
        (size, low.tokens(size.active) * multiple)
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
