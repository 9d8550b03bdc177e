"""The last line of a log whose run will not end by itself: cancelled behind a gate, or given up."""

from __future__ import annotations

import json
import os
from pathlib import Path

from planner.encode import to_json
from planner.errors import WorldError
from planner.lab.local.places import Outcome, Places

CELLS = ("run_id", "step", "tokens", "loss", "status", "reason")
TAIL = 1 << 16  # bytes in which the last whole line is looked for


def close_log(places: Places, outcome: Outcome) -> None:
    """Add how the run ended to its jsonl log, once; a run that never started gets a log of this one line.

    `planner import` then counts it with what it cost. Whoever takes the run up again cuts the line off.
    """
    path = places.log(outcome.run_id)
    last, whole = _last(path)
    if last.get("status") == outcome.status.value:
        return
    cells = (outcome.run_id, last.get("step") or 0, last.get("tokens") or 0, None, outcome.status.value, outcome.reason)
    line = dict(zip(CELLS, cells, strict=True))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write((b"" if whole else b"\n") + (to_json(line, indent=None) + "\n").encode())
    except OSError as error:
        raise WorldError(
            f"{path}: cannot be written: {error.strerror or error}", "free some space, then launch again"
        ) from None


def reopen_log(path: Path) -> None:
    """Cut off the line that `close_log` added: the run is taken up again, by a trainer that may only append."""
    last, whole = _last(path)
    if whole and tuple(last) == CELLS and last["loss"] is None:
        content = path.read_bytes()
        os.truncate(path, content.rstrip(b"\n").rfind(b"\n") + 1)


def _last(path: Path) -> tuple[dict[str, object], bool]:
    """The last whole line of a log, and whether nothing follows it."""
    if not path.is_file():
        return {}, True
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        content = file.read()
    for line in reversed(content.split(b"\n")):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict):
            return said, content.endswith(b"\n")
    return {}, content.endswith(b"\n") or not content
