"""The plan: every run of every study, complete, priced, under a stable id."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from planner.errors import InputError
from planner.sweep.design import Design
from planner.sweep.file.studies import (
    ContextStudy,
    HoldoutStudy,
    HyperparameterStudy,
    IdeasStudy,
    MixtureStudy,
    ReplicateStudy,
    ScalingStudy,
    SparsityStudy,
    Study,
    VocabularyStudy,
)
from planner.sweep.request import Request
from planner.sweep.row import rows
from planner.sweep.setting import Setting, setting_of
from planner.sweep.spec import Sweep
from planner.sweep.studies.hyperparameters import hyperparameter_requests
from planner.sweep.studies.ideas import idea_requests
from planner.sweep.studies.listed import listed
from planner.sweep.studies.mixture import mixture_requests
from planner.sweep.studies.replicates import replicate_requests
from planner.sweep.studies.scaling import scaling_requests
from planner.sweep.studies.variations import context_requests, sparsity_requests, vocabulary_requests

FIRST_COLUMNS = (
    "run_id",
    "study",
    "kind",
    "group",
    "variant",
    "stage",
    "priority",
    "chance",
    "seed",
    "status",
    "trunk_id",
)


@dataclass(frozen=True)
class Plan:
    """The runs to do, one row each, in the file's order of studies, cheapest first; `design` is the scaling study's certificate.

    Sums count a run behind a gate with its chance of being reached: they are expected costs.
    """

    setting: Setting
    runs: pd.DataFrame
    design: Design | None

    def total(self, column: str) -> float:
        """The expected sum of a column over all runs."""
        return math.fsum(self.runs[column] * self.runs["chance"])

    @property
    def flops(self) -> float:
        """Training FLOPs (6 x params_active x tokens trained)."""
        return self.total("flops")

    @property
    def gpu_hours(self) -> float:
        """Accelerator-hours."""
        return self.total("gpu_hours")

    @property
    def usd(self) -> float:
        """Rent."""
        return self.total("usd")

    @property
    def most_gpu_hours(self) -> float:
        """Accelerator-hours if every idea passed every gate."""
        return math.fsum(self.runs["gpu_hours"])

    @property
    def by_study(self) -> dict[str, dict[str, float]]:
        """Runs, and expected FLOPs, hours and dollars of each study."""
        return {
            str(name): {
                "n_runs": len(part),
                **{key: math.fsum(part[key] * part["chance"]) for key in ("flops", "gpu_hours", "usd")},
            }
            for name, part in self.runs.groupby("study", sort=False)
        }


def propose(sweep: Sweep, *, max_flops: float | None = None) -> Plan:
    """The plan of a sweep. Raises InputError when it needs more than `max_flops`, or no study fits its budget."""
    setting = setting_of(sweep)
    parts, design = [], None
    for study in sweep.file.study:
        try:
            requests, found = _requests(setting, study)
        except InputError as error:
            raise InputError(f"{sweep.source}: {error.message}", error.hint) from None
        design = found or design
        parts.append(rows(setting, study, requests).sort_values(["flops", "run_id"]))
    runs = _ordered(pd.concat(parts, ignore_index=True))
    _require_possible(runs, sweep)
    plan = Plan(setting, runs, design)
    _require_affordable(plan)
    if max_flops is not None and plan.flops > max_flops:
        raise InputError(
            f"{sweep.file.name} needs {plan.flops:.2e} FLOPs, over the limit of {max_flops:.2e}",
            "lower exploration.budget, or raise --max-flops",
        )
    return plan


def _requests(setting: Setting, study: Study) -> tuple[list[Request], Design | None]:
    budget = setting.budget_of(study)
    match study:
        case ScalingStudy():
            return scaling_requests(setting, study, budget)
        case HyperparameterStudy():
            return hyperparameter_requests(setting, study, budget), None
        case IdeasStudy():
            return idea_requests(setting, study, budget), None
        case MixtureStudy():
            return mixture_requests(setting, study, budget), None
        case VocabularyStudy():
            return vocabulary_requests(setting, study, budget), None
        case ContextStudy():
            return context_requests(setting, study, budget), None
        case SparsityStudy():
            return sparsity_requests(setting, study, budget), None
        case ReplicateStudy():
            return replicate_requests(setting, study, budget), None
        case HoldoutStudy():
            purpose = "held out: forecast first, then trained"
            return listed(setting, study.name or study.kind, study.runs, budget, purpose=purpose), None


def _ordered(runs: pd.DataFrame) -> pd.DataFrame:
    """Identity first, then what is trained, cost and purpose last."""
    last = ["purpose"]
    middle = [name for name in runs.columns if name not in (*FIRST_COLUMNS, *last)]
    return runs[[*FIRST_COLUMNS, *middle, *last]]


def _require_possible(runs: pd.DataFrame, sweep: Sweep) -> None:
    """Refuse a plan with one run twice, a run that takes too long even on every chip it may have, or too many runs."""
    exploration = sweep.file.exploration
    if runs["run_id"].duplicated().any():
        twice = runs.loc[runs["run_id"].duplicated(), "run_id"].iloc[0]
        raise InputError(
            f"{sweep.source}: two planned runs are the same run ({twice})", "remove one of the studies that ask for it"
        )
    longest = float(runs["days"].max())
    if longest > exploration.max_days_per_run * 1.01:  # whole steps round tokens up
        raise InputError(
            f"{sweep.source}: the longest run takes {longest:.3g} days on exploration.count = {exploration.count} chips, over "
            f"max_days_per_run = {exploration.max_days_per_run:g}",
            "raise exploration.count or max_days_per_run, or lower the sizes or tokens",
        )
    _require_deadline(runs, sweep)
    if exploration.max_runs is not None and len(runs) > exploration.max_runs:
        raise InputError(
            f"{sweep.source}: the plan has {len(runs):,} runs, over exploration.max_runs = {exploration.max_runs:,}",
            "lower exploration.budget, or raise exploration.max_runs",
        )


def _require_affordable(plan: Plan) -> None:
    """Refuse studies whose listed runs, with what the other studies may spend, cost more than the whole budget."""
    setting, costs = plan.setting, plan.by_study
    studies = setting.sweep.file.study
    listed = [study for study in studies if study.share is None and study.budget is None]
    if not listed:
        return
    cost = math.fsum(costs[study.name or study.kind]["gpu_hours"] for study in listed)
    others = math.fsum(setting.budget_of(study) for study in studies if study.share is not None)
    if cost + others > setting.budget_gpu_hours * 1.005:
        raise InputError(
            f"{setting.sweep.source}: the listed runs cost {cost:.4g} GPU-hours; with {others:.4g} of the other studies' shares "
            f"that is over exploration.budget = {setting.budget_gpu_hours:.4g}",
            "raise exploration.budget, lower the shares, or shorten the lists",
        )


def _require_deadline(runs: pd.DataFrame, sweep: Sweep) -> None:
    """Refuse a plan that no schedule ends in time: its expected hours on all chips, its days on the slots that there are."""
    exploration = sweep.file.exploration
    if exploration.deadline_days is None:
        return
    bounds = {
        f"exploration.count = {exploration.count} chips": math.fsum(runs["gpu_hours"] * runs["chance"])
        / 24
        / exploration.count
    }
    if exploration.max_runs_at_once is not None:
        slots = f"exploration.max_runs_at_once = {exploration.max_runs_at_once}"
        bounds[slots] = math.fsum(runs["days"] * runs["chance"]) / exploration.max_runs_at_once
    what, least = max(bounds.items(), key=lambda item: item[1])
    if least > exploration.deadline_days:
        raise InputError(
            f"{sweep.source}: the plan takes {least:.3g} days with {what} always busy, over exploration.deadline_days = "
            f"{exploration.deadline_days:g}",
            f"lower exploration.budget to {exploration.deadline_days / least:.2f} of it, or give more chips, slots or days",
        )
