"""The store of an import: one DuckDB file with runs, segments, points and where they came from.

Every import is one transaction: it is there whole or not at all. A second import waits until the first has let go.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from planner.errors import InputError, WorldError
from planner.logs.history import TABLE as HISTORY_TABLE

DATABASE = "lab.duckdb"
SCHEMA = 2
MEMORY = "1200MB"
PATIENCE = 60.0  # seconds that an import waits for another one

_TABLES = f"""
CREATE TABLE IF NOT EXISTS about (schema INTEGER);
CREATE TABLE IF NOT EXISTS sources (
    place VARCHAR, reader VARCHAR, file VARCHAR, bytes BIGINT, changed BIGINT, sha256 VARCHAR, skipped VARCHAR, imported TIMESTAMP);
CREATE TABLE IF NOT EXISTS segments (
    segment INTEGER, run VARCHAR, place VARCHAR, key VARCHAR, run_id VARCHAR, name VARCHAR, dialect VARCHAR, attempt INTEGER,
    status VARCHAR, started DOUBLE, ended DOUBLE, settings VARCHAR, config VARCHAR);
{HISTORY_TABLE}
CREATE TABLE IF NOT EXISTS evals (segment INTEGER, step BIGINT, name VARCHAR, unit VARCHAR, value DOUBLE);
"""


@contextmanager
def held(path: Path | None, *, patience: float = PATIENCE) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database in a file, or in memory without one; nobody else can open the file meanwhile.

    Raises WorldError when another import still holds the file after `patience` seconds, and when the disk is full;
    InputError for a file that is not ours.
    """
    connection = _connect(path, patience)
    with tempfile.TemporaryDirectory(prefix="planner-") as spill:
        try:
            if path is None:  # a database in a file spills beside it
                connection.execute("SET temp_directory = ?", [spill])
            connection.execute(f"SET threads = 2; SET memory_limit = '{MEMORY}'; SET enable_progress_bar = false")
            yield connection
        except duckdb.Error as error:
            if not disk_failed(error):
                raise
            raise _full(path) from None
        finally:
            connection.close()


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """One import: it is committed at the end, and leaves nothing behind when anything is raised."""
    try:
        connection.execute("BEGIN")
        connection.execute(_TABLES)
        _check_schema(connection)
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def value_of(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401
    """The one value that a query gives; None when it gives no row."""
    rows = connection.execute(
        sql, list(parameters)
    ).fetchall()  # all of them: an unfinished result blocks the connection
    return rows[0][0] if rows else None


def _connect(path: Path | None, patience: float) -> duckdb.DuckDBPyConnection:
    if path is None:
        return duckdb.connect()
    until = time.monotonic() + patience
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorldError(f"{path.parent}: {error.strerror or error}", "choose another folder with -o") from None
    while True:
        try:
            return duckdb.connect(str(path))
        except duckdb.IOException as error:
            if disk_failed(error):
                raise _full(path) from None
            if "lock" not in str(error).lower():
                raise InputError(
                    f"{path}: not a database of `planner import`", "choose another folder with -o"
                ) from None
            if time.monotonic() > until:
                raise WorldError(
                    f"{path}: another import holds it for more than {patience:.0f} s",
                    "wait for it to end, and try again",
                ) from None
            time.sleep(0.1)
        except duckdb.Error:
            raise InputError(f"{path}: not a database of `planner import`", "choose another folder with -o") from None


def disk_failed(error: duckdb.Error) -> bool:
    """Whether a write failed, in whichever of its errors DuckDB tells it."""
    return any(words in str(error) for words in ("No space left", "Could not write", "not enough disk space"))


def _full(path: Path | None) -> WorldError:
    where = "the temporary folder" if path is None else str(path)
    return WorldError(f"{where}: cannot be written: no space left on the disk", "free some, and import again")


def _check_schema(connection: duckdb.DuckDBPyConnection) -> None:
    found = value_of(connection, "SELECT schema FROM about")
    if found is None:
        connection.execute("INSERT INTO about VALUES (?)", [SCHEMA])
    elif found != SCHEMA:
        path = value_of(connection, "SELECT path FROM duckdb_databases() WHERE database_name = current_database()")
        raise InputError(f"{path}: schema {found}, not {SCHEMA}", "import into a new folder")


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.execute("ROLLBACK")
    except duckdb.Error:
        return  # the transaction is gone already


__all__ = ["DATABASE", "PATIENCE", "disk_failed", "held", "transaction", "value_of"]
