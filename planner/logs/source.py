"""What a user names to import: a file, a folder or a tracker's address; never outside it, never a credential shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

from planner.errors import InputError, WorldError
from planner.text import scrubbed, visible

HEAD = 4096  # bytes that tell a format
MOST_FILES = 1_000_000
_URI = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """Files of a source that are read together: one file, or those of one run; a URI's part has none."""

    source: Source
    files: tuple[Path, ...] = ()
    key: str = ""

    @property
    def place(self) -> str:
        """What people are shown: the first file or the URI, without credentials."""
        return self.source.place(self.files[0]) if self.files else self.source.place()


@dataclass(frozen=True)
class Source:
    """One SOURCE of `planner import`: `root` is its file or folder, `uri` its address when it is a tracker's."""

    given: str
    root: Path | None = None
    uri: str = ""
    taken: frozenset[Path] = frozenset()

    @classmethod
    def of(cls, given: str) -> Source:
        """The source that a user names; InputError when there is no such file or folder."""
        if _URI.match(given) and not given.lower().startswith("file://"):
            return cls(given, uri=given)
        path = Path(given[7:] if given.lower().startswith("file://") else given)
        if not path.exists():
            raise InputError(
                f"{scrubbed(given)}: no such file or folder", "give a file, a folder or a tracker's address"
            )
        return cls(given, root=path)

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Every file of it not taken by another reader, in the order of their names; none for a URI.

        Links that lead out of the folder, hidden files and what is not a plain file are left out.
        """
        if self.root is None:
            return ()
        if self.root.is_file():
            return () if self.root in self.taken else (self.root,)
        inside = self.root.resolve()
        try:
            found = sorted(
                path
                for path in self.root.rglob("*")
                if path.is_file() and not path.name.startswith(".") and path.resolve().is_relative_to(inside)
            )
        except OSError as error:
            raise WorldError(f"{self.given}: {error.strerror or error}") from None
        if len(found) > MOST_FILES:
            raise InputError(f"{self.given}: more than {MOST_FILES:,} files", "give a folder of logs only")
        return tuple(path for path in found if path not in self.taken)

    def without(self, files: Iterable[Path]) -> Source:
        """What is left for other readers when one has taken `files`."""
        return replace(self, taken=self.taken | frozenset(files))

    def place(self, file: Path | None = None) -> str:
        """What people are shown: the file, or the source, without credentials and control characters."""
        return visible(scrubbed(self.given if file is None else str(file)))

    def parts(self, *endings: str) -> list[Part]:
        """One part for each file whose name ends in one of `endings` (lower case, such as ".jsonl")."""
        return [Part(self, (file,)) for file in self.files if file.name.lower().endswith(endings)]


def head(file: Path, size: int = HEAD) -> bytes:
    """The first bytes of a file, at most `HEAD`; empty when it cannot be opened."""
    try:
        found = file.stat()
        return _head(file, found.st_size, found.st_mtime_ns)[:size]
    except OSError:
        return b""


@lru_cache(maxsize=16_384)
def _head(file: Path, size: int, changed: int) -> bytes:
    """Read once for all the readers that look at it."""
    with file.open("rb") as opened:
        return opened.read(HEAD)


def nested(names: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """A nested config as one level of dotted names: {"model": {"dim": 8}} is {"model.dim": 8}; lists stay whole."""
    flat: dict[str, object] = {}
    for name, value in names.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat |= nested(value, f"{path}.")
        else:
            flat[path] = value
    return flat


__all__ = ["Part", "Source", "head", "nested", "scrubbed"]
