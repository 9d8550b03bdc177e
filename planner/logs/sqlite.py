"""SQLite files of trackers, opened so that nothing in them is changed or run."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from planner.errors import InputError, WorldError
from planner.logs.source import Source, head

MARK = b"SQLite format 3\x00"


def tables(path: Path) -> set[str]:
    """The tables of a SQLite file; none when it is no such file or not readable."""
    if head(path, len(MARK)) != MARK:
        return set()
    try:
        with closing(_connected(path)) as connection:
            return {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        return set()


@contextmanager
def reading(source: Source, path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads; a damaged file is an InputError, a locked one a WorldError, with the file's place."""
    place = source.place(path)
    try:
        with closing(_connected(path)) as connection:
            yield connection
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise WorldError(f"{place}: {error}", "wait until the other program is done") from None
        raise InputError(f"{place}: not readable: {error}", "export its runs as csv, jsonl or parquet") from None
    except (sqlite3.Error, OverflowError) as error:
        raise InputError(f"{place}: not readable: {error}", "restore it, or leave it out") from None


def _connected(path: Path) -> sqlite3.Connection:
    # Text that is no UTF-8 must not stop an import; a crafted schema may run nothing.
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


__all__ = ["reading", "tables"]
