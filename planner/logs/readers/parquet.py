"""Parquet files: rows of many runs, read by DuckDB where they lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import duckdb

from planner.logs.files import literal, unreadable
from planner.logs.segment import Bulk, Log
from planner.logs.source import Part, Source, head


class Parquet:
    """Files that start with the parquet mark, whatever they are called."""

    name = "parquet"
    reads = "parquet files, one row per run or per step of a run"

    def claim(self, source: Source) -> list[Part]:
        """Every file of the kind."""
        named = source.parts(".parquet", ".pq")
        return named or [part for part in source.parts("") if head(part.files[0], 4) == b"PAR1"]

    def read(self, parts: Sequence[Part]) -> Log:
        """One bulk table for all files of equal columns."""
        alike: dict[tuple[tuple[str, str], ...], list[Part]] = defaultdict(list)
        with duckdb.connect() as connection:
            for part in parts:
                alike[_columns(connection, part)].append(part)
        return Log(bulk=[_bulk(dict(columns), group) for columns, group in alike.items()])


def _columns(connection: duckdb.DuckDBPyConnection, part: Part) -> tuple[tuple[str, str], ...]:
    path = part.files[0]
    try:
        rows = connection.execute("SELECT * FROM read_parquet([?]) LIMIT 0", [literal(path)]).description or ()
    except duckdb.Error as error:
        raise unreadable(part, "parquet", error) from None
    return tuple((column[0], str(column[1])) for column in rows)


def _bulk(columns: dict[str, str], parts: list[Part]) -> Bulk:
    paths = [literal(part.files[0]) for part in parts]
    return Bulk(
        scan="read_parquet(?, filename = 'planner_file')",
        parameters=[paths],
        columns=columns,
        places={str(part.files[0]): part.place for part in parts},
    )


__all__ = ["Parquet"]
