"""Every file name and every write under results/: atomic, with provenance.

A folder is written by one command. `provenance.json` is written first with state "started" and last with state
"complete" and the hash of every file; a folder without it, or still "started", is never trusted.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.encode import table_bytes, to_json
from planner.errors import InputError, WorldError
from planner.text import scrubbed

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
ROUNDING = 1e-6  # relative: what another processor or numpy may change in a fit
PROVENANCE = "provenance.json"
PLAN, LOGS, RUNS = "plan.csv", "logs.jsonl", "runs.csv"
FIT, FORECAST, SCORE = "fit.json", "forecast.json", "score.json"
CHOICE, CHOSEN = "choice.json", "chosen.csv"  # of a pool
CHOICES, QUESTION, COSTS = "choices.json", "question.json", "costs.csv"
OUTLOOK, RECORD = "outlook.json", "record.json"  # a forecast that is not registered; the record of those that are
LEDGERS = "ledgers.csv"
TRUTH = "hidden/truth.json"
PART = ".part"  # the ending of what is not whole yet
REPORT_HTML, REPORT_MARKDOWN, REPORT_JSON = "report/index.html", "report/report.md", "report/report.json"


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
        self._stale: set[str] = set()
        self._made: dict[str, Any] | None = None
        self._earlier: dict[str, Any] | None = None

    @classmethod
    def reopen(cls, path: str | Path) -> Folder:
        """A complete folder, to write some of its files again; call `finish` afterwards."""
        record = require_complete(path)
        _clear_parts(Path(path))
        folder = cls(path, record["command"], record["inputs"], seed=record["seed"])
        folder._written = dict(record["files"])
        folder._made = record
        return folder

    def check(self) -> None:
        """Refuse a folder that something else wrote, or that belongs to other inputs. Writes nothing."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path}: is a file, not a folder", "choose another folder with -o")
        before = self._before()
        if before is None:
            return
        same = before["inputs"] == self.inputs and before["seed"] == self.seed
        if before["command"] != self.command or not (same or self.replace):
            raise InputError(
                f"{self.path}: holds what `planner {before['command']}` made of other inputs",
                "choose another folder with -o, or remove this one",
            )
        _require_unchanged(self.path / FORECAST, before["files"].get(FORECAST))

    def start(self) -> None:
        """Make the folder, clear away what a killed process left half written, and note that it is being filled."""
        self.check()
        _clear_parts(self.path)
        before = self._before()
        self._earlier = before
        if before:  # remembered through a crash: what lies there, and what the forecast was
            self._stale = {*before["files"], *before.get("stale", ())}
            self._written = {name: digest for name, digest in before["files"].items() if name == FORECAST}
        self._provenance("started")

    def finish(self) -> None:
        """Remove what an earlier filling left and this one did not write; note that the folder is complete.

        Where the same work gave the same bytes before, the first record stands: nothing in the folder changes.
        """
        for name in self._stale - set(self._written):
            file = (self.path / name).resolve()
            if file.is_relative_to(self.path.resolve()):
                file.unlink(missing_ok=True)
        before = self._earlier
        if before and before["state"] == "complete" and before["files"] == self._written:
            write_bytes(self.path / PROVENANCE, (to_json(before) + "\n").encode("utf-8"))
        else:
            self._provenance("complete")

    def _before(self) -> dict[str, Any] | None:
        """The record of the folder as it is; None when there is nothing in it. Temporary files of ours do not count."""
        if not self.path.exists() or all(file.name.startswith(".") for file in self.path.iterdir()):
            return None
        return read_provenance(self.path)

    def write_text(self, name: str, text: str) -> Path:
        """Write one file atomically."""
        return self.write_bytes(name, text.encode("utf-8"))

    def write_bytes(self, name: str, content: bytes) -> Path:
        """Write one file of any kind atomically."""
        self._written[name] = hashlib.sha256(content).hexdigest()
        return write_bytes(self.path / name, content)

    def write_files(self, files: Mapping[str, bytes]) -> None:
        """Write many files, each whole or not at all, and wait for the disk once."""
        for name, content in files.items():
            self._written[name] = hashlib.sha256(content).hexdigest()
            write_bytes(self.path / name, content, wait=False)
        os.sync()

    def drop(self, name: str) -> None:
        """Remove what an earlier filling wrote under this name."""
        (self.path / name).unlink(missing_ok=True)
        self._written.pop(name, None)

    def note(self, name: str) -> None:
        """Count a file that a process of ours wrote whole as one of the folder's."""
        with (self.path / name).open("rb") as file:
            self._written[name] = hashlib.file_digest(file, "sha256").hexdigest()

    def write_json(self, name: str, value: object) -> Path:
        """Write one value as JSON: missing numbers as null, every digit kept."""
        return self.write_text(name, to_json(value) + "\n")

    def write_table(self, name: str, frame: pd.DataFrame) -> Path:
        """Write a table as csv, jsonl or parquet, by the name's ending."""
        return self.write_bytes(name, table_bytes(frame, name.rpartition(".")[2]))

    def register(self, name: str, value: object) -> Path:
        """Write a forecast once: the same one (up to rounding, on another machine) is kept, a different one never overwritten."""
        path = self.path / name
        if not path.exists():
            return self.write_json(name, value)
        if not _alike(read_json(path), json.loads(to_json(value))):
            raise InputError(
                f"{path}: another forecast is registered here", "forecasts are never overwritten: choose another -o"
            )
        self.note(name)
        return path

    def _provenance(self, state: str) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        files = dict(sorted(self._written.items()))
        if self._made:  # a report written again does not change who made the rest
            record = {**self._made, "files": files, "reported": now}
        else:
            record = {
                "schema": SCHEMA,
                "state": state,
                "command": self.command,
                "arguments": [scrubbed(argument) for argument in sys.argv[1:]],
                "planner": planner_version(),
                "inputs": self.inputs,
                "seed": self.seed,
                "files": files,
                "written": now,
            }
            if state == "started":
                record["stale"] = sorted(self._stale)
        write_bytes(self.path / PROVENANCE, (to_json(record) + "\n").encode("utf-8"))


