"""The plan: every run complete with shape, data, hyperparameters, cost and a stable id."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass

import pandas as pd

from planner.costs.energy import energy_kwh
from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.flops import RULE_6ND_ACTIVE, training_flops
from planner.sweep.hyperparameters import hyperparameter_requests
from planner.sweep.ideas import idea_requests
from planner.sweep.optimal import Design
from planner.sweep.prescription import WARMUP_STEPS, WEIGHT_DECAY, step_law
from planner.sweep.request import Request
from planner.sweep.scaling import scaling_requests
from planner.sweep.setting import CONTEXT_LENGTH, Setting, Size, setting_of
from planner.sweep.spec import Sweep

SEQUENCES_STEP = 8  # batches are whole multiples of it: one sequence a chip of a node
# What makes two runs the same run: everything that is trained, nothing of what it costs or why it was asked for.
IDENTITY = (
    "variant", "tokens", "batch_tokens", "lr_peak", "warmup_tokens", "weight_decay", "schedule", "optimizer", "precision",
    "context_length", "seed", "n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff", "vocab_size", "n_experts",
    "experts_per_token", "n_shared_experts", "expert_d_ff", "n_dense_layers", "params_total", "params_active",
)  # fmt: skip
# Studies use seeds of their own, so that no two of them pay for the same training.
FIRST_SEED = {"scaling": 0, "hyperparameters": 1_000_000, "ideas": 2_000_000}


@dataclass(frozen=True)
class Plan:
    """The runs to do, one row each, in the file's order of studies, cheapest first; `design` is the scaling study's certificate."""

    setting: Setting
    runs: pd.DataFrame
    design: Design | None

    @property
    def flops(self) -> float:
        """Training FLOPs of all runs (6 x params_active x tokens)."""
        return math.fsum(self.runs["flops"])

    @property
    def gpu_hours(self) -> float:
        """Accelerator-hours of all runs."""
        return math.fsum(self.runs["gpu_hours"])

    @property
    def usd(self) -> float:
        """Rent of all runs."""
        return math.fsum(self.runs["usd"])

    @property
    def by_study(self) -> dict[str, dict[str, float]]:
        """Runs, FLOPs, hours and dollars of each study."""
        return {
            str(name): {"n_runs": len(rows), **{key: math.fsum(rows[key]) for key in ("flops", "gpu_hours", "usd")}}
            for name, rows in self.runs.groupby("study", sort=False)
        }


def propose(sweep: Sweep, *, max_flops: float | None = None) -> Plan:
    """The plan of a sweep. Raises InputError when it needs more than `max_flops`, or no study fits its budget."""
    setting = setting_of(sweep)
    try:
        requests, design = _requests(setting)
    except InputError as error:
        raise InputError(f"{sweep.source}: {error.message}", error.hint) from None
    runs = pd.DataFrame([_complete(request, setting) for request in requests])
    _require_days(runs, sweep)
    if runs["run_id"].duplicated().any():
        twice = runs.loc[runs["run_id"].duplicated(), "run_id"].iloc[0]
        raise InputError(
            f"{sweep.source}: two planned runs are the same run ({twice})", "remove one of the studies that ask for it"
        )
    plan = Plan(setting, _ordered(runs, sweep), design)
    if max_flops is not None and plan.flops > max_flops:
        raise InputError(
            f"{sweep.file.name} needs {plan.flops:.2e} FLOPs, over the limit of {max_flops:.2e}",
            "lower exploration.budget, or raise --max-flops",
        )
    return plan


def _requests(setting: Setting) -> tuple[list[Request], Design | None]:
    requests: list[Request] = []
    design = None
    for study in setting.sweep.file.study:
        budget = study.share * setting.budget_gpu_hours
        match study.kind:
            case "scaling":
                found, design = scaling_requests(setting, study, budget)
            case "hyperparameters":
                found = hyperparameter_requests(setting, budget)
            case "ideas":
                found = idea_requests(setting, budget)
        requests += found
    return requests, design


def _require_days(runs: pd.DataFrame, sweep: Sweep) -> None:
    """Refuse a plan with a run that would take too long even on every chip it may have."""
    exploration = sweep.file.exploration
    days = runs["gpu_hours"] / runs["n_accelerators"] / 24
    if days.max() > exploration.max_days_per_run * 1.01:  # whole steps round tokens up
        raise InputError(
            f"{sweep.source}: the longest run takes {days.max():.3g} days on exploration.count = {exploration.count} chips, over "
            f"max_days_per_run = {exploration.max_days_per_run:g}",
            "raise exploration.count or max_days_per_run, or lower the sizes or tokens",
        )


def _ordered(runs: pd.DataFrame, sweep: Sweep) -> pd.DataFrame:
    place = {study.kind: index for index, study in enumerate(sweep.file.study)}
    keyed = runs.assign(place=[place[study] for study in runs["study"]])
    return keyed.sort_values(["place", "flops", "run_id"], ignore_index=True).drop(columns="place")


def _complete(request: Request, setting: Setting) -> dict[str, object]:
    """The row of one run: identity, what is trained and how, what it costs, what it is for."""
    size = request.size
    prescribed = step_law(size.active_non_embedding, request.tokens)
    sequences = SEQUENCES_STEP * max(
        1, round(prescribed.batch_tokens * request.batch_factor / CONTEXT_LENGTH / SEQUENCES_STEP)
    )
    batch = sequences * CONTEXT_LENGTH
    steps = max(1, round(request.tokens / batch))
    tokens = steps * batch
    row: dict[str, object] = {
        "study": request.study,
        "group": setting.sweep.file.name,
        "variant": request.variant,
        "stage": request.stage,
        "seed": FIRST_SEED[request.study] + request.seed,
        "status": "planned",
        **_counts(size, tokens),
        "steps": steps,
        "batch_tokens": batch,
        "lr_peak": float(f"{prescribed.lr_peak * request.lr_factor:.6g}"),
        "warmup_tokens": min(WARMUP_STEPS, steps // 10 + 1) * batch,
        "weight_decay": WEIGHT_DECAY,
        "schedule": "cosine",
        "optimizer": "adamw",
        "precision": "bf16",
        "context_length": CONTEXT_LENGTH,
        "hyperparameter_source": prescribed.source,
        "hyperparameters_extrapolated": prescribed.extrapolated,
        **_shape(size.model),
        **_cost(size, tokens, setting),
        "purpose": request.purpose,
    }
    return {"run_id": _run_id(row), **row}


def _counts(size: Size, tokens: int) -> dict[str, object]:
    return {
        "model": size.model.name,
        "params_total": size.count.total,
        "params_active": size.count.active,
        "params_non_embedding": size.count.non_embedding,
        "params_active_non_embedding": int(size.active_non_embedding),
        "tokens": tokens,
        "tokens_per_param": tokens / size.active,
        "flops": training_flops(size.active, tokens),
        "flops_rule": RULE_6ND_ACTIVE,
    }


def _shape(model: Architecture) -> dict[str, object]:
    experts = model.experts
    return {
        "n_layers": model.n_layers,
        "d_model": model.d_model,
        "n_heads": model.n_heads,
        "n_kv_heads": model.n_kv_heads,
        "head_dim": model.head_dim,
        "d_ff": model.d_ff,
        "vocab_size": model.vocab_size,
        "n_experts": experts.n_experts if experts else 0,
        "experts_per_token": experts.experts_per_token if experts else 0,
        "n_shared_experts": experts.n_shared if experts else 0,
        "expert_d_ff": experts.d_ff if experts else 0,
        "n_dense_layers": experts.n_dense_layers if experts else model.n_layers,
    }


def _cost(size: Size, tokens: int, setting: Setting) -> dict[str, object]:
    count, hours = setting.planned(size, tokens)
    return {
        "accelerator": setting.accelerator.name,
        "n_accelerators": count,
        "gpu_hours": hours,
        "gpu_hours_source": "modelled",
        "usd": hours * setting.usd_per_gpu_hour,
        "energy_kwh": energy_kwh(hours, setting.accelerator),
    }


def _run_id(row: dict[str, object]) -> str:
    """Study, size, tokens and a hash of what is trained: the same content gives the same id, whatever else is planned."""
    text = json.dumps([str(row[key]) for key in IDENTITY])
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:10]
    return (
        f"{row['study']}-{float(str(row['params_active'])) / 1e9:.2f}b-{float(str(row['tokens'])) / 1e9:.0f}bt-{digest}"
    )
