"""What a run is called that is known by where its files lie."""

from __future__ import annotations

from pathlib import Path

from planner.logs.source import Source


def name_of(source: Source, path: Path) -> str:
    """A file or folder as people would name it: its path inside the source; the source's own name when it is the source."""
    root = source.root
    if root is None or path == root or not path.is_relative_to(root):
        return path.resolve().name or "run"
    return path.relative_to(root).as_posix()


__all__ = ["name_of"]
