"""One import, from sources to the database and the table of runs."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pandas as pd

from planner.encode import to_json
from planner.errors import InputError, PlannerError, WorldError
from planner.logs import history
from planner.logs.bulk import load_bulk
from planner.logs.clean import Reason
from planner.logs.damage import DamagedError, failure_of, notes_on, telling
from planner.logs.database import PATIENCE, disk_failed, held, transaction, value_of
from planner.logs.detect import Claim, claims_of
from planner.logs.judge import judge
from planner.logs.load import Loaded, Register, load_segments
from planner.logs.points import make_checkpoints
from planner.logs.source import Part, Source
from planner.logs.table import table_of
from planner.text import visible

THREADS = 2


@dataclass(frozen=True)
class Settings:
    """How an import is to be made.

    `columns` maps their names to ours, `constants` are settings of every run, points with a reason in `keep` count all the same,
    `window` is how many values a final loss is the mean of, `reader` the name of the one to use, `patience` how many seconds
    to wait for another import.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    keep: frozenset[Reason] = frozenset()
    window: int | None = None
    patience: float = PATIENCE
    reader: str = ""


def parse_keep(names: Sequence[str]) -> frozenset[Reason]:
    """Reasons to keep points in spite of; InputError for what is none."""
    known = {str(reason): reason for reason in Reason}
    for name in names:
        if name not in known:
            raise InputError(f"--keep {name!r} is no reason", f"one of: {', '.join(known)}")
    return frozenset(known[name] for name in names)


@dataclass(frozen=True)
class Logged:
    """What the logs hold, one row per run, and what became of the rest.

    `mapped` says which of their names became which of ours, `unused` what nothing here knows, `skipped` what could not be
    read, `dropped` how many points do not count by reason, `notes` what a reader should look at. `points` were new in
    this import, `n_points` are there in all. `error` is what could not be read although the rest was, and is kept: a tracker
    that failed, files that are damaged.
    """

    frame: pd.DataFrame
    readers: tuple[str, ...]
    mapped: dict[str, str]
    unused: tuple[str, ...]
    skipped: dict[str, int]
    dropped: dict[str, int]
    notes: tuple[str, ...]
    points: int
    n_points: int
    digest: str
    error: WorldError | None = None


def read_logs(
    sources: Sequence[str | Path],
    settings: Settings | None = None,
    *,
    database: Path | duckdb.DuckDBPyConnection | None = None,
) -> Logged:
    """The runs in any lab's logs, through a database in memory or, with `database`, in one that is added to.

    Files that cannot be read are left out, and named, where others can be. Raises InputError when none can, and WorldError
    when another import holds the database: nothing is written then.
    """
    settings = settings or Settings()
    if not sources:
        raise InputError("no source", "give a file, a folder or a tracker's address")
    found = [Source.of(str(source)) for source in sources]
    claims = [claim for source in found for claim in claims_of(source, settings.reader)]
    if isinstance(database, duckdb.DuckDBPyConnection):
        return _imported(database, claims, settings)
    with held(database, patience=settings.patience) as connection:
        return _imported(connection, claims, settings)


def _imported(connection: duckdb.DuckDBPyConnection, claims: list[Claim], settings: Settings) -> Logged:
    """One transaction; begun again without the files that turn out to be damaged."""
    damaged: dict[Part, PlannerError] = {}
    while True:
        try:
            with transaction(connection):
                return _filled(connection, claims, settings, damaged)
        except DamagedError as error:
            damaged |= error.found
            if len(damaged) == sum(len(claim.parts) for claim in claims):
                raise next(iter(damaged.values())) from None


def _filled(
    connection: duckdb.DuckDBPyConnection, claims: list[Claim], settings: Settings, damaged: Mapping[Part, PlannerError]
) -> Logged:
    loaded = Loaded(settings.columns, settings.constants)
    register = Register(connection)
    files = Files(connection)
    failed = failure_of(damaged, sum(len(claim.parts) for claim in claims))
    for claim in claims:
        parts = files.new(part for part in claim.parts if part not in damaged)
        if not parts:
            continue
        try:
            with telling(claim.reader, parts):
                log = claim.reader.read(parts)
                load_segments(connection, register, log.segments, loaded)
            with telling(claim.reader, parts, (duckdb.Error,)):  # an InputError is about what a readable table says
                for bulk in log.bulk:
                    load_bulk(connection, register, bulk, loaded)
            loaded.skipped += log.skipped
            files.remember(claim, parts, log.skipped)
        except WorldError as error:
            failed = failed or error
        except duckdb.Error as error:
            if disk_failed(error):
                raise
            raise _unreadable(claim, error) from None
    if not value_of(connection, "SELECT count(*) FROM segments"):
        raise failed or _nothing(claims, loaded)
    pieces, notes = judge(connection, loaded.touched, settings.keep, settings.window)
    table = table_of(connection, pieces)
    history.make_view(connection)
    make_checkpoints(connection)
    n_points = value_of(connection, f"SELECT count(*) FROM {history.HISTORY}")
    dropped = connection.execute(
        "SELECT reason, count(*) FROM points WHERE reason IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return Logged(
        frame=table.frame,
        readers=tuple(dict.fromkeys(claim.reader.name for claim in claims)),
        mapped=dict(sorted(loaded.mapped.items())),
        unused=tuple(loaded.unused),
        skipped=dict(sorted(loaded.skipped.items())),
        dropped={str(reason): int(number) for reason, number in dropped},
        notes=(*notes, *table.notes, *notes_on(damaged)),
        points=loaded.points,
        n_points=int(n_points),
        digest=files.digest(),
        error=failed,
    )


