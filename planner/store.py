"""Every file name and every write under results/: atomic, with provenance.

A folder is written by one command. `provenance.json` is written first with state "started" and last with state
"complete" and the hash of every file; a folder without it, or still "started", is never trusted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from planner.errors import InputError, WorldError

SCHEMA = 1
PROVENANCE = "provenance.json"
PLAN, LOGS, RUNS = "plan.csv", "logs.jsonl", "runs.csv"
FIT, FORECAST, SCORE = "fit.json", "forecast.json", "score.json"
CHOICES, QUESTION = "choices.json", "question.json"
TRUTH = "hidden/truth.json"
REPORT_HTML, REPORT_MARKDOWN, REPORT_JSON = "report/index.html", "report/report.md", "report/report.json"
FORMATS = ("csv", "jsonl", "parquet")


class Folder:
    """One folder under results/ while a command fills it."""

    def __init__(
        self,
        path: str | Path,
        command: str,
        inputs: Mapping[str, str],
        *,
        seed: int | None = None,
        replace: bool = False,
    ) -> None:
        """`inputs` maps what was read or set to its hash or value; a restart with the same inputs redoes the work.

        With `replace` a folder that the same command filled from other inputs is overwritten; without, it is refused.
        """
        self.path = Path(path)
        self.command, self.inputs, self.seed, self.replace = command, dict(inputs), seed, replace
        self._written: dict[str, str] = {}

    @classmethod
    def reopen(cls, path: str | Path) -> Folder:
        """A complete folder, to write some of its files again; call `finish` afterwards."""
        record = require_complete(path)
        folder = cls(path, record["command"], record["inputs"], seed=record["seed"])
        folder._written = dict(record["files"])
        return folder

    def check(self) -> None:
        """Refuse a folder that something else wrote, or that belongs to other inputs. Writes nothing."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: is a file, not a folder", "choose another folder with -o")
        if not self.path.exists() or not any(self.path.iterdir()):
            return
        before = read_provenance(self.path)
        same = before["inputs"] == self.inputs and before["seed"] == self.seed
        if before["command"] != self.command or not (same or self.replace):
            raise InputError(
                f"{self.path}: holds what `planner {before['command']}` made of other inputs",
                "choose another folder with -o, or remove this one",
            )

    def start(self) -> None:
        """Make the folder and note that it is being filled."""
        self.check()
        self._provenance("started")

    def finish(self) -> None:
        """Note that the folder is complete, with the hash of every file written."""
        self._provenance("complete")

    def write_text(self, name: str, text: str) -> Path:
        """Write one file atomically."""
        content = text.encode("utf-8")
        self._written[name] = hashlib.sha256(content).hexdigest()
        return write_bytes(self.path / name, content)

    def write_json(self, name: str, value: object) -> Path:
        """Write one value as JSON: missing numbers as null, every digit kept."""
        return self.write_text(name, to_json(value) + "\n")

    def write_table(self, name: str, frame: pd.DataFrame) -> Path:
        """Write a table as csv, jsonl or parquet, by the name's ending."""
        content = table_bytes(frame, name.rpartition(".")[2])
        self._written[name] = hashlib.sha256(content).hexdigest()
        return write_bytes(self.path / name, content)

    def register(self, name: str, value: object) -> Path:
        """Write a forecast once: an identical one is kept, a different one is never overwritten."""
        path = self.path / name
        if path.exists() and path.read_text(encoding="utf-8") != to_json(value) + "\n":
            raise InputError(
                f"{path}: another forecast is registered here", "forecasts are never overwritten: choose -o"
            )
        return self.write_json(name, value)

    def _provenance(self, state: str) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        record = {
            "schema": SCHEMA,
            "state": state,
            "command": self.command,
            "arguments": sys.argv[1:],
            "planner": planner_version(),
            "inputs": self.inputs,
            "seed": self.seed,
            "files": dict(sorted(self._written.items())),
            "written": now,
        }
        write_bytes(self.path / PROVENANCE, (to_json(record) + "\n").encode("utf-8"))


