"""Tables with a row per step: from the files straight into the database, so that no row becomes a Python object."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pandas as pd

from planner.logs.database import value_of
from planner.logs.group_segments import segments_of
from planner.logs.history import HISTORY, add_measures
from planner.logs.load import Loaded, Register, append_new
from planner.logs.measures import Measures, listed
from planner.logs.normalise import Columns
from planner.logs.row_groups import Group, key_of, step_of
from planner.logs.row_table import FILE
from planner.logs.segment import Bulk

_BETWEEN = "chr(31)"  # file and id of a run, where an id stands in several files


def load_steps(
    connection: duckdb.DuckDBPyConnection, register: Register, bulk: Bulk, columns: Columns, groups: Sequence[Group],
    loaded: Loaded,
) -> None:  # fmt: skip
    """The points of the runs in `groups`, and their further evaluations."""
    segments = segments_of(register, bulk, columns, groups, loaded)
    for known in (False, True):
        some = segments[segments["known"] == known]
        if len(some):
            _load_points(connection, bulk, columns, some, loaded)


def _load_points(
    connection: duckdb.DuckDBPyConnection, bulk: Bulk, columns: Columns, segments: pd.DataFrame, loaded: Loaded
) -> None:
    measures = {ours: column for ours, column in columns.points.items() if ours != "step"}
    code, step = _code(columns, segments), step_of(bulk, columns)
    numbered = _numbered(connection, segments, code)
    beside = Measures(bulk, segments, code)
    add_measures(connection, measures)
    selected = "".join(f", {beside.measure(ours, measures)} AS {ours}" for ours in measures)
    start = f"SELECT {numbered} AS segment, {step} AS step"
    rest = f"FROM {bulk.scan} WHERE {code} IS NOT NULL AND {step} IS NOT NULL"
    _insert(connection, HISTORY, ["segment", "step", *measures], f"{start}{selected} {rest}", segments, bulk, loaded)
    if columns.evals:
        unnested = f"unnest([{beside.evaluations(columns)}], recursive := true)"
        names = ["segment", "step", "name", "unit", "value"]
        _insert(connection, "evals", names, f"{start}, {unnested} {rest}", segments, bulk, loaded)
        connection.execute("DELETE FROM evals WHERE value IS NULL OR NOT isfinite(value)")


def _code(columns: Columns, segments: pd.DataFrame) -> str:
    """The SQL of the place of a row's run among the segments; not a join, for that would lose the order of the rows."""
    if columns.row_id is None:
        return f"TRY_CAST({FILE} AS bulk_keys)"
    if segments["key"].is_unique:
        return f"TRY_CAST({key_of(columns)} AS bulk_keys)"
    return f"TRY_CAST({FILE} || {_BETWEEN} || {key_of(columns)} AS bulk_keys)"


def _numbered(connection: duckdb.DuckDBPyConnection, segments: pd.DataFrame, code: str) -> str:
    """The SQL of a row's segment, by an enumeration of the keys in the order of `segments`; new ones are numbered in a row."""
    both = segments["file"] + ("\x1f" + segments["key"] if _BETWEEN in code else "")
    own = both if FILE in code else segments["key"]
    connection.register("own_keys", pd.DataFrame({"own": own.to_numpy(), "place": range(len(own))}))
    connection.execute("DROP TYPE IF EXISTS bulk_keys")
    connection.execute("CREATE TEMP TYPE bulk_keys AS ENUM (SELECT own FROM own_keys ORDER BY place)")
    connection.unregister("own_keys")
    if not segments["known"].any():
        return f"enum_code({code}) + {int(segments['segment'].iloc[0])}"
    return f"{listed(segments['segment'])}[enum_code({code}) + 1]"


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str], rows: str, segments: pd.DataFrame, bulk: Bulk,
    loaded: Loaded,
) -> None:  # fmt: skip
    """New segments straight from the files; of known ones the rows that the database does not hold."""
    numbers = [int(number) for number in segments["segment"]]
    if segments["known"].any():
        connection.execute(f"CREATE OR REPLACE TEMP TABLE rows_of_known AS {rows}", list(bulk.parameters))
        append_new(connection, table, "rows_of_known", list(names), numbers, loaded)
        connection.execute("DROP TABLE rows_of_known")
        return
    done = value_of(connection, f"INSERT INTO {table} ({', '.join(names)}) {rows}", bulk.parameters)
    loaded.points += int(done) if table == HISTORY else 0
    loaded.touched.update(numbers)


__all__ = ["load_steps"]
