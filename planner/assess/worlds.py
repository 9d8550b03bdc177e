"""A plan in many simulated worlds, beside a rival at equal accelerator-hours."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from planner.decisions.gains import effective_compute
from planner.fitting.estimate import estimate, t_quantile
from planner.fitting.recipe import default_recipe
from planner.lab.simulated import final_loss, run_plan
from planner.lab.world import World, draw_world
from planner.runs.columns import DEFAULT_LOSS_UNIT, Count
from planner.runs.sample import Sample
from planner.sweep.file.tables import Lab
from planner.sweep.plan import Plan, propose
from planner.sweep.spec import Sweep

DESIGNS = ("optimal", "ladder")
LEVEL = 0.9


@dataclass(frozen=True)
class DesignScore:
    """One design over all worlds; errors, widths, waste as fractions.

    `median_error`, `p90_error` of the final run's loss, `coverage` of its 90 % interval, `waste` the median fraction of the
    final compute lost by the size and data chosen from the fit, `gpu_hours` what the design's runs cost as planned.
    """

    name: str
    n_runs: int
    worlds: int
    median_error: float
    p90_error: float
    coverage: float
    median_width: float
    waste: float
    gpu_hours: float


class _Outcome(NamedTuple):
    error: float
    covered: bool
    width: float
    waste: float


def assess_plan(
    sweep: Sweep, *, worlds: int = 20, seed: int = 0, workers: int = 1, progress: Callable[[str], None] = lambda _: None
) -> list[DesignScore]:
    """The sweep's scaling study and its rivals, each trained and fitted in the same `worlds` hidden worlds.

    Worlds follow the coupled law with parameters spread as on public sweeps, so an error of form is not tested here.
    The runs are fitted with the default recipe, as `planner run` does; same seed, same scores. With several `workers`
    (processes) the calling script must be importable, as for any process pool.
    """
    scores = []
    own = next(study.design for study in sweep.file.study if study.kind == "scaling")
    for design in (own, *(name for name in DESIGNS if name != own)):
        progress(design)
        plan = propose(_with_design(sweep, design))
        runs = plan.runs
        job = partial(_in_world, runs, plan.setting.final_params.active, plan.setting.final.tokens, sweep.file.lab)
        drawn = [
            draw_world(seed + 1000 + index, [], noise=sweep.file.lab.noise, smallest_flops=float(runs["flops"].min()))
            for index in range(worlds)
        ]
        if workers == 1:
            outcomes = list(map(job, drawn))
        else:
            with ProcessPoolExecutor(max_workers=workers) as pool:
                outcomes = list(pool.map(job, drawn))
        scores.append(_score(design, runs, outcomes, plan))
    return scores


def _with_design(sweep: Sweep, design: str) -> Sweep:
    """The sweep with nothing but its scaling study, under another design."""
    only = next(study for study in sweep.file.study if study.kind == "scaling").model_copy(update={"design": design})
    return replace(sweep, file=sweep.file.model_copy(update={"study": (only,), "idea": ()}))


def _in_world(runs: pd.DataFrame, params: int, tokens: float, lab: Lab, world: World) -> _Outcome:
    logged = list(run_plan(runs, world, lab))
    done = np.array([record["state"] == "completed" for record in logged])
    loss = np.array([record["eval/loss"] for record in logged], float)
    sample = Sample(
        runs["params_active"].to_numpy(float)[done], runs["tokens"].to_numpy(float)[done], loss[done],
        Count.ACTIVE, "", DEFAULT_LOSS_UNIT, {}, (),
    )  # fmt: skip
    recipe = default_recipe()
    fitted = estimate(sample, recipe)
    predicted, sd = fitted.predict(np.array([float(params)]), np.array([tokens]))
    half = t_quantile(LEVEL, fitted.df) * math.hypot(float(sd[0]), fitted.solution.scale)
    error = float(predicted[0]) - math.log(final_loss(world, float(params), tokens))
    return _Outcome(
        error,
        abs(error) <= half,
        2 * half,
        _waste(fitted.solution.law.optimum(6 * params * tokens), world, 6 * params * tokens),
    )


def _waste(chosen: tuple[float, float], world: World, flops: float) -> float:
    """Fraction of the final compute that choosing `chosen` instead of the best split loses."""
    best = world.law.optimum(flops)
    ratio = math.log(float(world.law(*chosen)) / float(world.law(*best)))
    h = effective_compute(world.law, np.array([best.params]), np.array([best.tokens]), np.array([ratio]))
    return 1 - math.exp(float(h[0]))


def _score(name: str, runs: pd.DataFrame, outcomes: list[_Outcome], plan: Plan) -> DesignScore:
    error, covered, width, waste = (np.array(column, float) for column in zip(*outcomes, strict=True))
    return DesignScore(
        name=name,
        n_runs=len(runs),
        worlds=len(outcomes),
        median_error=float(np.median(np.abs(error))),
        p90_error=float(np.quantile(np.abs(error), 0.9)),
        coverage=float(covered.mean()),
        median_width=float(np.median(width)),
        waste=float(np.median(waste)),
        gpu_hours=plan.by_study["scaling"]["gpu_hours"],
    )
