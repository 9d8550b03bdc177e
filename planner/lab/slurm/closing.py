"""The last line of a log whose run will not end by itself: cancelled behind a gate, or given up."""

from __future__ import annotations

import json
from pathlib import Path

from planner.encode import to_json
from planner.errors import WorldError
from planner.lab.local.places import Outcome, Places

TAIL = 1 << 16  # bytes in which the last whole line is looked for


def close_log(places: Places, outcome: Outcome) -> None:
    """Add how the run ended to its jsonl log, once; a run that never started gets a log of this one line.

    `planner import` then counts it with what it cost. A worker that takes the run up again cuts the line off.
    """
    path = places.log(outcome.run_id)
    last, whole = _last(path)
    if last.get("status") == outcome.status.value:
        return
    step, tokens = last.get("step") or 0, last.get("tokens") or 0
    line = {"run_id": outcome.run_id, "step": step, "tokens": tokens, "loss": None, "status": outcome.status.value,
            "reason": outcome.reason}  # fmt: skip
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write((b"" if whole else b"\n") + (to_json(line, indent=None) + "\n").encode())
    except OSError as error:
        raise WorldError(
            f"{path}: cannot be written: {error.strerror or error}", "free some space, then launch again"
        ) from None


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
