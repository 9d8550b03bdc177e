"""A lab's runs beside its plan while it is under way: every planned run once, and what was run beside the plan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from planner.errors import InputError
from planner.models.flops import RULE_6ND_ACTIVE
from planner.report.entries import NOT_RUN
from planner.runs.columns import BASELINE, Status
from planner.runs.read import RunTable

UNPLANNED = "not planned"  # the study of runs that stand in no plan and name none
SPENT = ("gpu_hours", "usd", "usd_owned", "energy_kwh", "co2_kg", "flops", "tokens")  # 0 for a run that did not start
TOLD = (*SPENT, "status", "loss", "is_final", "gpu_hours_source")  # only what came back says these, never the plan
AMOUNTS = (*SPENT, "params_active", "loss", "stage", "seed")


def runs_in_progress(plan: pd.DataFrame, tables: Sequence[RunTable], accelerator: str) -> pd.DataFrame:
    """One row per run that is planned or in `tables` (as `planner import` writes them), in the columns of a plan.

    Planned runs that no table knows are planned still, at no cost; runs of no plan are of the study they name, else of
    "not planned", and on `accelerator` unless they say otherwise. Raises InputError for a table without run_id or status,
    an unknown status, a run that stands twice.
    """
    seen = pd.concat([_checked(table) for table in tables], ignore_index=True) if tables else plan.iloc[:0][["run_id"]]
    twice = seen.loc[seen["run_id"].duplicated(), "run_id"]
    if len(twice):
        raise InputError(f"run {twice.iloc[0]!r} stands twice in the tables of runs", "give every run once")
    everything = list(dict.fromkeys([*plan["run_id"], *seen["run_id"]]))
    planned, told = (table.set_index("run_id").reindex(everything) for table in (plan, seen))
    frame = planned.drop(columns=[name for name in TOLD if name in planned])
    for name in told:
        own = told[name].map(lambda cell: cell if cell != "" else None)
        frame[name] = own.where(own.notna(), frame[name]) if name in frame else own
    return _completed(frame.rename_axis("run_id").reset_index(), accelerator)


def _checked(table: RunTable) -> pd.DataFrame:
    frame = table.frame.drop(columns="line", errors="ignore")
    for name in ("run_id", "status"):
        if name not in frame:
            raise InputError(
                f"{table.source}: no column {name!r}", "give the table that `planner import LOGS` writes, or --column"
            )
    odd = frame[~frame["status"].isin(list(Status))]
    if len(odd):
        row = odd.iloc[0]
        raise InputError(
            f"{table.source}: run {row['run_id']!r} has the status {row['status']!r}", f"one of: {', '.join(Status)}"
        )
    return frame


def _completed(frame: pd.DataFrame, accelerator: str) -> pd.DataFrame:
    """What a row leaves out: no cost of what did not start, FLOPs of tokens, the study and the accelerator."""
    told = frame["status"] if "status" in frame else pd.Series(None, index=frame.index, dtype=object)
    frame["status"] = told.fillna(str(Status.PLANNED))
    idle = frame["status"].isin(NOT_RUN)
    for name in dict.fromkeys((*AMOUNTS, *SPENT)):
        frame[name] = pd.to_numeric(frame[name], errors="coerce") if name in frame else np.nan
    for name in SPENT:
        frame[name] = frame[name].where(~idle | frame[name].notna(), 0.0)
    trained = frame["tokens"] - pd.to_numeric(frame.get("resumed_tokens", 0.0), errors="coerce")
    known = frame["tokens"].where(trained.isna(), trained.clip(lower=0.0))
    frame["flops"] = frame["flops"].fillna(6 * frame["params_active"] * known)
    defaults = {"study": UNPLANNED, "kind": "", "variant": BASELINE, "accelerator": accelerator, "loss_unit": "",
                "flops_rule": RULE_6ND_ACTIVE, "gpu_hours_source": "measured", "hyperparameters_extrapolated": "false"}  # fmt: skip
    for name, value in defaults.items():
        frame[name] = frame[name].astype(object).fillna(value) if name in frame else value
    frame.loc[idle & ~(frame["gpu_hours"] > 0), "gpu_hours_source"] = "not run"
    final = (
        frame["is_final"].astype(object) if "is_final" in frame else pd.Series(None, index=frame.index, dtype=object)
    )
    done = (frame["status"] == Status.COMPLETED).map({True: "true", False: "false"})
    frame["is_final"] = final.where(final.notna(), done)
    return frame
