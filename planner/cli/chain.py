"""The whole chain, room by room; every step reads what the one before wrote."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner import store
from planner.cli.choices_made import choices_of, outlook_of
from planner.cli.forecast_record import write_record
from planner.cli.holdouts import HOME, forecast_holdouts, score_holdouts
from planner.cli.labs import Lab
from planner.decisions.gains import IdeaGain, Verdict
from planner.decisions.gates import Closed
from planner.fitting.fit import Fit, fit
from planner.fitting.predict import Prediction
from planner.fitting.saved import fit_to_record
from planner.laws import find_law
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

STEPS = ("train and import logs", "fit", "forecast", "decide", "report")


@dataclass(frozen=True)
class Finished:
    """Where the chain ended: the folder, and what a summary needs."""

    folder: Path
    forecast: Prediction
    report: dict[str, Any]


def run_chain(plan: Plan, folder: store.Folder, lab: Callable[[], Lab], progress: Callable[[str], None]) -> Finished:
    """Write the plan, train in the sweep's lab, import, fit, register forecasts, train what was held out, decide, score,
    report.
    """
    sweep, costs = plan.setting.sweep, costs_of(plan)
    folder.start()
    progress(STEPS[0])
    folder.write_json(store.QUESTION, question_of(plan))
    folder.write_table(store.COSTS, costs)
    folder.write_table(store.PLAN, plan.runs)
    trainer = lab()
    first = (plan.runs["stage"] == 1) & (plan.runs["kind"] != "holdout")
    trainer.train(first, [])
    progress(STEPS[1])
    law_fit = _fit(sweep, folder)
    closed = _through_gates(plan, trainer, law_fit, folder)
    progress(STEPS[2])
    forecast = _forecast(plan, law_fit, folder)
    if not first.all() and (held := forecast_holdouts(plan, law_fit, folder)):
        trainer.train(plan.runs["stage"] <= plan.runs["stage"].max(), closed)
        score_holdouts(held, folder)
        write_record(folder, str(folder.path / HOME))
    progress(STEPS[3])
    ideas = _decide(plan, law_fit, closed, folder)
    if sweep.file.lab.kind == "simulated":
        _score(plan, law_fit, forecast, ideas, folder)
    progress(STEPS[4])
    report = write_report(folder)
    folder.finish()
    return Finished(folder.path, forecast, report)


def _through_gates(plan: Plan, lab: Lab, law_fit: Fit, folder: store.Folder) -> list[Closed]:
    """Stage by stage: train, close the gates on ideas that will not help, cancel what these had still to run."""
    study = next((study for study in plan.setting.sweep.file.study if isinstance(study, IdeasStudy)), None)
    if study is None:
        return []
    closed: list[Closed] = []
    for stage in range(1, int(plan.runs["stage"].max())):
        closed += close_stage(plan.setting, study, plan.runs, _ideas(folder), law_fit.law, closed, stage)
        lab.train((plan.runs["stage"] <= stage + 1) & (plan.runs["kind"] != "holdout"), closed)
    return closed


def _ideas(folder: store.Folder) -> RunTable:
    return read_runs(folder.path / store.RUNS, where=Where.parse("kind=ideas"))


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
