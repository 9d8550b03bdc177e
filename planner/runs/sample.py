"""From a table of runs to the arrays that a law is fitted to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner.errors import InputError
from planner.runs.columns import BASELINE, DEFAULT_LOSS_UNIT, Count, Status
from planner.runs.read import RunTable
from planner.runs.where import TRUE
from planner.text import short

Array = NDArray[np.float64]

# Columns that checks look at, where a table has them, beside every column of numbers.
EXTRA = ("run_id", "seed", "study", "schedule", "optimizer", "precision", "line")
TAKEN = ("tokens", "is_final", "status", "variant", "group")


@dataclass(frozen=True)
class Sample:
    """Runs that one law may describe; arrays `(n_runs,)` of raw counts and losses.

    `count` says which parameters `params` counts, `dropped` how many rows were left out and why, `notes` what a reader
    should know about the rows that stayed, `source` where they were read. `weight` multiplies a run's part of what is
    minimised, `noise` is its sd of ln loss (None: the same for all), `extra` holds other columns by name.
    """

    params: Array
    tokens: Array
    loss: Array
    count: Count
    group: str
    loss_unit: str
    dropped: dict[str, int]
    notes: tuple[str, ...]
    source: str = "runs"
    weight: Array | None = None
    noise: Array | None = None
    extra: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def cluster(self) -> NDArray[Any] | None:
        """Labels `(n_runs,)` of rows that are not independent: those of one run; None when every row is its own run."""
        labels = self.extra.get("run_id")
        return None if labels is None or np.unique(labels).size == labels.size else labels

    @property
    def flops(self) -> Array:
        """6 x params x tokens by this sample's own count, `(n_runs,)`."""
        return 6.0 * self.params * self.tokens

    @property
    def named(self) -> dict[str, Array]:
        """Every column of numbers by name, `(n_runs,)`: counts, FLOPs (as logged, else 6 x params x tokens), other columns."""
        others = {name: column for name, column in self.extra.items() if np.issubdtype(column.dtype, np.number)}
        return {
            "flops": self.flops,
            **others,
            "params": self.params,
            str(self.count): self.params,
            "tokens": self.tokens,
        }

    def columns(self, names: Sequence[str]) -> list[Array]:
        """One array `(n_runs,)` per name; InputError for a column that is not there, or holds what is no number."""
        found = self.named
        for name in names:
            if name not in found:
                raise InputError(
                    f"{self.name}: no column of numbers {name!r}", short(f"columns: {', '.join(found)}", 200)
                )
            bad = ~np.isfinite(found[name])
            if bad.any():
                line = self.extra["line"][bad][0] if "line" in self.extra else int(np.argmax(bad)) + 1
                raise InputError(
                    f"{self.name}: line {line}: {name} is missing or not a number", "mend it, or leave it out: --where"
                )
        return [np.asarray(found[name], float) for name in names]

    @property
    def sha256(self) -> str:
        """A hash of the numbers, for a forecast's record."""
        return hashlib.sha256(np.stack([self.params, self.tokens, self.loss]).tobytes()).hexdigest()

    def at(self, keep: NDArray[np.bool_]) -> Sample:
        """The runs where `keep` holds."""
        return replace(
            self, params=self.params[keep], tokens=self.tokens[keep], loss=self.loss[keep],
            weight=None if self.weight is None else self.weight[keep],
            noise=None if self.noise is None else self.noise[keep],
            extra={name: column[keep] for name, column in self.extra.items()},
        )  # fmt: skip

    @property
    def name(self) -> str:
        """What messages call these runs: the file, and the group when there are several."""
        return f"{self.source}: group {self.group!r}" if self.group else self.source


def groups_of(table: RunTable) -> list[str]:
    """The distinct values of `group`, in order of appearance; one unnamed group when the column is absent."""
    return list(dict.fromkeys(table.frame["group"].astype(str))) if "group" in table.frame else [""]


def choose_count(table: RunTable, wanted: Count | None) -> Count:
    """The parameter column to fit: the wanted one, or the only one there is."""
    there = [count for count in Count if count in table.frame]
    if wanted is not None:
        if wanted not in there:
            listed = ", ".join(there) or "none"
            raise InputError(f"{table.source}: no column {str(wanted)!r}", f"parameter columns there: {listed}")
        return wanted
    if not there:
        raise InputError(
            f"{table.source}: no column of parameters", f"name it: --column theirs=params; {_columns(table)}"
        )
    if len(there) > 1:
        raise InputError(
            f"{table.source}: several columns of parameters: {', '.join(there)}", f"choose one: --count {there[0]}"
        )
    return there[0]


