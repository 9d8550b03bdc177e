"""What was logged beside what was planned: every planned run once, with what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from planner.costs.accelerators import accelerators
from planner.errors import InputError
from planner.logs.importing import Logged, Settings, read_logs
from planner.logs.matching import Difference, differences_of, matched_by_content
from planner.logs.status import WHOLE
from planner.models.flops import training_flops
from planner.runs.columns import DEFAULT_LOSS_UNIT, Status
from planner.runs.read import read_runs

OWN = ("owner", "month", "precision", "currency", "rerun_of")  # what a ledger asks of a run and only its log may know
HOURS_OFF = 0.20  # measured hours this far from the modelled ones are said


@dataclass(frozen=True)
class Imported:
    """The table of runs, with what the plan and the logs say of each other.

    With a plan `frame` holds every planned run once. `missing` are run_ids planned and not logged, `unplanned` logged and not
    planned (their rows in `extra`); `unfinished` counts runs that are no finals by status, and completed ones that are not
    final. `by_content` says which logged run stands for which planned one where no id told it. `hours_off` are runs whose
    measured hours are more than 20 % off the modelled ones, `hours_ratio` the median of measured over modelled. `logged` is
    what was read.
    """

    frame: pd.DataFrame
    missing: tuple[str, ...]
    unplanned: tuple[str, ...]
    unfinished: dict[str, int]
    logged: Logged
    extra: pd.DataFrame = field(default_factory=pd.DataFrame)
    by_content: dict[str, str] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    hours_off: tuple[str, ...] = ()
    hours_ratio: float | None = None
    notes: tuple[str, ...] = ()


def import_logs(
    logs: str | Path | Sequence[str | Path],
    plan: pd.DataFrame | None = None,
    *,
    usd_per_gpu_hour: float | None = None,
    settings: Settings | None = None,
    database: Path | duckdb.DuckDBPyConnection | None = None,
) -> Imported:
    """The runs in one or several sources of logs, joined to the plan where there is one.

    A logged run belongs to the planned run of its `run_id`, else to the one of equal architecture, tokens, learning rate,
    batch and seed. Tokens, hours, status, loss, accelerator, owner, month, precision, currency and `rerun_of` are the logged
    ones, and dollars, energy and CO2e where they were logged; else these are recomputed from hours really spent, as FLOPs are
    from tokens, failed attempts included. Hours that were not logged are the plan's for the tokens seen.

    Raises InputError for sources that cannot be read, an unknown state, a run that completed twice, or a finished run
    without a loss; WorldError when `database` stays locked.
    """
    sources = [logs] if isinstance(logs, (str, Path)) else list(logs)
    logged = read_logs(sources, settings, database=database)
    if plan is None:
        return _without_plan(logged, usd_per_gpu_hour)
    return _with_plan(logged, plan, usd_per_gpu_hour)


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


def _without_plan(logged: Logged, usd_per_gpu_hour: float | None) -> Imported:
    frame = logged.frame
    if usd_per_gpu_hour is not None and "gpu_hours" in frame:
        frame = frame.assign(usd=frame["gpu_hours"].astype(float) * usd_per_gpu_hour)
    return Imported(frame, (), (), _unfinished(frame), logged)


def _with_plan(logged: Logged, plan: pd.DataFrame, usd_per_gpu_hour: float | None) -> Imported:
    seen = logged.frame.copy()
    found = matched_by_content(seen, plan)
    seen["run_id"] = seen["run_id"].replace(found.pairs)
    planned, known = set(plan["run_id"]), set(seen["run_id"])
    extra = seen[~seen["run_id"].isin(planned)]
    joined = seen[seen["run_id"].isin(planned)]
    frame = _joined(plan, joined, usd_per_gpu_hour)
    off, ratio = _hours(plan, frame)
    return Imported(
        frame=frame,
        missing=tuple(sorted(planned - known)),
        unplanned=tuple(sorted(known - planned)),
        unfinished=_unfinished(frame),
        logged=logged,
        extra=extra,
        by_content=found.pairs,
        differences=differences_of(joined, plan),
        hours_off=off,
        hours_ratio=ratio,
        notes=found.notes,
    )


def _unfinished(frame: pd.DataFrame) -> dict[str, int]:
    counts = frame["status"].value_counts()
    found = {str(name): int(number) for name, number in counts.sort_index().items() if name != Status.COMPLETED}
    truncated = (frame["status"] == Status.COMPLETED) & (frame["is_final"] != "true")
    return found | ({"not final": int(truncated.sum())} if truncated.any() else {})


def _joined(plan: pd.DataFrame, seen: pd.DataFrame, usd_per_gpu_hour: float | None) -> pd.DataFrame:
    measured = seen.set_index("run_id").reindex(plan["run_id"]).reset_index()
    there = measured["status"].notna()
    _require(seen, "tokens", missing=False)
    _require(seen, "gpu_hours", missing=True)
    frame = plan.copy()
    frame["status"] = measured["status"].where(there, str(Status.PLANNED)).astype(str)
    frame["tokens"] = _column(measured, "tokens").where(there, 0.0)
    hours = _column(measured, "gpu_hours")
    modelled = plan["gpu_hours"].to_numpy(float) * _part(frame["tokens"], plan)
    frame["gpu_hours"] = hours.fillna(pd.Series(modelled, index=hours.index)).where(there, 0.0)
    frame["gpu_hours_source"] = np.where(there, np.where(hours.notna(), "measured", "modelled"), "not run")
    trained = (frame["tokens"] - _resumed(plan)).clip(lower=0.0)  # a branch pays only for what its trunk had not seen
    frame["flops"] = [training_flops(n, d) for n, d in zip(frame["params_active"], trained, strict=True)]
    _with_costs(frame, measured, plan, usd_per_gpu_hour)
    frame["tokens_per_param"] = frame["tokens"] / frame["params_active"]
    whole = _part(frame["tokens"], plan) >= WHOLE
    annealed = frame["schedule"] != "constant" if "schedule" in frame else True
    final = (frame["status"] == Status.COMPLETED) & whole & annealed & (measured["is_final"] == "true")
    frame["is_final"] = final.map({True: "true", False: "false"})
    frame["loss"] = _column(measured, "loss")
    frame["loss_unit"] = _text(measured, "loss_unit").replace("", DEFAULT_LOSS_UNIT)
    frame["loss_name"] = _text(measured, "loss_name")
    return _with_what_logs_tell(frame, measured, there & (frame["status"] == Status.COMPLETED) & ~whole)


def _with_costs(
    frame: pd.DataFrame, measured: pd.DataFrame, plan: pd.DataFrame, usd_per_gpu_hour: float | None
) -> None:
    """What the run was on and whose it was, as logged; dollars and kWh as logged, else the plan's an hour.

    The plan prices its own accelerator: on another one they stay missing, for the ledger to price.
    """
    for name in OWN:
        logged, planned = _text(measured, name), _text(plan, name)
        if (logged != "").any():
            frame[name] = logged.where(logged != "", planned.to_numpy())
    same = pd.Series(True, index=frame.index)
    if "accelerator" in plan:
        logged = _text(measured, "accelerator").map(_known_chip)
        frame["accelerator"] = logged.where(logged != "", plan["accelerator"].to_numpy())
        same = frame["accelerator"] == plan["accelerator"].to_numpy()
    for name, rate in (("usd", usd_per_gpu_hour), ("energy_kwh", None), ("co2_kg", None)):
        logged_amount = _column(measured, name)
        hourly = _column(plan, name) / plan["gpu_hours"] if rate is None else pd.Series(rate, index=plan.index)
        modelled = frame["gpu_hours"] * (hourly.where(same) if rate is None else hourly)
        amount = logged_amount.where(logged_amount.notna(), modelled)
        if amount.notna().any():
            frame[name] = amount


def _known_chip(name: str) -> str:
    """The catalog's name of an accelerator; none for what the catalog does not know, which is then taken as planned."""
    return name.lower() if name.lower() in accelerators() else ""


