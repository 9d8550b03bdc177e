"""Read a table of runs from csv, tsv, jsonl or parquet (gz too) and settle its column names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from planner.errors import InputError, WorldError
from planner.runs.columns import ALIASES, NUMBERS
from planner.runs.where import Where


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
    frame["line"] = np.arange(2, len(frame) + 2)
    n_filtered = 0
    if where is not None:
        both = pd.concat([frame, raw[[name for name in mapped if name not in frame]]], axis=1)
        keep = where.keep(both)
        n_filtered = int((~keep).sum())
        frame = frame[keep]
        if frame.empty:
            raise InputError(f"{path}: no row meets --where", f"{len(raw)} rows were read; loosen a condition")
    frame = frame.reset_index(drop=True)
    for name in NUMBERS:
        if name in frame:
            frame[name] = _numbers(path, frame, name)
    changed = {theirs: ours for theirs, ours in mapped.items() if theirs != ours}
    return RunTable(frame, str(path), hashlib.sha256(path.read_bytes()).hexdigest(), changed, n_filtered)


def _raw(path: Path) -> pd.DataFrame:
    """Every cell as text; what is missing as an empty string."""
    if not path.is_file():
        raise InputError(f"{path}: no such file", "give a csv, tsv, jsonl or parquet file with one row per run")
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty", "give a header and one row per run")
    try:
        if kind in ("csv", "tsv", "txt"):
            return pd.read_csv(path, sep="," if kind == "csv" else "\t", dtype=str, keep_default_na=False)
        if kind in ("jsonl", "ndjson"):
            return _text(pd.read_json(path, lines=True, dtype=False, precise_float=True))
        if kind in ("parquet", "pq"):
            return _text(duckdb.execute("SELECT * FROM read_parquet([?])", [str(path)]).df())
    except (ValueError, UnicodeDecodeError, EOFError, duckdb.Error) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{path}: not readable as {kind}: {first}", "check the file's delimiter, quoting and encoding"
        ) from None
    except OSError as error:
        raise WorldError(f"{path}: {error.strerror or error}") from None
    raise InputError(f"{path}: unknown kind of table {kind!r}", "give csv, tsv, jsonl or parquet, gz or not")


def _text(frame: pd.DataFrame) -> pd.DataFrame:
    def cell(value: object) -> str:
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return ""
        if isinstance(value, (bool, np.bool_)):
            return "true" if value else "false"
        return json.dumps(value) if isinstance(value, (dict, list)) else str(value)

    return frame.astype(object).map(cell)


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
        if name not in given and ours != name and (ours in taken or ours in mapped.values()):
            ours = name  # the table already has a column of that name: theirs stays what it was
        if ours in mapped.values():
            raise InputError(f"{path}: two columns would be {ours!r}", "name one with --column theirs=ours")
        mapped[name] = ours
    return mapped


def _numbers(path: Path, frame: pd.DataFrame, name: str) -> pd.Series:
    text = frame[name].astype(str).str.strip()
    values = pd.to_numeric(text, errors="coerce")
    missing = text.str.lower().isin(("", "nan", "none", "null", "na", "n/a", "-"))
    odd = values.isna() & ~missing
    if odd.any():
        row = frame[odd].iloc[0]
        raise InputError(
            f"{path}: line {row['line']}: column {name!r} holds {row[name]!r}, which is not a number",
            "mend that cell, or leave the row out with --where",
        )
    return values.astype(float)