def sample_of(
    table: RunTable,
    *,
    count: Count | None = None,
    group: str | None = None,
    weight: str | None = None,
    noise: str | None = None,
    target: str = "loss",
    also: Sequence[str] = (),
) -> Sample:
    """The finished baseline runs of one group as arrays; `weight` and `noise` name columns, `target` what stands as loss.

    `also` names columns that must be numbers where they are there: what a law speaks of beside params and tokens.

    Rows of another status, checkpoints that are not final and variants are dropped and counted. Raises InputError for
    a missing column, mixed losses, a loss, params or tokens that is missing, zero or negative, and for a weight that is
    negative or a noise that is not above zero.
    """
    chosen = choose_count(table, count)
    for name in ("tokens", target):
        if name not in table.frame:
            raise InputError(
                f"{table.source}: no column {name!r}", f"name it: --column theirs={name}; {_columns(table)}"
            )
    frame = table.frame
    if group is not None:
        if group not in groups_of(table) or "group" not in frame:
            there = ", ".join(filter(None, groups_of(table))) or "there is no column 'group'"
            raise InputError(f"{table.source}: no group {group!r}", f"groups: {short(there, 200)}")
        frame = frame[frame["group"].astype(str) == group]
    frame, dropped = finished_rows(table, frame, variants=False)
    require_unmixed(table, frame)
    for name in (str(chosen), "tokens", *(["loss"] if target == "loss" else [])):
        require_positive(table, frame, name)
    unit = str(frame["loss_unit"].iloc[0]) if "loss_unit" in frame else DEFAULT_LOSS_UNIT
    unit = unit if target == "loss" else target
    return Sample(
        params=frame[chosen].to_numpy(float),
        tokens=frame["tokens"].to_numpy(float),
        loss=frame["loss"].to_numpy(float) if target == "loss" else _column(table, frame, target, zero=False),
        count=chosen,
        group=group or "",
        loss_unit=unit,
        dropped=dropped,
        notes=_notes(frame, unit) if target == "loss" else (),
        source=table.source,
        weight=None if weight is None else _column(table, frame, weight, zero=True),
        noise=None if noise is None else _column(table, frame, noise, zero=False),
        extra={
            name: _plain(frame, name)
            for name in map(str, frame)
            if name not in (*TAKEN, target) and _wanted(frame, name)
        }
        | {name: _numbers(table, frame, name) for name in also if name in frame and name not in (*TAKEN, target)},
    )


def _numbers(table: RunTable, frame: pd.DataFrame, name: str) -> Array:
    """A column that a law speaks of; text in it is an error with its line."""
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
    bad = ~np.isfinite(values)
    if bad.any():
        row = frame[bad].iloc[0]
        raise InputError(
            f"{table.source}: line {int(row['line'])}: {name} = {str(row[name])!r} is not a number",
            f"mend it, or leave it out: --where {name}!={row[name]}",
        )
    return values


def _wanted(frame: pd.DataFrame, name: str) -> bool:
    return name in EXTRA or pd.api.types.is_numeric_dtype(frame[name])


def _plain(frame: pd.DataFrame, name: str) -> NDArray[Any]:
    """A column as numbers or text; a run without a name is a run of its own."""
    column = frame[name]
    if name == "run_id":
        return np.where(column.isna(), "line " + frame["line"].astype(str), column.astype(str)).astype(str)
    return column.to_numpy() if pd.api.types.is_numeric_dtype(column) else column.fillna("").astype(str).to_numpy(str)


def _column(table: RunTable, frame: pd.DataFrame, name: str, *, zero: bool) -> Array:
    """A column of weights or noise, checked."""
    if name not in frame:
        raise InputError(f"{table.source}: no column {name!r}", _columns(table))
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
    bad = ~(np.isfinite(values) & ((values >= 0) if zero else (values > 0)))
    if bad.any():
        row = frame[bad].iloc[0]
        need = "zero or more" if zero else "above zero"
        raise InputError(
            f"{table.source}: line {int(row['line'])}: {name} = {row[name]} is not {need}", "mend that line"
        )
    return values


def _columns(table: RunTable) -> str:
    return short(f"columns: {', '.join(str(name) for name in table.frame if name != 'line')}", 200)


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


def _notes(frame: pd.DataFrame, unit: str) -> tuple[str, ...]:
    notes = []
    loss = frame["loss"].to_numpy(float)
    if unit == DEFAULT_LOSS_UNIT and (loss.min() < 1 or loss.max() > 20):
        notes.append(f"losses from {loss.min():.3g} to {loss.max():.3g} are unusual for nats per token: check the unit")
    if "study" in frame and frame["study"].nunique() > 1:
        listed = ", ".join(sorted(frame["study"].astype(str).unique()))
        notes.append(f"several studies are pooled ({listed}): choose one with --where study=...")
    return tuple(notes)