def _nothing(claims: list[Claim], loaded: Loaded) -> InputError:
    told = ", ".join(f"{number:,} x {reason}" for reason, number in loaded.skipped.items())
    return InputError(
        f"{claims[0].parts[0].place}: no run in it" + (f"; skipped: {told}" if told else ""),
        "rows need a loss, or tokens: name columns with --column theirs=loss",
    )


def _unreadable(claim: Claim, error: duckdb.Error) -> PlannerError:
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    if isinstance(error, duckdb.IOException) and "No space" in first:
        return WorldError(first, "free some space")
    return InputError(
        f"{claim.parts[0].place}: not readable as {claim.reader.name}: {first}", "mend it, or leave it out"
    )


class Files:
    """Which files the database has read already, by path, size and time of change, or by their content."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        rows = connection.execute("SELECT file, bytes, changed, sha256 FROM sources").fetchall()
        self._seen = {file: (size, changed) for file, size, changed, _ in rows}
        self._contents = {sha256 for *_, sha256 in rows if sha256}
        self._sha256: dict[Path, str] = {}
        self._stamps: dict[Path, tuple[int, int]] = {}  # before reading: what a log gains meanwhile is new next time

    def new(self, parts: Iterable[Part]) -> list[Part]:
        """The parts of which anything has to be read; DamagedError for files that cannot be opened."""
        changed, damaged = [], {}
        for part in parts:
            try:
                stamps = {file: _stamp(file) for file in part.files}
                self._stamps |= stamps
                if not part.files or any(self._seen.get(str(file)) != stamp for file, stamp in stamps.items()):
                    changed.append(part)
            except WorldError as error:
                damaged[part] = error
        with ThreadPoolExecutor(THREADS) as threads:  # hashing leaves Python to others
            for part, found in zip(changed, threads.map(_hashes, changed), strict=True):
                if isinstance(found, WorldError):
                    damaged[part] = found
                else:
                    self._sha256 |= found
        if damaged:
            raise DamagedError(damaged)
        return [
            part
            for part in changed
            if not part.files or not all(self._sha256[file] in self._contents for file in part.files)
        ]

    def remember(self, claim: Claim, parts: Sequence[Part], skipped: Counter[str]) -> None:
        """Note in the database that these parts were read whole."""
        rows = [
            (
                part.place,
                claim.reader.name,
                str(file),
                *self._stamps[file],
                self._sha256.get(file, ""),
                to_json(dict(skipped), indent=None),
            )
            for part in parts
            for file in part.files
        ]
        if not rows:
            return
        frame = pd.DataFrame(rows, columns=["place", "reader", "file", "bytes", "changed", "sha256", "skipped"])
        self._connection.register("new_files", frame)
        self._connection.execute("DELETE FROM sources WHERE file IN (SELECT file FROM new_files)")
        self._connection.execute(
            "INSERT INTO sources SELECT *, to_timestamp(?)::TIMESTAMP FROM new_files", [time.time()]
        )
        self._connection.unregister("new_files")

    def digest(self) -> str:
        """A hash of every file that was read, in any order."""
        rows = self._connection.execute("SELECT DISTINCT sha256 FROM sources ORDER BY 1").fetchall()
        return hashlib.sha256("".join(sha256 for (sha256,) in rows).encode()).hexdigest()


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError as error:
        raise WorldError(f"{visible(str(file))}: {error.strerror or error}") from None
    return found.st_size, found.st_mtime_ns


def _hashes(part: Part) -> dict[Path, str] | WorldError:
    """The hash of each file of a part, or why there is none."""
    found = {}
    for file in part.files:
        try:
            with file.open("rb") as opened_file:
                found[file] = hashlib.file_digest(opened_file, "sha256").hexdigest()
        except OSError as error:
            return WorldError(f"{part.source.place(file)}: {error.strerror or error}")
    return found


__all__ = ["Logged", "Settings", "parse_keep", "read_logs"]
