"""Which rows of a table count as finished runs, and what is refused of their cells, by line."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner.errors import InputError
from planner.runs.columns import BASELINE, Status
from planner.runs.read import RunTable
from planner.runs.where import TRUE
from planner.text import short

Array = NDArray[np.float64]


def finished_rows(table: RunTable, frame: pd.DataFrame, *, variants: bool) -> tuple[pd.DataFrame, dict[str, int]]:
    """Completed, final rows (without `variants`: baseline rows only), and how many were dropped by reason."""
    dropped: dict[str, int] = {}

    def drop(keep: pd.Series, reasons: pd.Series) -> None:
        nonlocal frame
        for reason, number in reasons[~keep].value_counts().sort_index().items():
            dropped[str(reason)] = int(number)
        frame = frame[keep]

    if "status" in frame:
        status = frame["status"].astype(str).str.lower()
        drop(status.isin((Status.COMPLETED, "", "finished")), "status " + status)
    if "is_final" in frame:
        final = frame["is_final"].astype(str).str.strip().str.lower().isin(TRUE)
        drop(final, pd.Series("not final", index=frame.index))
    if not variants and "variant" in frame and (frame["variant"] == BASELINE).any():
        drop(frame["variant"] == BASELINE, pd.Series("variant", index=frame.index))
    if frame.empty:
        told = ", ".join(f"{number} {reason}" for reason, number in dropped.items())
        raise InputError(
            f"{table.source}: no finished run is left; dropped: {told}", "a fit needs runs that are completed and final"
        )
    return frame, dropped


def require_unmixed(table: RunTable, frame: pd.DataFrame) -> None:
    """Refuse rows whose losses or FLOPs were measured in different ways."""
    for name in ("loss_name", "loss_unit", "flops_rule"):
        if name in frame and frame[name].nunique() > 1:
            listed = ", ".join(map(repr, sorted(frame[name].astype(str).unique())[:4]))
            raise InputError(f"{table.source}: runs differ in {name}: {listed}", f"pick one: --where {name}=...")


def require_positive(table: RunTable, frame: pd.DataFrame, name: str) -> None:
    """Refuse a number that is missing, zero, negative or infinite, with its line."""
    values = frame[name].to_numpy(float)
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        row = frame[bad].iloc[0]
        theirs = next((theirs for theirs, ours in table.mapped.items() if ours == name), name)
        shown = "missing or NaN" if np.isnan(row[name]) else f"{row[name]:g}, which is not above zero and finite"
        raise InputError(
            f"{table.source}: line {int(row['line'])}: column {theirs!r} is {shown}",
            f"mend it, mark the run's status as failed, or leave it out: --where {name}>0",
        )


def numbers(table: RunTable, frame: pd.DataFrame, name: str) -> Array:
    """A column that a law speaks of `(n_rows,)`; what is no number is an error with its line."""
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
    bad = ~np.isfinite(values)
    if bad.any():
        row = frame[bad].iloc[0]
        if pd.isna(row[name]) or not str(row[name]).strip():
            said, leave = f"{name} is missing", f"--where {name}"
        else:
            said, leave = f"{name} = {str(row[name])!r} is not a number", f"--where {name}!={row[name]}"
        raise InputError(f"{table.source}: line {int(row['line'])}: {said}", f"mend it, or leave it out: {leave}")
    return values


def above_zero(table: RunTable, frame: pd.DataFrame, name: str, *, zero: bool = False) -> Array:
    """A column of weights, noise or what stands as loss `(n_rows,)`: above zero, or with `zero` not below it."""
    if name not in frame:
        raise InputError(f"{table.source}: no column {name!r}", columns_of(table))
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
    bad = ~(np.isfinite(values) & ((values >= 0) if zero else (values > 0)))
    if bad.any():
        row = frame[bad].iloc[0]
        need = "zero or more" if zero else "above zero"
        raise InputError(
            f"{table.source}: line {int(row['line'])}: {name} = {row[name]} is not {need}", "mend that line"
        )
    return values


def columns_of(table: RunTable) -> str:
    """The columns there are, for a message."""
    return short(f"columns: {', '.join(str(name) for name in table.frame if name != 'line')}", 200)
