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
from planner.runs.columns import DEFAULT_LOSS_UNIT, Count
from planner.runs.read import RunTable
from planner.runs.rows import above_zero, columns_of, finished_rows, numbers, require_positive, require_unmixed
from planner.text import short

Array = NDArray[np.float64]

# Columns that checks look at, where a table has them, beside every column of numbers.
EXTRA = ("run_id", "trunk_id", "seed", "study", "schedule", "optimizer", "precision", "line")
TAKEN = ("tokens", "is_final", "status", "variant", "group")
SIZE_AND_DATA = ("params", "tokens")
POSITIVE = frozenset({*map(str, Count), "tokens", "flops", "loss"})


@dataclass(frozen=True)
class Sample:
    """Runs that one law may describe; arrays `(n_runs,)` of raw counts and losses.

    `params` and `tokens` are NaN throughout where a row lacks them: then no law that speaks of them can be fitted.
    `count` says which parameters `params` counts (None: it counts none), `dropped` how many rows were left out and why,
    `notes` what a reader should know about the rows that stayed, `source` where they were read. `weight` multiplies a
    run's part of what is minimised, `noise` is its sd of ln loss (None: the same for all), `extra` holds other columns
    by name, `target` names the column that stands as loss.
    """

    params: Array
    tokens: Array
    loss: Array
    count: Count | None
    group: str
    loss_unit: str
    dropped: dict[str, int]
    notes: tuple[str, ...]
    source: str = "runs"
    weight: Array | None = None
    noise: Array | None = None
    extra: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    target: str = "loss"

    @property
    def cluster(self) -> NDArray[Any] | None:
        """Labels `(n_runs,)` of rows that are not independent: those of one run or trunk; None when every row stands alone."""
        runs, trunk = self.repeated, self.trunk
        if trunk is None or runs is not None:
            return runs
        alone = np.array([f"row {row}" for row in range(trunk.size)])
        return np.where(trunk == "", alone, trunk)

    @property
    def repeated(self) -> NDArray[Any] | None:
        """The run `(n_runs,)` that each row is of, where some run has several rows; None otherwise."""
        labels = self.extra.get("run_id")
        return None if labels is None or np.unique(labels).size == labels.size else labels

    @property
    def trunk(self) -> NDArray[Any] | None:
        """The trunk `(n_runs,)` that each run branches off, empty for none; None where no two runs share one."""
        labels = self.extra.get("trunk_id")
        if labels is None:
            return None
        text = np.array(["" if label is None or label != label else str(label) for label in labels])
        named = text[text != ""]
        return text if np.unique(named).size < named.size else None

    @property
    def flops(self) -> Array:
        """6 x params x tokens by this sample's own count, `(n_runs,)`."""
        return 6.0 * self.params * self.tokens

    @property
    def named(self) -> dict[str, Array]:
        """Every column of numbers by name, `(n_runs,)`: counts, FLOPs (as logged, else 6 x params x tokens), other columns."""
        counts = {"flops": self.flops, "params": self.params, str(self.count): self.params, "tokens": self.tokens}
        known = {name: column for name, column in counts.items() if not np.isnan(column).any()}
        others = {name: column for name, column in self.extra.items() if np.issubdtype(column.dtype, np.number)}
        return known | others | {name: known[name] for name in known if name != "flops"}

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
        """A hash of the numbers, for a forecast's record: losses and every column that a law could speak of."""
        digest = hashlib.sha256(self.loss.tobytes())
        for name, column in sorted(self.named.items()):
            if name != "line":
                digest.update(name.encode() + np.asarray(column, float).tobytes())
        return digest.hexdigest()

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

    def told(self, run: int, names: Sequence[str] = SIZE_AND_DATA) -> str:
        """One run in words: its name, or its values of the columns `names`."""
        label = self.extra.get("run_id")
        if label is not None:
            return str(label[run])
        if tuple(names) == SIZE_AND_DATA:
            return f"{self.params[run]:.4g} params on {self.tokens[run]:.4g} tokens"
        return ", ".join(f"{name} {column[run]:.4g}" for name, column in zip(names, self.columns(names), strict=True))


def groups_of(table: RunTable) -> list[str]:
    """The distinct values of `group`, in order of appearance; one unnamed group when the column is absent."""
    return list(dict.fromkeys(table.frame["group"].astype(str))) if "group" in table.frame else [""]


def choose_count(table: RunTable, wanted: Count | None, *, needed: bool = True) -> Count | None:
    """The parameter column to fit: the wanted one, or the only one there is; None where none is `needed`."""
    there = [count for count in Count if count in table.frame]
    if wanted is not None:
        if wanted not in there:
            listed = ", ".join(there) or "none"
            raise InputError(f"{table.source}: no column {str(wanted)!r}", f"parameter columns there: {listed}")
        return wanted
    if needed and not there:
        raise InputError(
            f"{table.source}: no column of parameters", f"name it: --column theirs=params; {columns_of(table)}"
        )
    if needed and len(there) > 1:
        raise InputError(
            f"{table.source}: several columns of parameters: {', '.join(there)}", f"choose one: --count {there[0]}"
        )
    return there[0] if len(there) == 1 else None


