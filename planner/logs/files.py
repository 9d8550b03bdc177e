"""What readers of text files need: whether a file can be read to its end, in which encoding, and its first lines."""

from __future__ import annotations

import gzip
import zlib
from enum import StrEnum
from pathlib import Path

import duckdb

from planner.errors import InputError, PlannerError, WorldError
from planner.logs.source import Part, scrubbed
from planner.text import short, visible

LOOK = 1 << 20  # bytes of a file that its encoding is judged by


class Encoding(StrEnum):
    """The encodings that logs come in, as DuckDB calls them."""

    UTF8 = "utf-8"
    UTF16 = "utf-16"
    LATIN1 = "latin-1"


def start_of(part: Part, size: int = LOOK) -> bytes:
    """The first bytes of a file, unpacked; a gzip stream that ends early is an InputError."""
    path = part.files[0]
    try:
        with path.open("rb") as raw:
            if raw.read(2) == b"\x1f\x8b":
                with gzip.open(path) as packed:
                    return packed.read(size)
            raw.seek(0)
            return raw.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{part.place}: its gzip stream is damaged: {error}", "copy it again, or leave it out"
        ) from None
    except OSError as error:
        raise WorldError(f"{part.place}: {error.strerror or error}") from None


def encoding_of(part: Part) -> Encoding:
    """UTF-8 unless the file's start says otherwise: a UTF-16 mark, or bytes that are no UTF-8."""
    start = start_of(part)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Encoding.UTF16
    try:
        start[: LOOK - 4].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return Encoding.UTF8
        return Encoding.LATIN1
    return Encoding.UTF8


def first_lines(part: Part, encoding: Encoding, size: int = 1 << 16) -> str:
    """The start of a file as text."""
    return start_of(part, size).decode("utf-8-sig" if encoding is Encoding.UTF8 else encoding, errors="replace")


def literal(path: Path) -> str:
    """A path as DuckDB takes it: its `*?[` are wildcards there, so they are put in brackets."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))


def unreadable(part: Part, kind: str, error: duckdb.Error) -> PlannerError:
    """What DuckDB says of a file that it cannot read, in one line."""
    first = short(scrubbed(visible(next(iter(str(error).strip().splitlines()), type(error).__name__))), 300)
    if isinstance(error, duckdb.OutOfMemoryException):
        return WorldError(f"{part.place}: {first}", "free some memory")
    return InputError(f"{part.place}: not readable as {kind}: {first}", "mend it, or leave it out")
