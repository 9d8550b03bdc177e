"""What people save from W&B: the csv of its runs table, the csv of a panel, and a run's history as csv, json, jsonl or parquet.

- runs table: one row per run, columns "Name", "State", "Created", "Runtime", ..., then settings and last values, dots for levels;
- panel: "Step", then "RUN - METRIC", "RUN - METRIC__MIN", "RUN - METRIC__MAX" for each run; W&B samples its points;
- `run.history()` or `run.scan_history()` saved with pandas, and the history artifact: columns `_step`, `_timestamp`, metrics; a
  file is a run. `run.history()` is a sample of 500 rows unless it was asked for more.

An empty cell, or NaN in a csv, is a metric that was not logged at that step. pandas writes a NaN loss so too: it is lost then.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from planner.errors import InputError, WorldError
from planner.logs.curves import Curves, number, setting, travelled
from planner.logs.files import literal, unreadable
from planner.logs.names import POINT, meaning
from planner.logs.segment import Log, Segment
from planner.logs.source import Part, Source, head
from planner.logs.texts import document, lines, opened, sample
from planner.logs.wandb_rows import history_of

_STEP, _TIME, _RUNTIME = "_step", "_timestamp", "_runtime"
_ABOUT = {
    "Name",
    "ID",
    "State",
    "Notes",
    "User",
    "Tags",
    "Created",
    "Runtime",
    "Sweep",
    "Group",
    "Job Type",
    "Updated",
    "Hostname",
}
_LIMITS = ("__MIN", "__MAX")
_ID = re.compile(r"[a-z0-9]{8}")  # a W&B run id
_FOOTER = 1 << 16  # bytes at the end of a parquet file that hold its column names


class WandbExport:
    """Tables that W&B's pages and its API give."""

    name = "wandb_export"
    reads = "csv, json and parquet exported from W&B"

    def claim(self, source: Source) -> list[Part]:
        """Each file whose columns are W&B's."""
        return [Part(source, (file,)) for file in source.files if _kind(file)]

    def read(self, parts: Sequence[Part]) -> Log:
        """One segment per run."""
        skipped: Counter[str] = Counter()
        return Log((one for part in parts for one in _segments(part, skipped)), skipped=skipped)


def _kind(file: Path) -> str:
    """ "table", "panel" or "history"; "" for any other file."""
    start = head(file, 4)
    if start == b"PAR1":
        footer = _tail(file)
        return "history" if b"\x05_step" in footer and b"_timestamp" in footer else ""
    if not file.name.lower().endswith((".csv", ".csv.gz", ".json", ".jsonl", ".json.gz", ".jsonl.gz")):
        return ""
    text = sample(file, 1 << 16).decode("utf-8-sig", "replace")
    if text.lstrip()[:1] in ("{", "["):
        return "history" if re.search(r'"_step"\s*:', text) and '"_timestamp"' in text else ""
    columns = set(_header(text))
    if _STEP in columns and columns & {_TIME, _RUNTIME}:
        return "history"
    if {"Name", "State"} <= columns and len(columns & _ABOUT) >= 4:
        return "table"
    return "panel" if _metrics(columns) else ""


def _segments(part: Part, skipped: Counter[str]) -> Iterator[Segment]:
    kind = _kind(part.files[0])
    if kind == "history":
        yield _history(part, _rows(part, skipped))
    elif kind == "table":
        yield from _table(part, skipped)
    elif kind == "panel":
        yield from _panel(part, skipped)


def _history(part: Part, rows: Iterable[Mapping[str, Any]]) -> Segment:
    csv_file = part.files[0].name.lower().endswith((".csv", ".csv.gz"))
    curves, started, ended = history_of(rows, nan_is_missing=csv_file)
    name = _run_of(part.files[0])
    return Segment(
        key=name if _ID.fullmatch(name) else str(part.files[0]),
        place=part.place,
        dialect="wandb",
        name=name,
        started=started,
        ended=ended,
        history=curves.series(),
    )


def _run_of(file: Path) -> str:
    """The run that a file is named by; a history artifact numbers its files in a folder that is."""
    stem = re.sub(r"\.(csv|jsonl?|parquet)(\.gz)?$", "", file.name)
    return (file.resolve().parent.name if stem.isdigit() else stem).removesuffix("-history")