def sample_of(
    table: RunTable,
    *,
    count: Count | None = None,
    group: str | None = None,
    weight: str | None = None,
    noise: str | None = None,
    target: str = "loss",
    variables: Sequence[str] = SIZE_AND_DATA,
) -> Sample:
    """The finished baseline runs of one group as arrays; `weight` and `noise` name columns, `target` what stands as loss.

    `variables` are the columns that the law speaks of: those must be there, and numbers, in every row; nothing else is
    demanded. FLOPs that are not logged are 6 x params x tokens.

    Rows of another status, checkpoints that are not final and variants are dropped and counted. Raises InputError for
    a missing column, mixed losses, a loss or count that is missing, zero or negative, other variables that are no
    numbers, and for a weight that is negative or a noise that is not above zero.
    """
    needed = _needed(table, variables)
    chosen = choose_count(table, count, needed="params" in needed)
    for name in (*needed, target):
        if name != "params" and name not in table.frame:
            raise InputError(
                f"{table.source}: no column {name!r}", f"name it: --column theirs={name}; {columns_of(table)}"
            )
    frame, dropped = finished_rows(table, _rows_of(table, group), variants=False)
    require_unmixed(table, frame)
    spoken = {name: _spoken(table, frame, str(chosen) if name == "params" else name) for name in needed}
    params, tokens = (_whole(frame, name) for name in (chosen, "tokens"))
    unit = str(frame["loss_unit"].iloc[0]) if "loss_unit" in frame else DEFAULT_LOSS_UNIT
    unit = unit if target == "loss" else target
    return Sample(
        params=params,
        tokens=tokens,
        loss=_spoken(table, frame, "loss") if target == "loss" else above_zero(table, frame, target),
        count=None if np.isnan(params).all() else chosen,
        group=group or "",
        loss_unit=unit,
        dropped=dropped,
        notes=_notes(frame, unit) if target == "loss" else (),
        source=table.source,
        weight=None if weight is None else above_zero(table, frame, weight, zero=True),
        noise=None if noise is None else above_zero(table, frame, noise),
        extra={
            name: _plain(frame, name)
            for name in map(str, frame)
            if name not in (*TAKEN, target) and _wanted(frame, name)
        }
        | {name: column for name, column in spoken.items() if name not in (*TAKEN, "params", target)},
        target=target,
    )


def _needed(table: RunTable, variables: Sequence[str]) -> list[str]:
    """The columns without which there is nothing to fit: those spoken of, and what FLOPs are computed from."""
    if "flops" not in variables or "flops" in table.frame:
        return list(variables)
    return list(dict.fromkeys([*(name for name in variables if name != "flops"), *SIZE_AND_DATA]))


def _rows_of(table: RunTable, group: str | None) -> pd.DataFrame:
    frame = table.frame
    if group is None:
        return frame
    if group not in groups_of(table) or "group" not in frame:
        there = ", ".join(filter(None, groups_of(table))) or "there is no column 'group'"
        raise InputError(f"{table.source}: no group {group!r}", f"groups: {short(there, 200)}")
    return frame[frame["group"].astype(str) == group]


def _spoken(table: RunTable, frame: pd.DataFrame, name: str) -> Array:
    """A column that the law speaks of: counts and losses above zero, others any number."""
    if name not in POSITIVE:
        return numbers(table, frame, name)
    if not pd.api.types.is_numeric_dtype(frame[name]):
        numbers(table, frame, name)  # refuses text with its line
    require_positive(table, frame, name)
    return frame[name].to_numpy(float)


def _whole(frame: pd.DataFrame, name: str | None) -> Array:
    """A count where every row has one, else NaN throughout: a law that does not speak of it does without."""
    if name is not None and name in frame:
        values = frame[name].to_numpy(float)
        if (np.isfinite(values) & (values > 0)).all():
            return values
    return np.full(len(frame), np.nan)


def _wanted(frame: pd.DataFrame, name: str) -> bool:
    return name in EXTRA or pd.api.types.is_numeric_dtype(frame[name])


def _plain(frame: pd.DataFrame, name: str) -> NDArray[Any]:
    """A column as numbers or text; a run without a name is a run of its own."""
    column = frame[name]
    if name == "run_id":
        return np.where(column.isna(), "line " + frame["line"].astype(str), column.astype(str)).astype(str)
    return column.to_numpy() if pd.api.types.is_numeric_dtype(column) else column.fillna("").astype(str).to_numpy(str)


def _notes(frame: pd.DataFrame, unit: str) -> tuple[str, ...]:
    notes = []
    loss = frame["loss"].to_numpy(float)
    if unit == DEFAULT_LOSS_UNIT and (loss.min() < 1 or loss.max() > 20):
        notes.append(f"losses from {loss.min():.3g} to {loss.max():.3g} are unusual for nats per token: check the unit")
    if "study" in frame and frame["study"].nunique() > 1:
        listed = ", ".join(sorted(frame["study"].astype(str).unique()))
        notes.append(f"several studies are pooled ({listed}): choose one with --where study=...")
    return tuple(notes)
