"""The whole chain, room by room; every step reads what the one before wrote."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner import store
from planner.cli.holdouts import forecast_holdouts, score_holdouts
from planner.cli.labs import Lab
from planner.decisions.allocation import allocate
from planner.decisions.equivalence import EQUIVALENT_SD, widened_for_equivalence
from planner.decisions.gains import IdeaGain, Verdict
from planner.decisions.gates import Closed
from planner.errors import InputError
from planner.fitting.fit import Fit, fit
from planner.fitting.predict import Prediction, predict
from planner.fitting.saved import fit_to_record
from planner.fitting.tuning import TunedSetting, TuningRuns, tune
from planner.laws import find_law
from planner.report.costs import costs_of
from planner.report.ledger import question_of
from planner.report.page import write_report
from planner.runs import Where, read_runs, sample_of
from planner.runs.columns import Count
from planner.runs.read import RunTable
from planner.sweep.file.studies import IdeasStudy
from planner.sweep.gating import close_stage, idea_gains
from planner.sweep.plan import Plan
from planner.sweep.prior import with_prior
from planner.sweep.spec import Sweep

ASSUMPTIONS = (
    "the final run is as well tuned as the small runs: same data, tokenizer and evaluation set",
    "a mixture of experts follows one law in active parameters at matched sparsity (experts in all and per token)",
    "compute is 6 x active parameters x tokens: attention scores and routing are left out",
)
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
    setting = plan.setting
    params, tokens = setting.target
    forecast = predict(law_fit, params=params, tokens=tokens)
    assumptions: tuple[str, ...] = ASSUMPTIONS
    if setting.sweep.file.exploration.family == "dense-equivalent":
        forecast = widened_for_equivalence(forecast, law_fit.law)
        assumptions = (*ASSUMPTIONS, f"a dense model of {params:.4g} parameters reaches the final run's loss: an assumption, "
                       f"taken to be known to {EQUIVALENT_SD:.0%} (sd of its ln)")  # fmt: skip
    folder.register(
        store.FORECAST,
        {
            "of": f"{setting.sweep.file.final.model}, baseline recipe, {setting.final.tokens:.4g} tokens",
            "count": law_fit.count,
            "law": law_fit.law.name,
            "parameters": law_fit.parameters,
            "data_sha256": law_fit.data_sha256,
            "sweep_sha256": setting.sweep.sha256,
            "prediction": forecast,
            "assumptions": assumptions,
        },
    )
    return forecast


def _decide(plan: Plan, law_fit: Fit, closed: list[Closed], folder: store.Folder) -> list[IdeaGain]:
    kinds = {study.kind for study in plan.setting.sweep.file.study}
    ideas, untested = idea_gains(plan.setting, _ideas(folder), law_fit.law) if "ideas" in kinds else ([], [])
    tuned, why = _tuned(plan, folder) if "hyperparameters" in kinds else (None, "there was no such study")
    folder.write_json(
        store.CHOICES,
        {
            "allocation": allocate(law_fit, flops=plan.setting.final.flops),
            "ideas": ideas,
            "untested": untested,
            "closed": closed,
            "tuning": tuned,
            "untuned_because": why,
        },
    )
    return ideas


def _tuned(plan: Plan, folder: store.Folder) -> tuple[TunedSetting | None, str]:
    """The best settings of the final run, or None and why."""
    table = read_runs(folder.path / store.RUNS, where=Where.parse("kind=hyperparameters,status=completed"))
    count = plan.setting.final_params
    body = float(count.active - count.embedding - count.head)
    columns = {name: table.frame[name].to_numpy(float) for name in ("tokens", "lr_peak", "batch_tokens", "loss")}
    runs = TuningRuns(params=table.frame["params_active_non_embedding"].to_numpy(float), **columns)
    try:
        return tune(runs, params=body, tokens=plan.setting.final.tokens), ""
    except InputError as error:
        return None, error.message


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


__all__ = ["ASSUMPTIONS", "STEPS", "Finished", "run_chain"]
