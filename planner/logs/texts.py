"""Text of log files as it is met: packed with gzip, in another encoding, with colours, cut in half, with no end of line."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from planner.errors import InputError, WorldError
from planner.logs.source import Part, head

LONGEST_LINE = 1 << 20  # characters; a longer line is no line of a training log
LARGEST_DOCUMENT = 1 << 28  # bytes of one JSON file, which is read whole: Python needs three to ten times that
SAMPLE = 1 << 18  # bytes at the start of a file that are searched for a tool's mark
_TOO_LONG = "a line of more than a million characters"
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
# Escape sequences of terminals (ECMA-48): colours and cursor moves, and titles that end in a bell.
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_ENDS = re.compile(r"[\r\n]+")  # a progress bar starts its line again with \r
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def opened(path: Path) -> io.BufferedReader:
    """A file to read, unpacked when it is gzip; OSError when it cannot be opened."""
    return cast("io.BufferedReader", gzip.open(path)) if head(path, 2) == _GZIP else path.open("rb")


def sample(path: Path, size: int = SAMPLE) -> bytes:
    """The first bytes of a file after unpacking, as far as it can be read; UTF-16 as UTF-8."""
    found = b""
    try:
        with opened(path) as file:
            while len(found) < size and (chunk := file.read1(size - len(found))):
                found += chunk
    except (OSError, EOFError, zlib.error):
        pass
    if found.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return found.decode("utf-16", "ignore").encode()
    return found


def chunks(part: Part, skipped: Counter[str]) -> Iterator[bytes]:
    """The bytes of a file; what a packed file has lost is counted."""
    path = part.files[0]
    try:
        with opened(path) as file:
            while chunk := file.read1(_CHUNK):  # what there is: of a damaged file as much as can be unpacked
                yield chunk
    except (EOFError, zlib.error, gzip.BadGzipFile):
        skipped["the rest of a gzip file that is cut short or damaged"] += 1
    except OSError as error:
        raise WorldError(f"{part.place}: {error.strerror or error}") from None


def lines(part: Part, skipped: Counter[str]) -> Iterator[str]:
    """The whole lines of a text file without colours; a last line without an end is cut in half and only counted."""
    decoder, rest, too_long = None, "", False
    for chunk in chunks(part, skipped):
        if decoder is None:
            name = next((name for mark, name in _MARKS if chunk.startswith(mark)), "utf-8")
            decoder = codecs.getincrementaldecoder(name)(errors="replace")
        *whole, rest = _ENDS.split(rest + decoder.decode(chunk))
        if whole and too_long:  # the end of a line whose start has been dropped
            del whole[0]
            too_long = False
        for line in whole:
            if len(line) > LONGEST_LINE:
                skipped[_TOO_LONG] += 1
            elif line:
                yield _ANSI.sub("", line) if "\x1b" in line else line
        if len(rest) > LONGEST_LINE:
            skipped[_TOO_LONG] += not too_long
            rest, too_long = "", True
    if rest.strip() and not too_long:
        skipped["a last line cut in half"] += 1


def document(part: Part, path: Path) -> Any:  # noqa: ANN401 - a JSON file holds anything
    """What a JSON file holds (NaN and Infinity allowed); InputError when it is no JSON."""
    try:
        with opened(path) as file:
            text = file.read(LARGEST_DOCUMENT + 1)
        if len(text) > LARGEST_DOCUMENT:
            raise InputError(f"{part.source.place(path)}: more than 256 MiB of JSON", "export it as jsonl or parquet")
        return json.loads(text)
    except (ValueError, RecursionError, EOFError, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{part.source.place(path)}: not readable as JSON: {reason}", "write it again, or leave it out"
        ) from None
    except OSError as error:
        raise WorldError(f"{part.source.place(path)}: {error.strerror or error}") from None


__all__ = ["chunks", "document", "lines", "opened", "sample"]
