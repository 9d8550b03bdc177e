"""What a fit says of the final run: the forecast, the split of compute, the ideas, the settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from planner.decisions.allocation import allocate
from planner.decisions.equivalence import EQUIVALENT_SD, widened_for_equivalence
from planner.decisions.gates import Closed
from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.fitting.predict import predict
from planner.fitting.tuning import TunedSetting, TuningRuns, tune
from planner.quantities import human
from planner.runs.columns import Count, Status
from planner.runs.read import RunTable
from planner.sweep.gating import idea_gains
from planner.sweep.plan import Plan
from planner.sweep.setting import Setting

ASSUMPTIONS = (
    "the final run is as well tuned as the small runs: same data, tokenizer and evaluation set",
    "compute is 6 x active parameters x tokens: attention scores and routing are left out",
)
MIXTURE = "a mixture of experts follows one law in active parameters at matched sparsity (experts in all and per token)"
NEEDED = ("params", "tokens")  # what the law of a report speaks of


def outlook_of(plan: Plan, law_fit: Fit) -> dict[str, Any]:
    """The forecast of the final run, with what it rests on; InputError for a law of something else than size and data."""
    setting = plan.setting
    params, tokens = _target(setting, law_fit)
    forecast = predict(law_fit, params=params, tokens=tokens)
    mixture = setting.sweep.model.experts is not None
    assumptions = [ASSUMPTIONS[0], *([MIXTURE] if mixture else []), *ASSUMPTIONS[1:]]
    if setting.sweep.file.exploration.family == "dense-equivalent":
        forecast = widened_for_equivalence(forecast, law_fit.law)
        assumptions.append(
            f"a dense model of {params:.4g} parameters reaches the final run's loss: an assumption, taken to be known to "
            f"{EQUIVALENT_SD:.0%} (sd of its ln)"
        )
    return {
        "of": f"{setting.sweep.file.final.model}, baseline recipe, {human(setting.final.tokens)} tokens",
        "count": law_fit.count,
        "law": law_fit.law.name,
        "parameters": law_fit.parameters,
        "data_sha256": law_fit.data_sha256,
        "sweep_sha256": setting.sweep.sha256,
        "prediction": forecast,
        "assumptions": assumptions,
    }


def _target(setting: Setting, law_fit: Fit) -> tuple[float, float]:
    """The final run as the fit counts it."""
    counts, (params, tokens) = setting.final_params, setting.target
    sizes = {
        Count.ACTIVE: params,
        Count.TOTAL: float(counts.total),
        Count.NON_EMBEDDING: float(counts.total - counts.embedding - counts.head),
    }
    if type(law_fit.law).variables != NEEDED or law_fit.count not in sizes:
        what = f"counts {law_fit.count}" if law_fit.count else f"is of {', '.join(type(law_fit.law).variables)}"
        raise InputError(
            f"the fit {what}: a report needs a law of size and data", "planner fit RUNS --count params_active"
        )
    return sizes[Count(str(law_fit.count))], tokens


def choices_of(plan: Plan, law_fit: Fit, runs: pd.DataFrame, closed: Sequence[Closed]) -> dict[str, Any]:
    """Split, ideas and settings by the fit and the runs so far; what cannot be told is None, or empty, and says why."""
    kinds = {study.kind for study in plan.setting.sweep.file.study}
    ideas, untested = _ideas(plan.setting, runs, law_fit) if "ideas" in kinds else ([], [])
    tuned, why = _tuned(plan.setting, runs) if "hyperparameters" in kinds else (None, "there was no such study")
    return {
        "allocation": allocate(law_fit, flops=plan.setting.final.flops),
        "ideas": ideas,
        "untested": untested,
        "closed": list(closed),
        "tuning": tuned,
        "untuned_because": why,
    }


def _ideas(setting: Setting, runs: pd.DataFrame, law_fit: Fit) -> tuple[list[Any], list[str]]:
    mine = runs[runs["kind"] == "ideas"].reset_index(drop=True)
    if not (mine["status"] == Status.COMPLETED).any():
        return [], [idea.name for idea in setting.sweep.file.idea]
    return idea_gains(setting, RunTable(mine, "runs", "", {}), law_fit.law)


def _tuned(setting: Setting, runs: pd.DataFrame) -> tuple[TunedSetting | None, str]:
    """The best settings of the final run, or None and why."""
    count = setting.final_params
    body = float(count.active - count.embedding - count.head)
    done = runs[(runs["kind"] == "hyperparameters") & (runs["status"] == Status.COMPLETED)]
    if done.empty:
        return None, "no run of that study has finished"
    columns = {name: done[name].to_numpy(float) for name in ("tokens", "lr_peak", "batch_tokens", "loss")}
    trained = TuningRuns(params=done["params_active_non_embedding"].to_numpy(float), **columns)
    try:
        return tune(trained, params=body, tokens=setting.final.tokens), ""
    except InputError as error:
        return None, error.message
