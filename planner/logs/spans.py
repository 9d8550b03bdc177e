"""What each segment spans: its points, steps and times, and the means of what was measured; and the segments as they are joined."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pandas as pd

from planner.logs.history import HISTORY, columns_there
from planner.logs.load import read_settings
from planner.logs.stitch import Piece

TABLE = """
CREATE TABLE IF NOT EXISTS spans (
    segment INTEGER, points BIGINT, first_step BIGINT, last_step BIGINT, first_time DOUBLE, last_time DOUBLE,
    step_seconds DOUBLE, flops DOUBLE, mfu DOUBLE, tokens_per_second DOUBLE);
"""
# Of a column that not every log holds.
_MEASURED = (("min", "time"), ("max", "time"), ("avg", "step_seconds"), ("max", "flops"), ("avg", "mfu"),
             ("avg", "tokens_per_second"))  # fmt: skip


def measure_spans(connection: duckdb.DuckDBPyConnection, touched: Sequence[int]) -> None:
    """The spans of segments that changed into the database; `touched` are their numbers, rising."""
    connection.execute(TABLE)
    if not touched:
        return
    there = columns_there(connection)
    more = [f"{how}({name})" if name in there else "NULL" for how, name in _MEASURED]
    connection.register("touched", pd.DataFrame({"segment": list(touched)}))
    connection.execute("DELETE FROM spans WHERE segment IN (SELECT segment FROM touched)")
    connection.execute(
        f"INSERT INTO spans SELECT segment, count(*), min(step), max(step), {', '.join(more)} FROM {HISTORY} "
        f"WHERE {among(touched, 'touched')} GROUP BY segment"
    )
    connection.unregister("touched")


def among(segments: Sequence[int], table: str) -> str:
    """The SQL of "one of these segments", which rise and stand in a registered table too: a range where they have no gaps."""
    low, high = int(segments[0]), int(segments[-1])
    whole = f"segment BETWEEN {low} AND {high}"
    return whole if high - low + 1 == len(segments) else f"{whole} AND segment IN (SELECT segment FROM {table})"


def read_pieces(connection: duckdb.DuckDBPyConnection) -> list[Piece]:
    """Every segment in the database as it is joined."""
    rows = connection.execute(
        "SELECT s.segment, s.place, split_part(s.key, chr(31), 1), s.run_id, s.name, s.attempt, s.status, s.settings, "
        "p.first_step, p.last_step, coalesce(p.points, 0), coalesce(s.started, p.first_time), coalesce(s.ended, p.last_time) "
        "FROM segments AS s LEFT JOIN spans AS p USING (segment) ORDER BY s.segment"
    ).fetchall()
    return [Piece(*(*row[:7], read_settings(row[7]), *row[8:])) for row in rows]


__all__ = ["TABLE", "among", "measure_spans", "read_pieces"]