def _table(part: Part, skipped: Counter[str]) -> Iterator[Segment]:
    seen: Counter[str] = Counter()
    for row in _csv(part, skipped):
        key = row.get("ID") or row.get("Name") or ""
        if not key:
            skipped["a row without a name"] += 1
            continue
        seen[key] += 1
        config, summary = dict[str, Any](), dict[str, float]()
        for column, text in row.items():
            if column in _ABOUT or not text:
                continue
            known, value = meaning(column, "wandb"), number(text)
            if known is None or known.ours not in POINT or value is None:
                config[column] = setting(text)
            elif known.ours != "lr":
                summary[column] = value
            elif "/" not in column:  # "lr" was set; "train/lr" is the last value of a curve
                config[column] = value
        started, runtime = _moment(row.get("Created", "")), number(row.get("Runtime"))
        yield Segment(
            key=key if seen[key] == 1 else f"{key}#{seen[key]}",
            place=part.place,
            dialect="wandb",
            name=row.get("Name", key),
            run_id=travelled(config),
            config=config,
            summary=summary,
            status=row.get("State", "").lower(),
            started=started,
            ended=None if started is None or runtime is None else started + runtime,
        )


def _panel(part: Part, skipped: Counter[str]) -> Iterator[Segment]:
    runs: dict[str, Curves] = {}
    for count, row in enumerate(_csv(part, skipped)):
        axis = next(iter(row), "")
        step = number(row.get(axis))
        if step is None or axis.lower() not in ("step", _STEP, "global_step", "trainer/global_step"):
            if count == 0 and step is not None:
                raise InputError(
                    f"{part.place}: its axis is {axis!r}, not Step",
                    "set the panel's x axis to Step and export it again",
                )
            skipped["a row without a step"] += 1
            continue
        for column, (run, metric) in _metrics(row).items():
            value = number(row[column])
            if value is not None:
                runs.setdefault(run, Curves()).add(metric, step, value)
    for run, curves in runs.items():
        yield Segment(key=run, place=part.place, dialect="wandb", name=run, history=curves.series())


def _metrics(columns: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Run and metric of each "RUN - METRIC" that has its limits beside it; a run's name may hold " - ", a metric's does not."""
    there = set(columns)
    found = {}
    for column in columns:
        run, dash, metric = column.rpartition(" - ")
        if dash and run and all(f"{column}{limit}" in there for limit in _LIMITS):
            found[column] = (run, metric)
    return found


def _rows(part: Part, skipped: Counter[str]) -> Iterator[Mapping[str, Any]]:
    file = part.files[0]
    name = file.name.lower().removesuffix(".gz")
    if head(file, 4) == b"PAR1":
        yield from _parquet(part)
    elif name.endswith(".csv"):
        yield from _csv(part, skipped)
    elif name.endswith(".jsonl"):
        for line in lines(part, skipped):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                skipped["a line that is no JSON"] += 1
                continue
            if isinstance(row, dict):
                yield row
    else:
        yield from _json(document(part, file))


def _json(found: object) -> Iterator[Mapping[str, Any]]:
    """Records, or pandas' {column: {row: value}}."""
    if isinstance(found, list):
        yield from (row for row in found if isinstance(row, dict))
    elif isinstance(found, dict):
        columns = {name: values for name, values in found.items() if isinstance(values, dict)}
        for row in columns.get(_STEP, {}):
            yield {name: values.get(row) for name, values in columns.items()}


def _parquet(part: Part) -> Iterator[Mapping[str, Any]]:
    try:
        with duckdb.connect() as connection:
            answer = connection.execute("SELECT * FROM read_parquet([?]) ORDER BY _step", [literal(part.files[0])])
            names = [str(column[0]) for column in answer.description or ()]
            while rows := answer.fetchmany(10_000):
                for row in rows:
                    yield dict(zip(names, row, strict=True))
    except duckdb.Error as error:
        raise unreadable(part, "parquet", error) from None


def _csv(part: Part, skipped: Counter[str]) -> Iterator[dict[str, str]]:
    """Rows by column; one with too few cells was cut in half."""
    try:
        with opened(part.files[0]) as file:
            rows = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", "replace", newline=""))
            for row in rows:
                row.pop(None, None)
                if None in row.values():
                    skipped["a row with too few cells"] += 1
                else:
                    yield row
    except (EOFError, zlib.error, gzip.BadGzipFile):
        skipped["the rest of a gzip file that is cut short or damaged"] += 1
    except csv.Error as error:
        skipped[f"the rest of a csv file after what csv does not allow ({error})"] += 1
    except OSError as error:
        raise WorldError(f"{part.place}: {error.strerror or error}") from None


def _header(text: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text.partition("\n")[0])), [])
    except csv.Error:
        return []


def _moment(text: str) -> float | None:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _tail(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - _FOOTER))
            return opened.read()
    except OSError:
        return b""


__all__ = ["WandbExport"]
