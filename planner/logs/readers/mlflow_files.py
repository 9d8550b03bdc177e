"""MLflow's stores on disk, read without MLflow: its SQLite database, and the older `mlruns` tree of small files.

The database is read as it stands (tables runs, metrics, params and tags of mlflow/store/tracking/dbmodels/models.py), where
MLflow's own client would first migrate it. In the tree, a run is a folder with meta.yaml, metrics/NAME (lines `milliseconds
value step`), params/NAME and tags/NAME (mlflow/store/tracking/file_store.py).
"""

from __future__ import annotations

import math
import re
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from urllib.parse import unquote

from planner.errors import InputError
from planner.logs.curves import Curves, number, setting, travelled
from planner.logs.segment import Log, Segment
from planner.logs.source import Part, Source, head
from planner.logs.sqlite import reading, tables
from planner.logs.texts import lines, sample

_TABLES = {"runs", "metrics", "params", "tags", "experiments"}
_STATUS = {
    "1": "running",
    "2": "scheduled",
    "3": "finished",
    "4": "failed",
    "5": "killed",
}  # RunStatus of service.proto
_DELETED = "a run that was deleted in MLflow"
_SYSTEM = "system/"  # MLflow's own measurements of the host


class MlflowFiles:
    """A SQLite store (a file, or a URI sqlite:///...) or the run folders of an mlruns tree."""

    name = "mlflow"
    reads = "MLflow's SQLite file or URI (sqlite:///mlflow.db) and mlruns folders"

    def claim(self, source: Source) -> list[Part]:
        """One part per database, one per run folder."""
        if source.uri:
            path = _path_of(source)
            return [Part(source, (path,))] if path else []
        parts = [Part(source, (file,)) for file in source.files if tables(file) >= _TABLES]
        folders = {file.parent: file for file in source.files if file.name == "meta.yaml" and _is_run(file)}
        inside: dict[Path, list[Path]] = defaultdict(list)
        for file in source.files if folders else ():
            for folder in file.parents:
                if folder in folders and file != folders[folder]:
                    inside[folder].append(file)
                    break
        return parts + [Part(source, (meta, *inside[folder])) for folder, meta in folders.items()]

    def read(self, parts: Sequence[Part]) -> Log:
        """One segment per run."""
        skipped: Counter[str] = Counter()
        return Log(_segments(parts, skipped), skipped=skipped)


def _segments(parts: Sequence[Part], skipped: Counter[str]) -> Iterator[Segment]:
    for part in parts:
        if part.files[0].name == "meta.yaml":
            found = _folder(part, skipped)
            if found is not None:
                yield found
        else:
            with reading(part.source, part.files[0]) as connection:
                yield from _database(part, connection, skipped)


def segment_of(
    key: str,
    place: str,
    name: str,
    params: Mapping[str, str],
    tags: Mapping[str, str],
    status: str,
    times: tuple[float | None, float | None],
    points: Iterable[tuple[str, float, float, float]],
) -> Segment:
    """One run of MLflow: params are texts, `times` milliseconds since 1970, `points` rows of name, step, value, milliseconds."""
    curves = Curves()
    for metric, step, value, time in points:
        if not metric.startswith(_SYSTEM):
            # The database holds infinity as the largest float.
            value = math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else value
            curves.add(metric, step, value, time / 1e3)
    config = {param: setting(value) for param, value in params.items()}
    mine = {tag: value for tag, value in tags.items() if not tag.startswith("mlflow.")}
    started, ended = times
    return Segment(
        key=key,
        place=place,
        dialect="mlflow",
        name=name or tags.get("mlflow.runName", "") or key,
        run_id=travelled(dict(params), mine),
        config={**{tag: setting(value) for tag, value in mine.items()}, **config},
        status=status.lower(),
        started=None if started is None else started / 1e3,
        ended=None if ended is None else ended / 1e3,
        history=curves.series(),
    )


