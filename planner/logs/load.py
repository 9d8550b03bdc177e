"""Segments and bulk tables into the database, as they were logged, in our units."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pandas as pd

from planner.logs.arrays import points_of
from planner.logs.database import value_of
from planner.logs.history import HISTORY, add_measures
from planner.logs.normalise import columns_of, settings_of
from planner.logs.segment import Segment
from planner.logs.source import nested

BATCH = 500_000  # points that stand in memory at once


@dataclass
class Loaded:
    """What one import has loaded so far: segments it touched, names it mapped, what it skipped, what nobody asked for."""

    given: Mapping[str, str]
    constants: Mapping[str, str]
    touched: set[int] = field(default_factory=set)
    mapped: dict[str, str] = field(default_factory=dict)
    unused: dict[str, None] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    points: int = 0


class Register:
    """The segments in the database by place and key, and their numbers."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        rows = connection.execute("SELECT place, key, segment, settings, config, status FROM segments").fetchall()
        self._known = {
            (place, key): (number, (settings, config, status)) for place, key, number, settings, config, status in rows
        }
        self._next = 1 + max((number for number, _ in self._known.values()), default=-1)
        self._rows: dict[int, tuple[object, ...]] = {}

    def number(
        self, segment: Segment, settings: Mapping[str, Any], config: Mapping[str, Any]
    ) -> tuple[int, bool, bool]:
        """The segment's number, whether it was there before, and whether what is said of it is new."""
        place_key = (segment.place, f"{segment.key}\x1f{segment.attempt or ''}")
        said = (_json(settings), _json(config), segment.status)
        number, before = self._known.get(place_key, (self._next, None))
        known = before is not None
        if not known:
            self._next += 1
        self._known[place_key] = (number, said)
        if before != said:
            self._rows[number] = (
                number, segment.place, place_key[1], segment.run_id, segment.name, segment.dialect, segment.attempt,
                segment.status, segment.started, segment.ended, said[0], said[1], segment.key,
            )  # fmt: skip
        return number, known, before != said

    def write(self) -> None:
        """The new and the changed segments into the database."""
        if not self._rows:
            return
        names = ("segment", "place", "key", "run_id", "name", "dialect", "attempt", "status", "started", "ended", "settings",
                 "config", "run")  # fmt: skip
        frame = pd.DataFrame(list(self._rows.values()), columns=list(names))
        self._connection.register("new_segments", frame)
        self._connection.execute("DELETE FROM segments WHERE segment IN (SELECT segment FROM new_segments)")
        self._connection.execute(
            f"INSERT INTO segments ({', '.join(names)}) SELECT {', '.join(names)} FROM new_segments"
        )
        self._connection.unregister("new_segments")
        self._rows = {}


def load_segments(
    connection: duckdb.DuckDBPyConnection, register: Register, segments: Iterable[Segment], loaded: Loaded
) -> None:
    """Segments of small sources, a batch of points at a time; what was loaded before an error is kept by the caller."""
    waiting: list[pd.DataFrame] = []
    others: list[pd.DataFrame] = []
    known: set[int] = set()
    try:
        for segment in segments:
            number, before, changed = _one(register, segment, loaded, waiting, others)
            if before:
                known.add(number)
            if changed:
                loaded.touched.add(number)
            if sum(map(len, waiting)) >= BATCH:
                _write(connection, waiting, others, known, loaded)
    finally:
        _write(connection, waiting, others, known, loaded)
        register.write()


def _one(
    register: Register, segment: Segment, loaded: Loaded, waiting: list[pd.DataFrame], others: list[pd.DataFrame]
) -> tuple[int, bool, bool]:
    config = nested(segment.config)
    flat = {**config, **loaded.constants}
    said = columns_of(flat, dialect=segment.dialect, given=loaded.given, steps=False)
    summed = columns_of(segment.summary, dialect=segment.dialect, given=loaded.given, steps=False)
    settings = {**settings_of(nested(segment.summary), summed), **settings_of(flat, said)}
    columns = columns_of(segment.history, dialect=segment.dialect, given=loaded.given)
    points, evals, units = points_of(segment, columns, settings)
    settings |= units
    number, before, changed = register.number(segment, settings, config)
    loaded.mapped |= said.mapped | summed.mapped | columns.mapped
    loaded.unused |= dict.fromkeys(columns.others)
    if len(points):
        waiting.append(points.assign(segment=number))
    if len(evals):
        others.append(evals.assign(segment=number))
    return number, before, changed


def _write(
    connection: duckdb.DuckDBPyConnection,
    waiting: list[pd.DataFrame],
    others: list[pd.DataFrame],
    known: set[int],
    loaded: Loaded,
) -> None:
    """The waiting points into the database; of a segment that was there before only those that are new."""
    for table, frames in ((HISTORY, waiting), ("evals", others)):
        if not frames:
            continue
        frame = pd.concat(frames, ignore_index=True)
        frames.clear()
        if table == HISTORY:
            add_measures(connection, frame.columns)
        names = list(frame.columns)
        old = frame["segment"].isin(known)
        if not old.all():
            fresh = frame.loc[~old]
            loaded.touched.update(map(int, fresh["segment"].unique()))
            connection.register("incoming", fresh)
            connection.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(names)} FROM incoming")
            connection.unregister("incoming")
            loaded.points += len(fresh) if table == HISTORY else 0
        if old.any():
            connection.register("incoming", frame.loc[old])
            append_new(connection, table, "incoming", names, sorted(known), loaded)
            connection.unregister("incoming")


def append_new(
    connection: duckdb.DuckDBPyConnection, table: str, incoming: str, names: list[str], known: list[int], loaded: Loaded
) -> None:
    """The rows of known segments that the database does not hold yet, digit for digit, in the order in which they came."""
    connection.register("known", pd.DataFrame({"segment": known}))
    same = " AND ".join(f"old.{name} IS NOT DISTINCT FROM new.{name}" for name in names)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE appended AS SELECT * FROM (SELECT *, row_number() OVER () AS nth FROM {incoming}) new "
        f"WHERE segment IN (SELECT segment FROM known) "
        f"AND NOT EXISTS (SELECT 1 FROM {table} old WHERE old.segment IN (SELECT segment FROM known) AND {same})"
    )
    listed = ", ".join(names)
    connection.execute(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM appended ORDER BY nth")
    loaded.touched.update(
        number for (number,) in connection.execute("SELECT DISTINCT segment FROM appended").fetchall()
    )
    if table == HISTORY:
        loaded.points += int(value_of(connection, "SELECT count(*) FROM appended"))
    connection.execute("DROP TABLE appended")
    connection.unregister("known")


def _json(values: Mapping[str, Any]) -> str:
    """Plain values as JSON; what is not is written as text."""
    return json.dumps(values, ensure_ascii=False, default=str)


def read_settings(text: str) -> dict[str, Any]:
    """The settings of a segment as the database holds them."""
    return dict(json.loads(text)) if text else {}
