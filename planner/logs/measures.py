"""The SQL of measures in a bulk table, in our units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from planner.logs.names import BITS_PER_BYTE
from planner.logs.normalise import GROUPED, Column, Columns
from planner.logs.row_table import quoted
from planner.logs.segment import Bulk
from planner.logs.units import in_nats

PLAIN = (
    "BIGINT",
    "INTEGER",
    "SMALLINT",
    "TINYINT",
    "HUGEINT",
    "UBIGINT",
    "UINTEGER",
    "USMALLINT",
    "UTINYINT",
    "DOUBLE",
    "FLOAT",
)


def listed(values: Iterable[float | None]) -> str:
    """Numbers as a list of SQL."""
    return "[" + ", ".join("NULL" if value is None or value != value else repr(value) for value in values) + "]"


class Measures:
    """The SQL of measures in our units, some of which need what their run's settings say."""

    def __init__(self, bulk: Bulk, segments: pd.DataFrame, code: str) -> None:
        """`segments` holds the multipliers of each run, `code` is the SQL of a row's place in it."""
        self._bulk, self._segments, self._code = bulk, segments, code

    def measure(self, ours: str, measures: Mapping[str, Column]) -> str:
        """One measure of a point; a loss logged as NaN is infinite, and missing where the other loss stands beside it."""
        value = self._value(measures[ours], ours)
        if ours not in ("loss", "train_loss"):
            return value
        other = "train_loss" if ours == "loss" else "loss"
        if other in measures:  # a frame with holes writes NaN for "not logged at this step"
            beside = self._number(measures[other])
            return f"CASE WHEN isnan({value}) THEN CASE WHEN isfinite({beside}) THEN NULL ELSE 'inf'::DOUBLE END ELSE {value} END"
        return f"CASE WHEN isnan({value}) THEN 'inf'::DOUBLE ELSE {value} END"

    def evaluations(self, columns: Columns) -> str:
        """The further evaluation losses of a row as a list of (name, unit, value)."""
        return ", ".join(
            f"{{'name': {_text(column.theirs.rpartition('/')[0] or column.theirs)}, "
            f"'unit': {_text(in_nats(column.name.unit, None)[0])}, 'value': {self._value(column, 'loss')}}}"
            for column in columns.evals
        )

    def _value(self, column: Column, ours: str) -> str:
        sql, name = self._number(column), column.name
        factor = name.factor
        if ours in ("loss", "train_loss"):
            bytes_ = self._of_run("bytes_per_token") if name.unit == BITS_PER_BYTE else ""
            _, first, more = in_nats(name.unit, 1.0 if bytes_ not in ("", "NULL") else None)
            sql, factor = (f"CASE WHEN {sql} > 0 THEN ln({sql}) END" if first else sql), factor * more
            sql = f"({sql} * {bytes_})" if bytes_ not in ("", "NULL") else sql
        if ours == "mfu":
            sql = f"(CASE WHEN {sql} * {factor!r} > 1.5 THEN {sql} / 100 ELSE {sql} END)"
        if name.times:
            sql = f"({sql} * {self._of_run(name.times)})"
        return sql if factor == 1.0 else f"({sql} * {factor!r})"

    def _number(self, column: Column) -> str:
        return number_of(column.theirs, self._bulk.columns[column.theirs])

    def _of_run(self, setting: str) -> str:
        """A setting of a row's run: one number when all runs agree, NULL when none says it."""
        values = list(self._segments[setting])
        known = {value for value in values if value is not None and value == value}
        if not known:
            return "NULL"
        if len(known) == 1 and all(value is not None and value == value for value in values):
            return repr(float(known.pop()))
        return f"{listed(values)}[enum_code({self._code}) + 1]"


def number_of(theirs: str, kind: str, wanted: str = "DOUBLE") -> str:
    """The SQL of a column as a number, NULL where it is none; in a text "1,234,567" is one."""
    if kind in PLAIN or kind.startswith("DECIMAL"):
        return f"{'CAST' if wanted == 'DOUBLE' else 'TRY_CAST'}({quoted(theirs)} AS {wanted})"
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f"epoch({quoted(theirs)})"
    if kind != "VARCHAR":
        return f"TRY_CAST({quoted(theirs)} AS {wanted})"
    grouped = f"CASE WHEN regexp_full_match({quoted(theirs)}, '{GROUPED}') THEN replace({quoted(theirs)}, ',', '') END"
    return f"coalesce(TRY_CAST({quoted(theirs)} AS {wanted}), TRY_CAST({grouped} AS {wanted}))"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


__all__ = ["Measures", "listed", "number_of"]