def _database(part: Part, connection: sqlite3.Connection, skipped: Counter[str]) -> Iterator[Segment]:
    """Runs in the order of their ids, so that one pass over the points is enough: old stores have no index by run."""
    columns = {str(row[1]) for row in connection.execute("PRAGMA table_info(runs)")}
    name = "name" if "name" in columns else "''"
    runs = connection.execute(
        f"SELECT run_uuid, {name}, status, start_time, end_time, lifecycle_stage FROM runs ORDER BY run_uuid"
    ).fetchall()
    params, tags = _by_run(connection, "params"), _by_run(connection, "tags")
    rows = connection.execute(
        "SELECT run_uuid, key, step, value, timestamp, is_nan FROM metrics ORDER BY run_uuid, timestamp, step"
    )
    logged = groupby(rows, key=lambda row: row[0])
    at, points = next(logged, (None, iter(())))
    for key, called, status, started, ended, stage in runs:
        while at is not None and at < key:  # points of a run that is not in the table
            at, points = next(logged, (None, iter(())))
        mine = [_point(*row[1:]) for row in points] if at == key else []
        if stage == "deleted":
            skipped[_DELETED] += 1
            continue
        times = (number(started), number(ended))
        yield segment_of(key, part.place, str(called or ""), params[key], tags[key], str(status or ""), times, mine)


def _point(
    metric: object, step: object, value: object, time: object, is_nan: object
) -> tuple[str, float, float, float]:
    wanted = [number(one) for one in (step, value, time)]
    at, logged, clock = (math.nan if one is None else one for one in wanted)
    return str(metric), at, math.nan if is_nan else logged, clock


def _by_run(connection: sqlite3.Connection, table: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for key, name, value in connection.execute(f"SELECT run_uuid, key, value FROM {table}"):
        if value is not None:
            found[key][str(name)] = str(value)
    return found


def _folder(part: Part, skipped: Counter[str]) -> Segment | None:
    folder = part.files[0].parent
    meta = _flat(part, part.files[0])
    if meta.get("lifecycle_stage") == "deleted":
        skipped[_DELETED] += 1
        return None
    texts: dict[str, dict[str, str]] = {"params": {}, "tags": {}}
    points: list[tuple[str, float, float, float]] = []
    for file in part.files[1:]:
        kind, _, name = file.relative_to(folder).as_posix().partition("/")
        if kind == "metrics":
            points += _points(part, file, name, skipped)
        elif kind in texts:
            texts[kind][name] = sample(file).decode("utf-8", "replace").rstrip("\n")
    times = (number(meta.get("start_time")), number(meta.get("end_time")))
    status = meta.get("status", "")
    return segment_of(
        meta.get("run_id") or meta.get("run_uuid") or folder.name,
        part.place,
        meta.get("run_name", ""),
        texts["params"],
        texts["tags"],
        _STATUS.get(status, status),
        times,
        sorted(points, key=lambda point: (point[3], point[1])),
    )


def _points(part: Part, file: Path, name: str, skipped: Counter[str]) -> Iterator[tuple[str, float, float, float]]:
    for line in lines(Part(part.source, (file,)), skipped):
        row = [number(word) for word in line.split()[:3]]
        if len(row) >= 2 and None not in row:
            time, value, step = (*row, 0.0)[:3]
            yield name, float(step or 0.0), float(value or 0.0), float(time or 0.0)
        else:
            skipped["a line that is no `time value step`"] += 1


def _flat(part: Part, file: Path) -> dict[str, str]:
    """The `name: value` lines of a meta.yaml: it holds nothing else that is wanted here."""
    found = {}
    for line in sample(file).decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(": ")
        if colon and not name.startswith((" ", "-", "#")):
            value = value.strip()
            quoted = re.fullmatch(r"'(.*)'|\"(.*)\"", value)
            found[name] = (quoted[1] or quoted[2] or "").replace("''", "'") if quoted else value
    return {name: value for name, value in found.items() if value != "null"}


def _is_run(file: Path) -> bool:
    start = head(file)
    return b"lifecycle_stage:" in start and (b"run_uuid:" in start or b"run_id:" in start)


def _path_of(source: Source) -> Path | None:
    """The file of sqlite:///relative.db or sqlite:////absolute.db, as SQLAlchemy writes it; InputError when there is none."""
    found = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?#]+)(?:[?#].*)?", source.uri, re.IGNORECASE)
    if found is None:
        return None
    path = Path(unquote(found[1]))
    if not path.is_file():
        raise InputError(
            f"{source.place()}: no such file", "sqlite:///mlflow.db is in this folder; four slashes start at the root"
        )
    if not tables(path) >= _TABLES:
        raise InputError(f"{source.place()}: no MLflow store", "give the file that MLflow's tracking URI names")
    return path


__all__ = ["MlflowFiles", "segment_of"]