def _with_what_logs_tell(frame: pd.DataFrame, measured: pd.DataFrame, truncated: pd.Series) -> pd.DataFrame:
    """Columns of the import that say something here: attempts beyond one, problems, other losses."""
    problem = _text(measured, "problem").mask(truncated, "truncated")
    if (problem != "").any():
        frame["problem"] = problem
    attempts = _column(measured, "attempts").fillna(0.0)
    if (attempts > 1).any():
        frame["attempts"] = attempts
    for name in ("loss_window", "loss_min", "train_loss", "lr_last"):
        if name in measured and measured[name].notna().any():
            frame[name] = _column(measured, name)
    return frame


def _part(tokens: pd.Series, plan: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Tokens trained over tokens planned to be, what a branch's trunk had seen left out; 1 where the plan says none."""
    if "tokens" not in plan:
        return np.ones(len(plan))
    wanted, resumed = pd.to_numeric(plan["tokens"], errors="coerce").to_numpy(float), _resumed(plan)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.maximum(tokens.to_numpy(float) - resumed, 0) / (wanted - resumed)
    return np.where(np.isfinite(part), part, 1.0)


def _resumed(plan: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Tokens that a run's trunk had seen; none where the plan does not speak of trunks."""
    return np.asarray(np.nan_to_num(_column(plan, "resumed_tokens").to_numpy(float)))


def _require(seen: pd.DataFrame, name: str, *, missing: bool) -> None:
    """Refuse logged runs of the plan with a count that cannot be, or without one that their cost needs."""
    values = _column(seen, name)
    bad = ~((np.isfinite(values) & (values >= 0)) | (values.isna() & missing))
    if bad.any():
        row = seen[bad].iloc[0]
        raise InputError(
            f"{row['source']}: {name} of run {row['run_id']!r} is {values[bad].iloc[0]}",
            f"log it, or map it: --column theirs={name}",
        )


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    values = frame[name] if name in frame else pd.Series(np.nan, index=frame.index)
    return pd.to_numeric(values, errors="coerce").astype(float)


def _text(frame: pd.DataFrame, name: str) -> pd.Series:
    values = frame[name] if name in frame else pd.Series("", index=frame.index)
    return values.fillna("").astype(str)


def _hours(plan: pd.DataFrame, frame: pd.DataFrame) -> tuple[tuple[str, ...], float | None]:
    """Runs whose measured hours are far from the modelled ones for the tokens they saw, and the median ratio."""
    modelled = plan["gpu_hours"].to_numpy(float) * _part(frame["tokens"], plan)
    measured = (
        (frame["gpu_hours_source"] == "measured").to_numpy()
        & (modelled > 0)
        & (frame["status"] == Status.COMPLETED).to_numpy()
    )
    if not measured.any():
        return (), None
    ratio = frame["gpu_hours"].to_numpy(float)[measured] / modelled[measured]
    off = np.abs(ratio - 1) > HOURS_OFF
    return tuple(frame["run_id"].to_numpy()[measured][off]), float(np.median(ratio))
