"""What each segment spans: its points, steps and times, and the means of what was measured; and the segments as they are joined.

A clock that goes back (summer time, a host whose clock is put right) makes nonsense of its first and last time: `seconds` of
such a segment are those for which it went forward. It is found where the clock is not lowest at the first step or not highest at
the last.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pandas as pd

from planner.logs.database import value_of
from planner.logs.history import HISTORY, columns_there
from planner.logs.load import read_settings
from planner.logs.stitch import Piece

TABLE = """
CREATE TABLE IF NOT EXISTS spans (
    segment INTEGER, points BIGINT, first_step BIGINT, last_step BIGINT, first_time DOUBLE, last_time DOUBLE,
    step_seconds DOUBLE, flops DOUBLE, mfu DOUBLE, tokens_per_second DOUBLE, seconds DOUBLE);
ALTER TABLE spans ADD COLUMN IF NOT EXISTS seconds DOUBLE;
"""
BACK = 1.0  # seconds: ranks and threads that log together differ by less
_ODD = f"arg_min(time, step) > min(time) + {BACK} OR arg_max(time, step) < max(time) - {BACK}"
_FORWARD = f"""
UPDATE spans SET seconds = CASE WHEN m.back < -{BACK} THEN m.forward END
FROM (SELECT segment, min(moved) AS back, sum(greatest(moved, 0)) AS forward
      FROM (SELECT segment, time - lag(time) OVER (PARTITION BY segment ORDER BY rowid) AS moved FROM {HISTORY}
            WHERE time IS NOT NULL AND segment IN (SELECT segment FROM spans WHERE seconds < 0)) GROUP BY segment) AS m
WHERE spans.segment = m.segment AND spans.seconds < 0
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
    more.append(f"CASE WHEN {_ODD} THEN -1 END" if "time" in there else "NULL")
    connection.register("touched", pd.DataFrame({"segment": list(touched)}))
    connection.execute("DELETE FROM spans WHERE segment IN (SELECT segment FROM touched)")
    connection.execute(
        f"INSERT INTO spans SELECT segment, count(*), min(step), max(step), {', '.join(more)} FROM {HISTORY} "
        f"WHERE {among(touched, 'touched')} GROUP BY segment"
    )
    connection.unregister("touched")
    if value_of(connection, "SELECT count(*) FROM spans WHERE seconds < 0"):
        connection.execute(_FORWARD)


def among(segments: Sequence[int], table: str) -> str:
    """The SQL of "one of these segments", which rise and stand in a registered table too: a range where they have no gaps."""
    low, high = int(segments[0]), int(segments[-1])
    whole = f"segment BETWEEN {low} AND {high}"
    return whole if high - low + 1 == len(segments) else f"{whole} AND segment IN (SELECT segment FROM {table})"


def read_pieces(connection: duckdb.DuckDBPyConnection) -> list[Piece]:
    """Every segment in the database as it is joined."""
    rows = connection.execute(
        "SELECT s.segment, s.place, split_part(s.key, chr(31), 1), s.run_id, s.name, s.attempt, s.status, s.settings, "
        "p.first_step, p.last_step, coalesce(p.points, 0), coalesce(s.started, p.first_time), coalesce(s.ended, p.last_time), "
        "p.seconds "
        "FROM segments AS s LEFT JOIN spans AS p USING (segment) ORDER BY s.segment"
    ).fetchall()
    return [Piece(*(*row[:7], read_settings(row[7]), *row[8:])) for row in rows]


__all__ = ["TABLE", "among", "measure_spans", "read_pieces"]
