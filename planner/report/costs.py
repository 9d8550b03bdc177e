"""Costs that are no planned run: the final run's stages, runs from before, and the sweep file's [[cost]] tables."""

from __future__ import annotations

import difflib
from typing import Any

import pandas as pd

from planner.errors import InputError
from planner.models.flops import RULE_6ND_ACTIVE, training_flops
from planner.report.entries import COLUMNS
from planner.sweep.file.costs import Cost
from planner.sweep.plan import Plan
from planner.sweep.setting import Setting

FORWARD = 2.0  # FLOPs per active parameter and sampled token: a forward pass (Kaplan et al., arXiv 2001.08361, table 1)


def costs_of(plan: Plan) -> pd.DataFrame:
    """Ledger rows beside the runs; what they do not say of dollars and energy is priced like the runs are.

    Raises InputError for a cost of a run that is not planned.
    """
    setting = plan.setting
    _require_planned(setting, plan.runs)
    rows = [*_final(setting), *_prior(setting), *(_given(cost, setting) for cost in setting.sweep.file.cost)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _require_planned(setting: Setting, runs: pd.DataFrame) -> None:
    planned = set(runs["run_id"])
    for cost in setting.sweep.file.cost:
        if cost.run_id is not None and cost.run_id not in planned:
            near = difflib.get_close_matches(cost.run_id, planned, n=1)
            raise InputError(
                f"{setting.sweep.source}: cost {cost.name!r} is of run {cost.run_id!r}, which does not exist",
                f"did you mean {near[0]!r}?" if near else "take a run_id of `planner propose`, or leave it out",
            )


def _final(setting: Setting) -> list[dict[str, Any]]:
    final, name = setting.final, setting.sweep.file.final.model
    stages = {
        "pretraining": final.pretraining_gpu_hours,
        "context_extension": final.context_extension_gpu_hours,
        "post_training": final.post_training_gpu_hours,
    }
    return [
        {
            "name": f"{name}: {kind.replace('_', ' ')}", "side": "final", "kind": kind, "study": "final run", "variant": "baseline",
            "params_active": setting.final_params.active, "status": "planned", "accelerator": setting.accelerator.name,
            "flops": final.flops if kind == "pretraining" else None, "flops_rule": RULE_6ND_ACTIVE, "gpu_hours": hours,
            "gpu_hours_source": final.gpu_hours_source if kind == "pretraining" else "given",
            "usd": hours * final.usd_per_gpu_hour, "source": "the sweep file's [final]",
        }
        for kind, hours in stages.items() if hours > 0
    ]  # fmt: skip


def _prior(setting: Setting) -> list[dict[str, Any]]:
    """Runs already paid for; without hours of their own they take those of the final run's utilisation."""
    prior = setting.sweep.prior
    if prior is None:
        return []
    rows = []
    for number, row in enumerate(prior.to_dict("records"), 1):
        flops = float(row.get("flops") or training_flops(float(row["params_active"]), float(row["tokens"])))
        hours = row.get("gpu_hours")
        measured = hours is not None and hours == hours
        rows.append({
            "name": str(row.get("run_id") or f"prior run {number}"), "side": "exploration", "kind": "prior",
            "study": "prior runs", "params_active": row["params_active"], "variant": str(row.get("variant") or "baseline"),
            "status": "completed", "accelerator": setting.accelerator.name, "flops": flops,
            "flops_rule": str(row.get("flops_rule") or RULE_6ND_ACTIVE),
            "gpu_hours": float(str(hours)) if measured else setting.utilisation.gpu_hours(flops, setting.accelerator),
            "gpu_hours_source": "measured" if measured else "modelled", "usd": row.get("usd"), "source": "exploration.prior_runs",
        })  # fmt: skip
    return rows


def _given(cost: Cost, setting: Setting) -> dict[str, Any]:
    params = cost.params_active or float(setting.final_params.active)
    trained, sampled = 3 * FORWARD * params * cost.trained_tokens, FORWARD * params * cost.sampled_tokens
    flops, hours, source = cost.flops or (trained + sampled) or None, cost.gpu_hours, "given"
    if hours is None and flops is not None:
        if cost.sampled_tokens and cost.sampling_utilisation is None:
            raise InputError(
                f"{setting.sweep.source}: cost {cost.name!r}: hours of sampled tokens are not known",
                "give gpu_hours, or sampling_utilisation: the share of the BF16 peak that sampling reaches",
            )
        peak = setting.accelerator.bf16_flops * 3600.0
        hours = setting.utilisation.gpu_hours(flops - sampled, setting.accelerator)
        hours += sampled / (peak * cost.sampling_utilisation) if cost.sampling_utilisation else 0.0
        source = "modelled"
    rents = cost.kind not in ("staff", "overhead", "credit")
    return {
        "run_id": cost.run_id, "name": cost.name, "side": cost.belongs_to, "kind": cost.kind,
        "study": cost.kind.replace("_", " "), "status": "completed",
        "params_active": params if flops else None, "accelerator": setting.accelerator.name if rents else "", "owner": cost.owner,
        "month": cost.month, "flops": flops, "flops_rule": RULE_6ND_ACTIVE, "gpu_hours": hours or 0.0,
        "gpu_hours_source": source if hours else "", "usd": cost.usd, "usd_owned": None if rents and hours else cost.usd,
        "source": cost.source,
    }  # fmt: skip
