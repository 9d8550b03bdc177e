"""trackio's SQLite file of one project: one row of JSON per step of a run, and one per config.

Tables `metrics` (run_id, timestamp, run_name, step, metrics) and `configs` (run_id, run_name, config, created_at) as
trackio 0.43 writes them; before 0.20 there was no run_id, and a run was known by its name.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from planner.logs.curves import Curves, number, travelled
from planner.logs.segment import Log, Segment
from planner.logs.source import Part, Source, nested
from planner.logs.sqlite import reading, tables

_RESERVED = "_"  # names that trackio adds to a config


class Trackio:
    """Files that hold trackio's tables, whatever they are called."""

    name = "trackio"
    reads = "trackio's SQLite files (~/.cache/huggingface/trackio/PROJECT.db)"

    def claim(self, source: Source) -> list[Part]:
        """Each such file."""
        return [Part(source, (file,)) for file in source.files if {"metrics", "configs"} <= tables(file)]

    def read(self, parts: Sequence[Part]) -> Log:
        """One segment per run."""
        skipped: Counter[str] = Counter()
        return Log((one for part in parts for one in _runs(part, skipped)), skipped=skipped)


def _runs(part: Part, skipped: Counter[str]) -> Iterator[Segment]:
    with reading(part.source, part.files[0]) as connection:
        columns = {str(row[1]) for row in connection.execute("PRAGMA table_info(metrics)")}
        by = "run_id" if "run_id" in columns else "run_name"
        configs = dict(connection.execute(f"SELECT {by}, config FROM configs"))
        rows = connection.execute(f"SELECT {by}, run_name, step, timestamp, metrics FROM metrics ORDER BY {by}, id")
        for key, group in groupby(rows, key=lambda row: row[0]):
            yield _run(part, str(key), group, configs.get(key), skipped)


def _run(part: Part, key: str, rows: Iterator[tuple[object, ...]], config: object, skipped: Counter[str]) -> Segment:
    curves, name, first, last = Curves(), key, None, None
    for _, called, step, timestamp, metrics in rows:
        name, time, at, values = str(called), _time(timestamp), number(step), _object(metrics)
        if values is None or at is None:
            skipped["a row that is no JSON object"] += 1
            continue
        first, last = (time if first is None else first), time
        for metric, value in nested(values).items():
            found = number(value)
            if found is not None:
                curves.add(metric, at, found, math.nan if time is None else time)
    settings = {k: v for k, v in (_object(config) or {}).items() if not k.startswith(_RESERVED)}
    return Segment(
        key=key,
        place=part.place,
        dialect="trackio",
        name=name,
        run_id=travelled(settings),
        config=settings,
        started=first,
        ended=last,
        history=curves.series(),
    )


def _object(text: object) -> dict[str, object] | None:
    try:
        found = json.loads(text)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _time(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError):
        return None


__all__ = ["Trackio"]
