"""A bulk table into the database: what kind of table it is, and with which columns it is read."""

from __future__ import annotations

from dataclasses import replace

import duckdb

from planner.logs.files import LONG_LINE
from planner.logs.load import Loaded, Register
from planner.logs.normalise import columns_of
from planner.logs.row_groups import groups_of, told_once, with_ids_of_files, with_ids_on_rows
from planner.logs.row_table import load_rows
from planner.logs.segment import Bulk
from planner.logs.step_table import load_steps

# What DuckDB calls lines that are no rows, and what people are told; others are told in its words.
REJECTED = {
    "unquoted value": "quote that is not closed, with all lines up to the next quote",
    "invalid encoding": "line that is not UTF-8",
    "line size over maximum": LONG_LINE,
}


def load_bulk(connection: duckdb.DuckDBPyConnection, register: Register, bulk: Bulk, loaded: Loaded) -> None:
    """One bulk table into the database: its runs become segments, its rows points or, one row per run, settings."""
    if bulk.slow:
        bulk = _parsed(connection, bulk, loaded)
    columns = with_ids_on_rows(columns_of(bulk.columns, dialect=bulk.dialect, given=loaded.given))
    # Tokens stand for steps; but rows that tell a state are attempts.
    by_tokens = columns.row_id is not None and "tokens" in columns.points and "status" not in columns.settings
    if by_tokens and "step" not in columns.points:
        columns = replace(columns, points={**columns.points, "step": columns.points["tokens"]})
    groups = groups_of(connection, bulk, columns) if "step" in columns.points else []
    if columns.row_id is not None and told_once(groups):
        columns = with_ids_of_files(columns)
        groups = groups_of(connection, bulk, columns)
    if all(group.rows <= 1 for group in groups):
        load_rows(connection, register, bulk, loaded)
    else:
        load_steps(connection, register, bulk, columns, groups, loaded)
    if bulk.slow:
        connection.execute("DROP TABLE parsed")


def _parsed(connection: duckdb.DuckDBPyConnection, bulk: Bulk, loaded: Loaded) -> Bulk:
    """Text parsed once, into a temporary table."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE parsed AS SELECT * FROM {bulk.scan}", list(bulk.parameters))
    if bulk.rejects:
        _count_rejects(connection, loaded)
    return replace(bulk, scan="parsed", parameters=[])


def _count_rejects(connection: duckdb.DuckDBPyConnection, loaded: Loaded) -> None:
    """Lines that were no rows, by what is wrong with them."""
    for kind, number in connection.execute(
        "SELECT lower(error_type::VARCHAR), count(*) FROM reject_errors GROUP BY 1"
    ).fetchall():
        loaded.skipped[REJECTED.get(kind, f"line with {kind}")] += int(number)
    connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")


__all__ = ["load_bulk"]
