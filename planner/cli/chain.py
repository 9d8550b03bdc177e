"""The whole chain, room by room; every step reads what the one before wrote."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from planner import store
from planner.cli.choices_made import choices_of, outlook_of
from planner.decisions.gains import IdeaGain, Verdict
from planner.decisions.gates import Closed
from planner.fitting.fit import Fit, fit
from planner.fitting.predict import Prediction
from planner.fitting.saved import fit_to_record
from planner.lab.simulated import final_loss, run_plan
from planner.lab.world import draw_world
from planner.laws import find_law
from planner.logs.reconcile import import_logs, read_plan
from planner.report.costs import costs_of
from planner.report.ledger import question_of
from planner.report.page import write_report
from planner.runs import Where, read_runs, sample_of
from planner.runs.columns import Count
from planner.runs.read import RunTable
from planner.sweep.file.studies import IdeasStudy
from planner.sweep.gating import close_stage
from planner.sweep.plan import Plan
from planner.sweep.prior import with_prior
from planner.sweep.spec import Sweep

STEPS = ("train (simulated)", "import logs", "fit", "forecast", "decide", "report")


@dataclass(frozen=True)
class Finished:
    """Where the chain ended: the folder, and what a summary needs."""

    folder: Path
    forecast: Prediction
    report: dict[str, Any]


def run_chain(plan: Plan, folder: store.Folder, progress: Callable[[str], None]) -> Finished:
    """Write the plan, train in the sweep's lab, import, fit, register a forecast, decide, score, report."""
    sweep, costs = plan.setting.sweep, costs_of(plan)
    folder.start()
    progress(STEPS[0])
    folder.write_json(store.QUESTION, question_of(plan))
    folder.write_table(store.COSTS, costs)
    folder.write_table(store.PLAN, plan.runs)
    logged = _train(sweep, plan, folder)
    progress(STEPS[1])
    first = plan.runs["stage"] == 1
    _import(plan, logged[first.to_numpy()], folder)
    progress(STEPS[2])
    law_fit = _fit(sweep, folder)
    closed = _through_gates(plan, logged, law_fit, folder)
    progress(STEPS[3])
    forecast = _forecast(plan, law_fit, folder)
    progress(STEPS[4])
    ideas = _decide(plan, law_fit, closed, folder)
    _score(plan, law_fit, forecast, ideas, folder)
    progress(STEPS[5])
    report = write_report(folder)
    folder.finish()
    return Finished(folder.path, forecast, report)


def _train(sweep: Sweep, plan: Plan, folder: store.Folder) -> pd.DataFrame:
    """What every planned run would log; what is behind a gate is shown only once the gate lets it on."""
    lab = sweep.file.lab
    ideas = [(idea.name, idea.expected_gain) for idea in sweep.file.idea]
    smallest = float(plan.runs["flops"].min())
    world = draw_world(sweep.file.seed, ideas, noise=lab.noise, smallest_flops=smallest)
    final = plan.setting
    loss = final_loss(world, *final.target)
    gains = {name: world.log_gain(name, final.final.flops) for name in world.gains}
    folder.write_json(
        store.TRUTH, {"world": world, "law": world.law.name, "final_loss": loss, "final_log_gains": gains}
    )
    return pd.DataFrame(run_plan(plan.runs, world, lab))


def _import(plan: Plan, logged: pd.DataFrame, folder: store.Folder) -> None:
    folder.write_table(store.LOGS, logged)
    written = read_plan(folder.path / store.PLAN)
    imported = import_logs(folder.path / store.LOGS, written, usd_per_gpu_hour=plan.setting.usd_per_gpu_hour)
    folder.write_table(store.RUNS, imported.frame)


def _through_gates(plan: Plan, logged: pd.DataFrame, law_fit: Fit, folder: store.Folder) -> list[Closed]:
    """Stage by stage: import what ran, close the gates on ideas that will not help, cancel what these had still to run."""
    study = next((study for study in plan.setting.sweep.file.study if isinstance(study, IdeasStudy)), None)
    if study is None:
        return []
    closed: list[Closed] = []
    for stage in range(1, int(plan.runs["stage"].max())):
        closed += close_stage(plan.setting, study, plan.runs, _ideas(folder), law_fit.law, closed, stage)
        _import(plan, _released(plan.runs, logged, stage + 1, closed), folder)
    return closed


def _ideas(folder: store.Folder) -> RunTable:
    return read_runs(folder.path / store.RUNS, where=Where.parse("kind=ideas"))


def _released(runs: pd.DataFrame, logged: pd.DataFrame, stage: int, closed: list[Closed]) -> pd.DataFrame:
    """What is logged of the stages up to `stage`; runs behind a closed gate are cancelled and cost nothing."""
    ends = runs["variant"].map({one.variant: one.stage for one in closed})
    cancelled = (runs["stage"] > ends.fillna(runs["stage"].max())).to_numpy()
    shown = logged.copy()
    shown.loc[cancelled, ["state", "eval/loss", "n_tokens_seen", "gpu_hours"]] = ["cancelled", None, 0, 0.0]
    return shown[(runs["stage"] <= stage).to_numpy()]


def _fit(sweep: Sweep, folder: store.Folder) -> Fit:
    table = with_prior(read_runs(folder.path / store.RUNS, where=Where.parse("kind=scaling")), sweep.prior)
    result = fit(sample_of(table, count=Count.ACTIVE), seed=sweep.file.seed)
    folder.write_json(store.FIT, fit_to_record(result))
    return result


def _forecast(plan: Plan, law_fit: Fit, folder: store.Folder) -> Prediction:
    told = outlook_of(plan, law_fit)
    folder.register(store.FORECAST, told)
    forecast: Prediction = told["prediction"]
    return forecast


def _decide(plan: Plan, law_fit: Fit, closed: list[Closed], folder: store.Folder) -> list[IdeaGain]:
    chosen = choices_of(plan, law_fit, read_runs(folder.path / store.RUNS).frame, closed)
    folder.write_json(store.CHOICES, chosen)
    ideas: list[IdeaGain] = chosen["ideas"]
    return ideas


def _score(plan: Plan, law_fit: Fit, forecast: Prediction, ideas: list[IdeaGain], folder: store.Folder) -> None:
    """The registered forecast against the lab's truth, which is read here for the first time."""
    truth = store.read_json(folder.path / store.TRUTH)
    actual = float(truth["final_loss"])
    below, above = forecast.interval_run
    gains = truth["final_log_gains"]
    intervals = [(idea.variant, *idea.interval) for idea in ideas]
    best = find_law(truth["law"])(**truth["world"]["law"]).optimum(plan.setting.final.flops)
    chosen = law_fit.law.optimum(plan.setting.final.flops)
    folder.write_json(
        store.SCORE,
        {
            "final_loss": actual,
            "relative_error": forecast.loss / actual - 1,
            "inside_interval": below <= actual <= above,
            "best_params": best.params,
            "chosen_params": chosen.params,
            "promoted": sum(idea.decision is Verdict.PROMOTE for idea in ideas),
            "promoted_that_help": sum(idea.decision is Verdict.PROMOTE and gains[idea.variant] > 0 for idea in ideas),
            "gains_inside_interval": sum(low <= math.exp(gains[v]) <= high for v, low, high in intervals),
            "ideas": len(ideas),
        },
    )


__all__ = ["STEPS", "Finished", "run_chain"]
