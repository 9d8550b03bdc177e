"""Tables with one row per run: every cell is a setting of its run; rows of one id are its attempts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from planner.errors import InputError
from planner.logs.database import value_of
from planner.logs.load import Loaded, Register
from planner.logs.normalise import Columns, cell, columns_of, settings_of
from planner.logs.segment import Bulk, Segment
from planner.text import short

FILE = "planner_file"
MOST_ROWS = 2_000_000  # that are read into memory
# Columns in which text is an error; elsewhere it stays text ("cosine" in a column of rates).
MEASURED = (
    "tokens",
    "loss",
    "train_loss",
    "gpu_hours",
    "usd",
    "params",
    "params_total",
    "params_active",
    "params_non_embedding",
)
MISSING = ("", "nan", "none", "null", "na", "n/a", "-", "inf", "-inf", "infinity", "-infinity")


def quoted(name: str) -> str:
    """A column's name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def load_rows(connection: duckdb.DuckDBPyConnection, register: Register, bulk: Bulk, loaded: Loaded) -> None:
    """A table with one row per run: every cell a setting; rows of one id are its attempts, in their order."""
    number = int(value_of(connection, f"SELECT count(*) FROM {bulk.scan}", bulk.parameters) or 0)
    if number > MOST_ROWS:
        raise InputError(
            f"{next(iter(bulk.places.values()), 'source')}: {number:,} rows and no column of steps",
            "name the step and the run: --column theirs=step --column theirs=run_id",
        )
    columns = columns_of(bulk.columns, dialect=bulk.dialect, given=loaded.given, steps=False)
    names = [name for name in bulk.columns if name not in columns.others]
    texts = ", ".join(f"CAST({quoted(name)} AS VARCHAR)" for name in (*names, *columns.others))
    rows = connection.execute(f"SELECT {FILE}, {texts} FROM {bulk.scan}", list(bulk.parameters)).fetchall()
    loaded.mapped |= columns.mapped
    seen: dict[tuple[str, str], int] = {}
    lines: dict[str, int] = {}
    said: Columns | None = None
    for file, *cells in rows:
        lines[file] = lines.get(file, 0) + 1
        config = dict(zip((*names, *columns.others), cells, strict=True))
        _require_numbers(bulk, file, lines[file], config, columns)
        flat = {**config, **loaded.constants}
        said = said or columns_of(flat, dialect=bulk.dialect, given=loaded.given, steps=False)
        settings = settings_of(flat, said)
        if not settings:
            loaded.skipped["row with nothing in it that is known"] += 1
            continue
        settings |= {name: text for name in columns.others if (text := other_setting(config[name])) is not None}
        own = str(settings.get("run_id", ""))
        key = own or f"{_stem(bulk.places.get(file, file))}:{lines[file]}"
        seen[file, key] = again = seen.get((file, key), 0) + 1
        settings.setdefault("attempt", float(again)) if again > 1 else None
        settings["line"] = float(lines[file])
        segment = segment_of(bulk, file, key, settings, config)
        known = register.number(segment, settings, config)
        if known[2]:
            loaded.touched.add(known[0])
    register.write()


def _require_numbers(bulk: Bulk, file: str, line: int, config: Mapping[str, Any], columns: Columns) -> None:
    """Refuse text in a column that is measured, with its line."""
    for ours, column in {**columns.points, **columns.settings}.items():
        text = config.get(column.theirs)
        if (
            ours in MEASURED
            and text is not None
            and cell(text, text=False) is None
            and str(text).strip().lower() not in MISSING
        ):
            raise InputError(
                f"{bulk.places.get(file, file)}: column {column.theirs!r} is not all numbers: row {line} holds "
                f"{short(str(text))!r}",
                "mend that cell",
            )


def other_setting(value: object) -> float | str | None:
    """A cell of a column that nothing here knows: a number when it is one, else text."""
    number = cell(value, text=False)
    return cell(value, text=True) if number is None else number


def segment_of(bulk: Bulk, file: str, key: str, settings: dict[str, Any], config: Mapping[str, Any]) -> Segment:
    """A segment of a table; without an id of its own a run is called as its file."""
    place = bulk.places.get(file, file)
    run_id = str(settings.pop("run_id", key))
    attempt = settings.pop("attempt", None)
    return Segment(
        key=key or _stem(place), place=place, dialect=bulk.dialect, run_id=run_id, name=str(settings.pop("name", "")),
        attempt=int(attempt) if isinstance(attempt, float) else None, config=config,
        status=str(settings.pop("status", "")).lower(),
    )  # fmt: skip


def _stem(place: str) -> str:
    """A file's place without the endings of its kind."""
    for ending in (".gz", ".zst", ".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".pq"):
        place = place.removesuffix(ending)
    return place


__all__ = ["load_rows", "other_setting", "quoted", "segment_of"]
