"""Which reader reads a source, by looking at it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from planner.errors import InputError
from planner.logs.files import PICKLED, pickle_refused
from planner.logs.readers import READERS
from planner.logs.segment import Reader
from planner.logs.source import Part, Source, head


@dataclass(frozen=True)
class Claim:
    """What one reader reads of a source."""

    reader: Reader
    parts: list[Part]


def claims_of(source: Source, only: str = "") -> list[Claim]:
    """The readers of a source with their parts, each file once; InputError that lists the readers when none fits.

    `only` names the one reader that may be used; it takes every file where it recognises none.
    """
    readers = [reader for reader in READERS if only in ("", reader.name)]
    if not readers:
        raise InputError(f"--format {only!r} is no reader", f"one of: {', '.join(reader.name for reader in READERS)}")
    claims, left = [], source
    for reader in readers:
        parts = reader.claim(left) or (_every(left) if only else [])
        if parts:
            claims.append(Claim(reader, parts))
            left = left.without(file for part in parts for file in part.files)
        if source.uri and claims:
            break
    if not claims:
        raise _no_reader(source)
    return claims


def _every(source: Source) -> list[Part]:
    """Each file for itself, but for pickles."""
    return [part for part in source.parts("") if not _is_pickle(part.files[0])]


def _is_pickle(file: Path) -> bool:
    return head(file, 2) in PICKLED or file.suffix.lower() in (".pkl", ".pickle", ".pt", ".pth")


def _no_reader(source: Source) -> InputError:
    kinds = "; ".join(f"{reader.name}: {reader.reads}" for reader in READERS)
    for file in source.files[:100]:
        if _is_pickle(file):
            return pickle_refused(source.place(file))
    return InputError(f"{source.place()}: no reader fits", f"give one of: {kinds}")
