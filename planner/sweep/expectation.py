"""What a plan's scaling runs are expected to tell of the final run, and what more or less money would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.laws.centre import Array
from planner.sweep.design import LossAt, budgets_around, design_problem, spending
from planner.sweep.plan import Plan
from planner.sweep.studies.scaling import grid_cells, prior_runs

FACTOR = 10.0  # the curve reaches from a tenth of the scaling study's budget to ten times it


@dataclass(frozen=True)
class Curve:
    """Expected sd of ln loss at the final run for budgets in accelerator-hours `(k,)`, and the sd that none goes below."""

    gpu_hours: Array
    expected_sd: Array
    floor: float


def expected_sd(plan: Plan) -> float:
    """Sd of ln loss at the final run that the plan's scaling runs and the prior runs leave, whatever design chose them.

    Under the coupled law as public sweeps spread, with the noise and model error of optimal designs; branches of one trunk
    count as runs of their own.
    """
    setting, runs = plan.setting, plan.runs
    mine = runs[(runs["kind"] == "scaling") & (runs["schedule"] != "constant")]
    cells = mine.groupby(["params_active", "tokens"], as_index=False).agg(
        runs=("run_id", "size"), hours=("gpu_hours", "mean")
    )
    params, tokens, counts, hours = (
        cells[name].to_numpy(float) for name in ("params_active", "tokens", "runs", "hours")
    )
    problem, _ = design_problem(
        params, tokens, hours, target=setting.target, budget=float(hours @ counts), goals=(LossAt(*setting.target),),
        done=prior_runs(setting),
    )  # fmt: skip
    return float(np.sqrt(problem.at(counts).by_goal[0]))


def spend_to_confidence(plan: Plan) -> Curve:
    """What an optimal design of the same sizes and data would leave at a tenth to ten times the scaling runs' hours."""
    setting = plan.setting
    cells = grid_cells(setting)
    params, tokens = np.array([(cell.size.active, cell.tokens) for cell in cells]).T
    cost = np.array([setting.gpu_hours(cell) for cell in cells])
    spent = sum(part["gpu_hours"] for name, part in plan.by_study.items() if name in _scaling(plan))
    problem, _ = design_problem(
        params,
        tokens,
        cost,
        target=setting.target,
        budget=spent,
        goals=(LossAt(*setting.target),),
        done=prior_runs(setting),
    )
    budgets = budgets_around(spent, factor=FACTOR, levels=7)
    found = spending(problem, budgets[budgets > cost.min() * 6])
    return Curve(found.budget, found.expected_sd, found.floor)


def _scaling(plan: Plan) -> set[str]:
    runs = plan.runs
    return set(runs.loc[runs["kind"] == "scaling", "study"])