def read_provenance(path: str | Path) -> dict[str, Any]:
    """The record of a folder; InputError when there is none, or it is not ours."""
    path = Path(path)
    try:
        record = json.loads((path / PROVENANCE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: holds files but no {PROVENANCE}: planner did not write it", "choose another folder with -o"
        ) from None
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path / PROVENANCE}: not readable: {error}", "remove the folder or choose another with -o"
        ) from None
    needed = {"schema", "state", "command", "inputs", "seed", "files"}
    whole = isinstance(record, dict) and needed <= record.keys() and isinstance(record["files"], dict)
    if not whole or record["schema"] != SCHEMA:
        raise InputError(
            f"{path / PROVENANCE}: not a record of schema {SCHEMA}", "remove the folder or choose another with -o"
        )
    return dict(record)


def require_complete(path: str | Path) -> dict[str, Any]:
    """The record of a folder whose every file is there and unchanged; InputError names the first that is not."""
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder", "`planner run SWEEP` makes one")
    record = read_provenance(path)
    if record["state"] != "complete":
        raise InputError(
            f"{path}: was left half written", "run the same `planner run` again: it redoes what is missing"
        )
    for name, digest in record["files"].items():
        file = path / name
        if name.startswith("report/"):  # made from the others; a page may have been printed over
            continue
        if not file.is_file():
            raise InputError(
                f"{path}: {name} is missing", "run the same `planner run` again: it redoes what is missing"
            )
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise InputError(
                f"{file}: was changed after it was written", "run the same `planner run` again to restore it"
            )
    return record


def read_json(path: str | Path) -> dict[str, Any]:
    """One JSON object from a file the planner wrote."""
    path = Path(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file", "") from None
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not JSON: {error}", "write it again with the command that made it") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: does not hold one JSON object", "write it again with the command that made it")
    return value


def write_bytes(path: Path, content: bytes) -> Path:
    """Write to a temporary file beside `path` and rename it; WorldError when the disk does not let us."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise WorldError(
            f"{path}: cannot be written: {error.strerror or error}", "check the disk, or choose -o elsewhere"
        ) from None
    return path


def table_bytes(frame: pd.DataFrame, kind: str) -> bytes:
    """A table in one of FORMATS; floats keep every digit, missing stays missing."""
    if kind == "csv":
        return frame.to_csv(index=False, lineterminator="\n").encode("utf-8")
    if kind == "jsonl":
        lines = (to_json(row, indent=None) for row in frame.to_dict("records"))
        return "".join(line + "\n" for line in lines).encode("utf-8")
    if kind == "parquet":
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "table.parquet"
            with duckdb.connect() as connection:
                connection.execute("SET threads = 1")  # one row group after another: the same bytes every time
                connection.register("frame", frame)
                connection.table("frame").write_parquet(str(file))
            return file.read_bytes()
    raise InputError(f"unknown format {kind!r}", f"one of: {', '.join(FORMATS)}")


def slug(text: str) -> str:
    """A text as part of a file name: letters, digits, dots, dashes; a hash tells apart what that would merge."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:60]
    return (
        plain if plain and plain == text else f"{plain or 'x'}-{hashlib.sha256(text.encode('utf-8')).hexdigest()[:6]}"
    )


def to_json(value: object, indent: int | None = 1) -> str:
    """JSON of plain values, dataclasses, enums and numpy numbers; what is not finite becomes null."""
    return json.dumps(_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def planner_version() -> dict[str, str]:
    """The version, and the commit when the code runs from a git checkout."""
    from importlib.metadata import version

    found = {"version": version("scaling-planner")}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever git the user has
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
        found["commit"] = done.stdout.strip()
    return found


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON is what it is
    match value:
        case None | bool() | int() | str():
            return value.value if isinstance(value, Enum) else value
        case float() | np.floating():
            return float(value) if math.isfinite(value) else None
        case np.bool_():
            return bool(value)
        case np.integer():
            return int(value)
        case Enum():
            return _plain(value.value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case np.ndarray():
            return _plain(value.tolist())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (Sequence, Iterator)):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")


__all__ = ["Folder", "read_json", "read_provenance", "require_complete", "table_bytes", "to_json", "write_bytes"]
