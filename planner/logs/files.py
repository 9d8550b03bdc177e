"""What readers of text files need: whether a file can be read to its end, in which encoding, and its first lines."""

from __future__ import annotations

import gzip
import re
import zlib
from enum import StrEnum
from pathlib import Path

import duckdb

from planner.errors import InputError, PlannerError, WorldError
from planner.logs.source import Part, head, scrubbed
from planner.logs.texts import opened
from planner.text import short, visible

LOOK = 1 << 20  # bytes of a file that its encoding is judged by
LONG_LINE = "line of more than 16 MB"
PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # protocol marks of Python's pickle (PEP 3154, 574)


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
    """UTF-8 unless the file's start says otherwise: a UTF-16 mark, or no line beyond ASCII that is UTF-8.

    In a file of mixed encodings the lines that are not UTF-8 are left to the reader to count. InputError for a pickle, and for
    bytes that are in neither.
    """
    start = start_of(part)
    if start[:2] in PICKLED:
        raise pickle_refused(part.place)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Encoding.UTF16
    strange = [line for line in start.splitlines() if not line.isascii()]
    if not strange or any(map(_is_utf8, strange)):
        return Encoding.UTF8
    if any(0x80 <= byte < 0xA0 for line in strange for byte in line):  # which Latin-1 leaves to control characters
        raise InputError(f"{part.place}: neither UTF-8 nor Latin-1 (perhaps Windows-1252)", "save it as UTF-8")
    return Encoding.LATIN1


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"  # where the look ends
    return True


def pickle_refused(place: str) -> InputError:
    """What is said of a pickle."""
    return InputError(
        f"{place}: a pickle, which can run any program when it is loaded: refused",
        "export it as csv, jsonl or parquet where you trust it",
    )


def lines_over(path: Path, most: int) -> int:
    """How many lines of a file, unpacked, hold more than `most` bytes; a stream that is damaged ends there."""
    found, length = 0, 0
    try:
        with opened(path) as file:
            while chunk := file.read1(min(LOOK, most)):
                first, last = chunk.find(b"\n"), chunk.rfind(b"\n")
                if first < 0:
                    length += len(chunk)
                    continue
                found += length + first > most
                length = len(chunk) - last - 1
    except (OSError, EOFError, zlib.error):
        pass  # whoever reads it says so
    return found + (length > most)


def unpacked_size(path: Path) -> int:
    """Bytes of a file when it is unpacked; of gzip what its last four bytes say (RFC 1952), or its own size if that is more."""
    size = path.stat().st_size
    if head(path, 2) != b"\x1f\x8b":
        return size
    with path.open("rb") as file:
        file.seek(-min(4, size), 2)
        return max(size, int.from_bytes(file.read(4), "little"))


def first_lines(part: Part, encoding: Encoding, size: int = 1 << 16) -> str:
    """The start of a file as text."""
    return start_of(part, size).decode("utf-8-sig" if encoding is Encoding.UTF8 else encoding, errors="replace")


def literal(path: Path) -> str:
    """A path as DuckDB takes it: its `*?[` are wildcards there, so they are put in brackets."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))


def unreadable(part: Part, kind: str, error: duckdb.Error) -> PlannerError:
    """What DuckDB says of a file that it cannot read, in one line."""
    path = part.files[0] if part.files else ""
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    # "IO Error: Unexpected end of GZIP stream: logs/a.csv.gz" without what stands before it anyway
    first = re.sub(r"^[A-Z]\w*( [A-Z]\w*)* Error: ", "", first)
    for mentioned in (f" '{path}'", f': "{path}"', f": {path}"):
        first = first.replace(mentioned, "")
    first = short(scrubbed(visible(first)), 300)
    if isinstance(error, duckdb.OutOfMemoryException):
        return WorldError(f"{part.place}: {first}", "free some memory")
    return InputError(f"{part.place}: not readable as {kind}: {first}", "write or copy it again, or leave it out")
