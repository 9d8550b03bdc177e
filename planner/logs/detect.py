"""Which reader reads a source, by looking at it."""

from __future__ import annotations

from dataclasses import dataclass

from planner.errors import InputError
from planner.logs.readers import READERS
from planner.logs.segment import Reader
from planner.logs.source import Part, Source, head

PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # protocol marks of Python's pickle (PEP 3154, 574)


@dataclass(frozen=True)
class Claim:
    """What one reader reads of a source."""

    reader: Reader
    parts: list[Part]


def claims_of(source: Source, only: str = "") -> list[Claim]:
    """The readers of a source with their parts, each file once; InputError that lists the readers when none fits.

    `only` names the one reader that may be used.
    """
    readers = [reader for reader in READERS if only in ("", reader.name)]
    if not readers:
        raise InputError(f"--format {only!r} is no reader", f"one of: {', '.join(reader.name for reader in READERS)}")
    claims, left = [], source
    for reader in readers:
        parts = reader.claim(left)
        if parts:
            claims.append(Claim(reader, parts))
            left = left.without(file for part in parts for file in part.files)
        if source.uri and claims:
            break
    if not claims:
        raise _no_reader(source)
    return claims


def _no_reader(source: Source) -> InputError:
    kinds = "; ".join(f"{reader.name}: {reader.reads}" for reader in READERS)
    for file in source.files[:100]:
        start = head(file, 2)
        if start in PICKLED or file.suffix.lower() in (".pkl", ".pickle", ".pt", ".pth"):
            return InputError(
                f"{source.place(file)}: a pickle, which can run any program when it is loaded: refused",
                "export it as csv, jsonl or parquet where you trust it",
            )
    return InputError(f"{source.place()}: no reader fits", f"give one of: {kinds}")
