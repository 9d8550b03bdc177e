"""Costs that are no planned run: the final run's stages, runs from before, and the sweep file's [[cost]] tables."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Hashable, Mapping
from typing import Any

import pandas as pd

from planner.costs.accelerators import find_accelerator
from planner.errors import InputError
from planner.models.flops import RULE_6ND_ACTIVE, training_flops
from planner.report.entries import COLUMNS, NOT_RUN
from planner.runs.columns import BASELINE, Status
from planner.sweep.file.costs import Cost
from planner.sweep.plan import Plan
from planner.sweep.setting import Setting

FORWARD = 2.0  # FLOPs per active parameter and sampled token: a forward pass (Kaplan et al., arXiv 2001.08361, table 1)


def costs_of(plan: Plan, ran: Collection[str] = ()) -> pd.DataFrame:
    """Ledger rows beside the runs; what they do not say of dollars and energy is priced like the runs are.

    Raises InputError for a cost of a run that is neither planned nor among those that `ran`.
    """
    setting = plan.setting
    _require_known(setting, {*plan.runs["run_id"], *ran})
    rows = [*_final(setting), *_prior(setting), *(_given(cost, setting) for cost in setting.sweep.file.cost)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _require_known(setting: Setting, known: Collection[str]) -> None:
    for cost in setting.sweep.file.cost:
        if cost.run_id is not None and cost.run_id not in known:
            near = difflib.get_close_matches(cost.run_id, known, n=1)
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
            "precision": setting.sweep.file.final.precision if kind == "pretraining" else "",
            "flops": final.flops if kind == "pretraining" else None, "flops_rule": RULE_6ND_ACTIVE, "gpu_hours": hours,
            "gpu_hours_source": final.gpu_hours_source if kind == "pretraining" else "given",
            "usd": hours * final.usd_per_gpu_hour, "source": "the sweep file's [final]",
        }
        for kind, hours in stages.items() if hours > 0
    ]  # fmt: skip


def _prior(setting: Setting) -> list[dict[str, Any]]:
    """Runs already paid for, whatever became of them; without hours of their own they take the final run's utilisation."""
    tables = [table for table in (setting.sweep.prior, setting.sweep.sunk) if table is not None]
    if not tables:
        return []
    runs = pd.concat(tables, ignore_index=True)
    _require_one_currency(setting, runs)
    return [_prior_row(row, number, setting) for number, row in enumerate(runs.to_dict("records"), 1)]


def _prior_row(row: Mapping[Hashable, Any], number: int, setting: Setting) -> dict[str, Any]:
    name = _text(row, "run_id", f"prior run {number}")
    chip = find_accelerator(_text(row, "accelerator", "")) if _text(row, "accelerator", "") else setting.accelerator
    flops, hours = _number(row, "flops"), _number(row, "gpu_hours")
    if flops is None and (params := _number(row, "params_active")) and (tokens := _number(row, "tokens")) is not None:
        flops = training_flops(params, tokens)
    status = _text(row, "status", Status.COMPLETED)
    if flops is None and hours is None and status not in NOT_RUN:
        raise InputError(
            f"{setting.sweep.source}: prior run {name!r} is {status} and has neither gpu_hours nor tokens",
            "give the hours it took, as for every prior run: failed ones are paid for too",
        )
    modelled = 0.0 if status in NOT_RUN or flops is None else setting.utilisation.gpu_hours(flops, chip)
    return {
        "name": name, "side": "exploration", "kind": "prior", "study": "prior runs", "params_active": _number(row, "params_active"),
        "variant": _text(row, "variant", BASELINE), "status": status, "accelerator": chip.name,
        "owner": _text(row, "owner", ""), "month": _text(row, "month", ""), "precision": _text(row, "precision", ""),
        "flops": None if status in NOT_RUN else flops, "flops_rule": _text(row, "flops_rule", RULE_6ND_ACTIVE),
        "gpu_hours": modelled if hours is None else hours, "gpu_hours_source": "modelled" if hours is None else "measured",
        "usd": _number(row, "usd"), "source": "exploration.prior_runs",
    }  # fmt: skip


def _require_one_currency(setting: Setting, runs: pd.DataFrame) -> None:
    told = set(runs["currency"].dropna().astype(str)) - {"USD", ""} if "currency" in runs else set()
    if told:
        raise InputError(
            f"{setting.sweep.source}: prior_runs: two currencies: USD and {min(told)}",
            "convert all amounts to USD, and say at which rate",
        )


def _text(row: Mapping[Hashable, Any], name: str, otherwise: str) -> str:
    value = row.get(name)
    return otherwise if value is None or value != value or not str(value).strip() else str(value).strip()


def _number(row: Mapping[Hashable, Any], name: str) -> float | None:
    try:
        value = float(row.get(name, math.nan))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


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
