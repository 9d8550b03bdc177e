"""A pool of candidate runs, and the runs that they should tell of: tables in, checked arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner.errors import InputError
from planner.laws.centre import Array
from planner.laws.law import Law
from planner.runs.columns import Count
from planner.runs.read import RunTable
from planner.runs.sample import choose_count
from planner.text import short

COSTS = ("gpu_hours", "usd", "flops")  # the first of these that a pool has is its cost
MEASURED = ("loss_name", "loss_unit", "flops_rule")  # how losses and FLOPs were measured: never mixed
COUNTED = ("params", "tokens", "flops")  # logs are taken of these whatever the law


@dataclass(frozen=True)
class Candidates:
    """Runs that could be done: `run_ids`, `columns` of raw numbers by name `(n,)`, and `cost` `(n,)` in any one unit.

    `unit` names the column that the cost is. Columns hold at least what the law speaks of. InputError for a repeated id, and for
    a cost that is missing, zero or negative.
    """

    run_ids: tuple[str, ...]
    columns: Mapping[str, Array]
    cost: Array
    unit: str = "cost"
    name: str = "the pool"

    def __post_init__(self) -> None:
        """Refuse what cannot be a pool."""
        if not self.run_ids:
            raise InputError(f"{self.name}: no candidates", "give one row per run that could be done")
        seen: set[str] = set()
        for run_id in self.run_ids:
            if run_id in seen:
                raise InputError(
                    f"{self.name}: two candidates are called {short(run_id)!r}",
                    "give every candidate a run_id of its own",
                )
            seen.add(run_id)
        for name, values in (*self.columns.items(), (self.unit, self.cost)):
            if np.shape(values) != (len(self.run_ids),):
                raise InputError(
                    f"{self.name}: {name} {np.shape(values)} and {len(self.run_ids)} candidates differ",
                    "one number each",
                )
        bad = ~(np.isfinite(self.cost) & (self.cost > 0))
        if bad.any():
            at = int(np.argmax(bad))
            shown = "missing" if np.isnan(self.cost[at]) else f"{self.cost[at]:g}"
            raise InputError(
                f"{self.name}: candidate {short(self.run_ids[at])!r}: {self.unit} is {shown}",
                "every candidate needs a cost above zero: mend it, or leave it out with --where",
            )

    def at(self, keep: NDArray[np.bool_]) -> Candidates:
        """The candidates where `keep` holds."""
        ids = tuple(run_id for run_id, kept in zip(self.run_ids, keep, strict=True) if kept)
        return replace(
            self, run_ids=ids, columns={n: v[keep] for n, v in self.columns.items()}, cost=self.cost[keep]
        )  # fmt: skip

    def without(self, done: Mapping[str, object] | set[str]) -> Candidates:
        """The candidates that are not among the ids `done`; InputError when none is left."""
        keep = np.array([run_id not in done for run_id in self.run_ids])
        if not keep.any():
            raise InputError(f"{self.name}: all {keep.size} candidates are observed already", "add candidates")
        return self if keep.all() else self.at(keep)


def candidates_of(
    table: RunTable, law: type[Law], *, cost: str | None = None, count: Count | None = None
) -> Candidates:
    """The rows of a table as candidates for `law`; a row without a `run_id` is called by its line.

    `cost` names a column; else the first of gpu_hours, usd, flops that is there, else 6 x params x tokens.
    """
    columns = points_of(table, law, count=count)
    return Candidates(ids_of(table.frame), columns, *_cost(table, columns, cost), table.source)


def points_of(table: RunTable, law: type[Law], *, count: Count | None = None) -> dict[str, Array]:
    """Raw columns `(n,)` by name of the rows of a table, at least those that `law` speaks of; InputError for what is missing."""
    frame = table.frame
    found = {str(name): frame[name].to_numpy(float) for name in frame if pd.api.types.is_numeric_dtype(frame[name])}
    found |= {
        name: pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
        for name in law.variables
        if name in frame and name not in found
    }
    if count is not None or "params" in law.variables:
        found["params"] = found[str(choose_count(table, count))]
    sound = {name for name in COUNTED if name in found and (found[name] > 0).all() and np.isfinite(found[name]).all()}
    found = {name: values for name, values in found.items() if name in law.variables or name in sound}
    if {"params", "tokens"} <= set(found):
        found.setdefault("flops", 6 * found["params"] * found["tokens"])
    missing = [name for name in law.variables if name not in found]
    if missing:
        raise InputError(
            f"{table.source}: the {law.name} law needs {', '.join(missing)}: no such column of numbers",
            f"name it with --column theirs={missing[0]}; " + short(f"columns: {', '.join(map(str, frame))}", 200),
        )
    for name in law.variables:
        _require(table, name, found[name], positive=name in COUNTED)
    return found


def require_one_measure(*tables: RunTable | None) -> None:
    """Refuse tables whose losses or FLOPs were measured in different ways, where they say how."""
    for name in MEASURED:
        said = {
            (str(value), table.source)
            for table in tables
            if table is not None and name in table.frame
            for value in table.frame[name].dropna().unique()
            if str(value)
        }
        values = sorted({value for value, _ in said})
        if len(values) > 1:
            where = "; ".join(f"{short(value)!r} in {source}" for value, source in sorted(said)[:4])
            raise InputError(f"tables differ in {name}: {where}", f"choose runs of one: --where {name}={values[0]}")


def ids_of(frame: pd.DataFrame) -> tuple[str, ...]:
    """The rows' `run_id`; a row without one is called by its line."""
    lines = "line " + frame["line"].astype(str)
    if "run_id" not in frame:
        return tuple(lines)
    known = frame["run_id"].fillna("").astype(str)
    return tuple(known.where(known != "", lines))


def _cost(table: RunTable, columns: Mapping[str, Array], wanted: str | None) -> tuple[Array, str]:
    frame = table.frame
    name = wanted or next((name for name in COSTS if name in frame), "flops")
    if name in frame:
        return pd.to_numeric(frame[name], errors="coerce").to_numpy(float), name
    if name in columns:
        return columns[name], name
    there = [str(column) for column in frame if pd.api.types.is_numeric_dtype(frame[column]) and column != "line"]
    raise InputError(
        f"{table.source}: no column {name!r} to take as cost", short(f"name one with --cost: {', '.join(there)}", 200)
    )


def _require(table: RunTable, name: str, values: Array, *, positive: bool) -> None:
    bad = ~(np.isfinite(values) & ((values > 0) if positive else True))
    if bad.any():
        row = int(np.argmax(bad))
        shown = "missing or no number" if not np.isfinite(values[row]) else f"{values[row]:g}, not above zero"
        raise InputError(
            f"{table.source}: line {int(table.frame['line'].iloc[row])}: {name} is {shown}",
            f"mend that line, or leave it out: --where {name}>0",
        )
