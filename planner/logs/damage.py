"""Which files of a source cannot be read, so that the others can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb

from planner.errors import InputError, PlannerError, WorldError
from planner.logs.database import disk_failed, held
from planner.logs.files import unreadable
from planner.logs.segment import Reader
from planner.logs.source import Part

NAMED = 3  # of the damaged files in the message; all of them are in the notes


class DamagedError(Exception):
    """Files that cannot be read were met: the import is begun again without them. It never leaves this room."""

    def __init__(self, found: Mapping[Part, PlannerError]) -> None:
        """`found` says what is wrong with each."""
        super().__init__()
        self.found = dict(found)


@contextmanager
def telling(
    reader: Reader, parts: Sequence[Part], errors: tuple[type[Exception], ...] = (InputError, duckdb.Error)
) -> Iterator[None]:
    """What goes wrong while these parts are read is laid to those that cannot be read alone, where there are any."""
    try:
        yield
    except errors as error:
        if isinstance(error, duckdb.Error) and disk_failed(error):
            raise
        found = {part: fault for part in parts if part.files and (fault := _fault(reader, part)) is not None}
        if found:
            raise DamagedError(found) from None
        raise


def _fault(reader: Reader, part: Part) -> PlannerError | None:
    """What is wrong with a part; None when all of it can be read."""
    try:
        log = reader.read([part])
        for _ in log.segments:
            pass
        with held(None) as connection:
            for bulk in log.bulk:
                connection.execute(f"SELECT max(hash(COLUMNS(*))) FROM {bulk.scan}", list(bulk.parameters)).fetchall()
    except PlannerError as error:
        return error
    except duckdb.Error as error:
        return unreadable(part, reader.name, error)
    return None


def notes_on(damaged: Mapping[Part, PlannerError]) -> list[str]:
    """One line for each file that was left out."""
    return [f"left out: {error.message}" for error in damaged.values()]


def failure_of(damaged: Mapping[Part, PlannerError], number: int) -> WorldError | None:
    """What an import says of the files that it left out, when it has read others of the `number` there are."""
    if not damaged:
        return None
    shown = "; ".join(error.message for error in list(damaged.values())[:NAMED])
    more = f"; and {len(damaged) - NAMED:,} more" if len(damaged) > NAMED else ""
    one = len(damaged) == 1
    return WorldError(
        f"{len(damaged):,} of {number:,} logs cannot be read, the rest is kept: {shown}{more}",
        f"mend {'it' if one else 'them'} and import again, or leave {'it' if one else 'them'} out",
    )


__all__ = ["DamagedError", "failure_of", "notes_on", "telling"]
