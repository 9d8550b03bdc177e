"""Logs and plan become one clean table of runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from planner.errors import InputError
from planner.models.flops import training_flops
from planner.runs.columns import DEFAULT_LOSS_UNIT, Status
from planner.runs.read import read_runs

# What trackers call a run's state, and ours.
STATES = {
    "finished": Status.COMPLETED, "completed": Status.COMPLETED, "failed": Status.FAILED, "crashed": Status.FAILED,
    "killed": Status.CANCELLED, "cancelled": Status.CANCELLED, "diverged": Status.DIVERGED, "running": Status.RUNNING,
    "preempted": Status.PREEMPTED,
}  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """The table of runs: every planned run once, with what became of it.

    `missing` are run_ids planned and not logged, `unplanned` logged and not planned; `unfinished` counts runs by a
    status other than completed.
    """

    frame: pd.DataFrame
    missing: tuple[str, ...]
    unplanned: tuple[str, ...]
    unfinished: dict[str, int]


def import_logs(logs: str | Path, plan: pd.DataFrame, *, usd_per_gpu_hour: float) -> Imported:
    """Join the logs in a csv, jsonl or parquet file to the plan by `run_id`.

    Tokens, hours, status and loss are the logged ones; FLOPs, dollars and energy are recomputed from tokens and hours
    really spent. Raises InputError for a run logged twice, an unknown state, or a finished run without a loss.
    """
    table = read_runs(logs)
    seen = table.frame
    for name in ("run_id", "status", "loss", "tokens", "gpu_hours"):
        if name not in seen:
            raise InputError(f"{logs}: no column {name!r}", "log it under this name")
    for name in ("tokens", "gpu_hours"):
        bad = ~(np.isfinite(_numeric(logs, seen, name)) & (seen[name] >= 0))
        if bad.any():
            row = seen[bad].iloc[0]
            raise InputError(
                f"{logs}: line {int(row['line'])}: {name} of run {row['run_id']!r} is {row[name]}", "mend it"
            )
    if seen["run_id"].duplicated().any():
        twice = seen[seen["run_id"].duplicated()].iloc[0]
        raise InputError(
            f"{logs}: line {int(twice['line'])}: run {twice['run_id']!r} is logged twice", "keep its last segment"
        )
    seen = seen.assign(status=seen["status"].str.strip().str.lower().map(STATES))
    if seen["status"].isna().any():
        odd = table.frame[seen["status"].isna()].iloc[0]
        raise InputError(
            f"{logs}: line {int(odd['line'])}: unknown state {odd['status']!r}", f"one of: {', '.join(STATES)}"
        )
    _require_losses(logs, seen)
    planned, logged = set(plan["run_id"]), set(seen["run_id"])
    frame = _joined(plan, seen, usd_per_gpu_hour)
    status = frame["status"].value_counts()
    return Imported(
        frame=frame,
        missing=tuple(sorted(planned - logged)),
        unplanned=tuple(sorted(logged - planned)),
        unfinished={str(name): int(number) for name, number in status.sort_index().items() if name != Status.COMPLETED},
    )


def read_plan(path: str | Path) -> pd.DataFrame:
    """A plan from csv, jsonl or parquet; InputError when a column that the import needs is missing."""
    frame = read_runs(path).frame.drop(columns="line")
    for name in ("run_id", "study", "params_active", "gpu_hours", "energy_kwh"):
        if name not in frame:
            raise InputError(f"{path}: no column {name!r}: not a plan", "give the plan that `planner propose` wrote")
    for name in ("gpu_hours", "energy_kwh"):
        frame[name] = pd.to_numeric(frame[name], errors="coerce")
        if not (frame[name] > 0).all():
            raise InputError(f"{path}: column {name!r} is not all positive numbers", "mend the cells that are not")
    if frame["run_id"].duplicated().any():
        twice = frame.loc[frame["run_id"].duplicated(), "run_id"].iloc[0]
        raise InputError(f"{path}: run {twice!r} is planned twice", "give the plan that `planner propose` wrote")
    return frame


def _numeric(place: str | Path, frame: pd.DataFrame, name: str) -> pd.Series:
    if not pd.api.types.is_numeric_dtype(frame[name]):
        raise InputError(f"{place}: column {name!r} is not all numbers", "mend the cells that are text")
    return frame[name]


def _require_losses(logs: str | Path, seen: pd.DataFrame) -> None:
    finished = seen["status"] == Status.COMPLETED
    bad = finished & ~(np.isfinite(seen["loss"]) & (seen["loss"] > 0))
    if bad.any():
        row = seen[bad].iloc[0]
        raise InputError(
            f"{logs}: line {int(row['line'])}: run {row['run_id']!r} completed with loss {row['loss']}",
            "mark it failed, or mend it",
        )


def _joined(plan: pd.DataFrame, seen: pd.DataFrame, usd_per_gpu_hour: float) -> pd.DataFrame:
    measured = seen.set_index("run_id").reindex(plan["run_id"]).reset_index()
    there = measured["status"].notna()
    frame = plan.copy()
    frame["status"] = measured["status"].where(there, Status.PLANNED).astype(str)
    for name in ("tokens", "gpu_hours"):
        frame[name] = measured[name].where(there, 0.0)
    frame["gpu_hours_source"] = np.where(there, "measured", "not run")
    resumed = frame.get("resumed_tokens", 0.0)
    trained = (frame["tokens"] - resumed).clip(lower=0.0)  # a branch pays only for what its trunk had not seen
    frame["flops"] = [training_flops(n, d) for n, d in zip(frame["params_active"], trained, strict=True)]
    frame["usd"] = frame["gpu_hours"] * usd_per_gpu_hour
    frame["energy_kwh"] = frame["gpu_hours"] * (plan["energy_kwh"] / plan["gpu_hours"])  # as the plan has it an hour
    frame["tokens_per_param"] = frame["tokens"] / frame["params_active"]
    annealed = frame["schedule"] != "constant" if "schedule" in frame else True
    frame["is_final"] = ((frame["status"] == Status.COMPLETED) & annealed).map({True: "true", False: "false"})
    frame["loss"] = measured["loss"]
    logged_unit = measured["loss_unit"] if "loss_unit" in measured else pd.Series("", index=measured.index)
    frame["loss_unit"] = logged_unit.fillna("").replace("", DEFAULT_LOSS_UNIT)
    frame["loss_name"] = measured.get("loss_name", "")
    return frame
