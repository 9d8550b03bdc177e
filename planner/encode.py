"""Values and tables as bytes: JSON, csv, jsonl, parquet; the same value gives the same bytes."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.errors import InputError

if TYPE_CHECKING:  # a worker that writes JSON starts without them
    import pandas as pd

FORMATS = ("csv", "jsonl", "parquet")
# Text that a spreadsheet takes for a formula (OWASP, CSV injection: = + - @ tab CR, and their full-width forms), also behind
# spaces, which some programs drop.
_FORMULA = r"[=+\-@\t\r\n \uff1d\uff0b\uff0d\uff20]"
_GUARDED = re.compile(f"'+{_FORMULA}")
_GUARDS = re.compile(f"'*{_FORMULA}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def table_bytes(frame: pd.DataFrame, kind: str) -> bytes:
    """A table in one of FORMATS; floats keep every digit, missing stays missing.

    In csv a text that a spreadsheet would take for a formula gets an apostrophe in front, which `runs.read` takes away.
    """
    if kind == "csv":
        return _csv(frame)
    if kind == "jsonl":
        lines = (to_json(row, indent=None) for row in frame.to_dict("records"))
        return "".join(line + "\n" for line in lines).encode("utf-8")
    if kind == "parquet":
        import duckdb

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "table.parquet"
            with duckdb.connect() as connection:
                connection.execute("SET threads = 1")  # one row group after another: the same bytes every time
                connection.register("frame", frame)
                connection.table("frame").write_parquet(str(file))
            return file.read_bytes()
    raise InputError(f"unknown format {kind!r}", f"one of: {', '.join(FORMATS)}")


def guard_formula(text: str) -> str:
    """A csv cell that every spreadsheet shows as the text it is: "=1+1" becomes "'=1+1"; a plain number stays itself."""
    return f"'{text}" if _GUARDS.match(text) and not _NUMBER.fullmatch(text) else text


def unguard_formula(cell: str) -> str:
    """The text that `guard_formula` made a cell of."""
    return cell[1:] if _GUARDED.match(cell) else cell


def _csv(frame: pd.DataFrame) -> bytes:
    from pandas.api.types import is_numeric_dtype

    shown, returns = frame.copy(), False
    for name in frame.columns:
        if is_numeric_dtype(frame[name]):
            continue
        texts = [text for text in frame[name].unique() if isinstance(text, str)]
        guarded = {text: guard_formula(text) for text in texts if guard_formula(text) != text}
        if guarded:
            shown[name] = frame[name].map(lambda text, by=guarded: by.get(text, text))
        returns |= any("\r" in text for text in texts)
    shown.columns = [guard_formula(str(name)) for name in frame.columns]
    if returns:  # Python before 3.13 leaves a lone carriage return unquoted, and readers then see a new row
        return shown.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).encode("utf-8")
    return shown.to_csv(index=False, lineterminator="\n").encode("utf-8")


def to_json(value: object, indent: int | None = 1) -> str:
    """JSON of plain values, dataclasses, enums and numpy numbers; what is not finite becomes null."""
    return json.dumps(_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON is what it is
    match value:
        case None | bool() | int() | str():
            return value.value if isinstance(value, Enum) else value
        case float():
            return float(value) if math.isfinite(value) else None
        case Enum():
            return _plain(value.value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return _plain(value.tolist())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (Sequence, Iterator)):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")
