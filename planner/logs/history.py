"""The points in the database: a column appears when the first log holds it, and a view shows them all.

An empty column of twenty million points takes a third of a second to write, and most logs leave several of them empty.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

HISTORY = "history"
# Every measure of a point, in the order of the view, as it is stored. Whole numbers and clocks are told their compression:
# trying all of them on each column is a sixth of the time of an import; losses and rates are left to DuckDB.
_MEASURES = {
    "tokens": "DOUBLE USING COMPRESSION alp", "loss": "DOUBLE", "train_loss": "DOUBLE", "lr": "DOUBLE",
    "time": "DOUBLE USING COMPRESSION alp", "tokens_per_second": "DOUBLE", "step_seconds": "DOUBLE", "flops": "DOUBLE",
    "mfu": "DOUBLE",
}  # fmt: skip
_ALWAYS_SHOWN = ("tokens", "loss", "train_loss", "lr", "time")

TABLE = (
    f"CREATE TABLE IF NOT EXISTS {HISTORY} "
    "(segment INTEGER USING COMPRESSION rle, step BIGINT USING COMPRESSION bitpacking);"
)


def columns_there(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The columns that the points have so far."""
    return {name for name, *_ in connection.execute(f"DESCRIBE {HISTORY}").fetchall()}


def add_measures(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Columns for measures that a log holds, where they are not there yet."""
    for name in names:
        if name in _MEASURES:
            connection.execute(f"ALTER TABLE {HISTORY} ADD COLUMN IF NOT EXISTS {name} {_MEASURES[name]}")


def add_reason(connection: duckdb.DuckDBPyConnection) -> None:
    """The column that says why a point does not count; it is there from the first such point on."""
    connection.execute(f"ALTER TABLE {HISTORY} ADD COLUMN IF NOT EXISTS reason VARCHAR")


def make_view(connection: duckdb.DuckDBPyConnection) -> None:
    """The view `points`: segment, step, the usual measures and the others that a log held, and `reason`."""
    there = columns_there(connection)
    shown = [name if name in there else f"NULL::DOUBLE AS {name}" for name in _MEASURES
             if name in there or name in _ALWAYS_SHOWN]  # fmt: skip
    reason = "reason" if "reason" in there else "NULL::VARCHAR AS reason"
    connection.execute(
        f"CREATE OR REPLACE VIEW points AS SELECT segment, step, {', '.join(shown)}, {reason} FROM {HISTORY}"
    )


__all__ = ["HISTORY", "TABLE", "add_measures", "add_reason", "columns_there", "make_view"]
