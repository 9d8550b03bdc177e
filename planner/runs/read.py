"""Read a table of runs from csv, tsv, jsonl or parquet (gz too) and settle its column names."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

import duckdb
import pandas as pd

from planner.encode import unguard_formula
from planner.errors import InputError, WorldError
from planner.runs.columns import ALIASES, MEASURED, NUMBERS
from planner.runs.where import Where
from planner.text import short


@dataclass(frozen=True)
class RunTable:
    """Runs under our column names, one row each, numbers as floats, `line` the row's line in the file.

    `mapped` says which of the file's names became which of ours; `sha256` is the file's; `n_filtered` counts rows that
    `--where` left out.
    """

    frame: pd.DataFrame
    source: str
    sha256: str
    mapped: dict[str, str]
    n_filtered: int = 0


def read_runs(path: str | Path, *, columns: Mapping[str, str] | None = None, where: Where | None = None) -> RunTable:
    """The table of runs in `path`; `columns` maps the file's names to ours where the usual aliases do not.

    `where` sees the file's own column names and ours. Raises InputError for a missing, empty or unreadable file, for
    text in a number column (with its line), and for two columns that would get one name.
    """
    path = Path(path)
    raw = _raw(path)
    if raw.empty:
        raise InputError(f"{path}: a header and no rows", "give one row per run")
    mapped = _mapping(path, list(raw.columns), dict(columns or {}))
    frame = raw.rename(columns=mapped)
    n_filtered = 0
    if where is not None:
        both = pd.concat([frame, raw[[name for name in mapped if name not in frame]]], axis=1)
        keep = where.keep(both)
        n_filtered = int((~keep).sum())
        frame = frame[keep]
        if frame.empty:
            raise InputError(f"{path}: no row meets --where", f"{len(raw)} rows were read; loosen a condition")
    frame = frame.reset_index(drop=True)
    changed = {theirs: ours for theirs, ours in mapped.items() if theirs != ours}
    for name in (*MEASURED, *NUMBERS):
        if name in frame:
            frame[name] = _numbers(path, frame, name, changed)
    return RunTable(frame, str(path), hashlib.sha256(path.read_bytes()).hexdigest(), changed, n_filtered)


def _raw(path: Path) -> pd.DataFrame:
    """Every cell as text; what is missing as an empty string; `line` says where each row stands in the file."""
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}", "give a csv, tsv, jsonl or parquet file with one row per run")
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind not in _READERS:
        raise InputError(f"{path}: unknown kind of table {kind!r}", "give csv, tsv or jsonl (gz or not) or parquet")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty", "give a header and one row per run")
    try:
        return _READERS[kind](path)
    except (ValueError, EOFError, csv.Error, zlib.error, gzip.BadGzipFile, duckdb.Error) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"{path}: not readable as {kind}: {first}", "check its delimiter, quoting and encoding"
        ) from None
    except OSError as error:
        raise WorldError(f"{path}: {error.strerror or error}") from None


def _open(path: Path) -> TextIO:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _separated(delimiter: str, path: Path) -> pd.DataFrame:
    with _open(path) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=True)
        header = next((row for row in reader if row), None)
        if header is None:
            raise ValueError("No columns: it holds blank lines only")
        if len(header) == 1 and (other := next((c for c in ";\t|," if c in header[0]), None)):
            raise ValueError(f"one column only, {short(header[0])!r}: is its delimiter {other!r}?")
        rows, lines, last = [], [], reader.line_num
        for row in reader:
            line, last = last + 1, reader.line_num
            if not row:
                continue
            if len(row) > len(header):
                raise ValueError(f"line {line}: {len(row)} cells under {len(header)} columns")
            rows.append(
                [unguard_formula(cell) if cell[:1] == "'" else cell for cell in row] + [""] * (len(header) - len(row))
            )
            lines.append(line)
    return _frame([unguard_formula(name).strip() for name in header], rows, lines)


def _json_lines(path: Path) -> pd.DataFrame:
    records, lines = [], []
    with _open(path) as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            record = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)  # numbers as they are written
            if not isinstance(record, dict):
                raise ValueError(f"line {line}: not a JSON object")
            records.append({name: _cell(value) for name, value in record.items()})
            lines.append(line)
    header = list(dict.fromkeys(name for record in records for name in record))
    return _frame(header, [[record.get(name, "") for name in header] for record in records], lines)


def _parquet(path: Path) -> pd.DataFrame:
    with duckdb.connect() as connection:
        found = connection.execute("SELECT COLUMNS(*)::VARCHAR FROM read_parquet([?])", [str(path)])
        header = [column[0] for column in found.description or ()]
        rows = [["" if cell is None else cell for cell in row] for row in found.fetchall()]
    return _frame(header, rows, list(range(1, len(rows) + 1)))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _frame(header: list[str], rows: list[list[str]], lines: list[int]) -> pd.DataFrame:
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two columns are called {twice!r}")
    names = ["line (theirs)" if name == "line" else name for name in header]
    return pd.DataFrame(rows, columns=names, dtype=object).assign(line=lines)


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "csv": partial(_separated, ","),
    "tsv": partial(_separated, "\t"),
    "txt": partial(_separated, "\t"),
    "jsonl": _json_lines,
    "ndjson": _json_lines,
    "parquet": _parquet,
    "pq": _parquet,
}


def _mapping(path: Path, names: list[str], given: dict[str, str]) -> dict[str, str]:
    for theirs in given:
        if theirs not in names:
            raise InputError(
                f"{path}: --column {theirs}={given[theirs]}: no column {theirs!r}", f"columns: {', '.join(names)}"
            )
    taken = set(given.values()) | {name for name in names if name not in given}
    mapped: dict[str, str] = {}
    for name in names:
        ours = given.get(name) or ALIASES.get(name.strip().lower(), name)
        if name not in given and ours != name and ours in taken:
            ours = name  # the table already has a column of that name: theirs stays what it was
        if (other := next((theirs for theirs, used in mapped.items() if used == ours), None)) is not None:
            raise InputError(
                f"{path}: two columns would be {ours!r}: {other!r} and {name!r}", f"say which: --column {name}={ours}"
            )
        mapped[name] = ours
    return mapped


def _numbers(path: Path, frame: pd.DataFrame, name: str, changed: Mapping[str, str]) -> pd.Series:
    text = frame[name].astype(str).str.strip()
    values = pd.to_numeric(text, errors="coerce")
    missing = text.str.lower().isin(("", "nan", "none", "null", "na", "n/a", "-"))
    odd = values.isna() & ~missing
    if odd.any() and name in NUMBERS:
        return frame[name]
    if odd.any():
        row = frame[odd].iloc[0]
        theirs = next((theirs for theirs, ours in changed.items() if ours == name), name)
        raise InputError(
            f"{path}: line {row['line']}: column {theirs!r} holds {short(str(row[name]))!r}, which is not a number",
            "mend that cell, or leave the row out with --where",
        )
    return values.astype(float)