def _alike(one: object, other: object) -> bool:
    """Whether two JSON values are the same, numbers up to ROUNDING."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_alike(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=ROUNDING)
    return one == other


def read_provenance(path: str | Path) -> dict[str, Any]:
    """The record of a folder; InputError when there is none, or it is not ours."""
    path = Path(path)
    try:
        record = json.loads((path / PROVENANCE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: holds files but no {PROVENANCE}: planner did not write it",
            "choose another folder",
        ) from None
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path / PROVENANCE}: not readable: {error}", "choose another folder, or remove this one"
        ) from None
    needed = {"schema", "state", "command", "inputs", "seed", "files"}
    whole = isinstance(record, dict) and needed <= record.keys()
    if not whole or record["schema"] != SCHEMA or not all(isinstance(record[key], dict) for key in ("inputs", "files")):
        raise InputError(
            f"{path / PROVENANCE}: not a record of schema {SCHEMA}", "choose another folder, or remove this one"
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
        if not name.startswith("report/"):  # made from the others; a page may have been printed over
            _require_unchanged(path / name, digest)
    return record


def _require_unchanged(file: Path, digest: str | None) -> None:
    """Refuse a file that is not what its folder's record says; a forecast cannot be made again."""
    if digest is None:
        return
    again = "restore it, or start in another folder" if file.name == FORECAST else "run the command that made it again"
    if not file.is_file():
        raise InputError(f"{file.parent}: {file.name} is missing", again)
    if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        raise InputError(f"{file}: was changed after it was written", again)


def require_unchanged(file: Path) -> None:
    """Refuse a saved file that its folder's record knows and that is no longer what was written, or half written."""
    if (file.parent / PROVENANCE).is_file():
        record = read_provenance(file.parent)
        if record["state"] != "complete":
            raise InputError(f"{file.parent}: was left half written", "run the command that made it again")
        _require_unchanged(file, record["files"].get(file.name))


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


def write_bytes(path: Path, content: bytes, *, wait: bool = True) -> Path:
    """Write to a temporary file beside `path` and rename it; WorldError when the disk does not let us.

    With `wait` the bytes are on the disk before the name is; without, the caller waits for many files at once.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = _temporary(path)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                if wait:
                    os.fsync(file.fileno())
                temporary.chmod(0o644)
                temporary.replace(path)  # while it is held: else it could be taken for left behind
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise WorldError(
            f"{path}: cannot be written: {error.strerror or error}", "check the disk, or choose -o elsewhere"
        ) from None
    return path


def _temporary(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, open and locked while its process lives: what nobody holds was left behind."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
        with contextlib.suppress(OSError):  # a disk without locks: nothing is cleared there
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # cleared away before it was locked


def _clear_parts(folder: Path) -> None:
    """Remove the temporary files of processes that were killed."""
    for part in folder.rglob(f".*{PART}"):
        with contextlib.suppress(OSError), part.open("rb") as file:  # held: another process is writing it
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


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
