"""What became of a run, from what trackers call it and from what its log shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from planner.errors import InputError
from planner.logs.stitch import Piece
from planner.runs.columns import Status
from planner.text import short, visible

# What trackers, schedulers and we call a run's state, and ours.
STATES = {
    "finished": Status.COMPLETED, "completed": Status.COMPLETED, "complete": Status.COMPLETED, "success": Status.COMPLETED,
    "failed": Status.FAILED, "crashed": Status.FAILED, "error": Status.FAILED, "out_of_memory": Status.FAILED,
    "node_fail": Status.FAILED, "killed": Status.CANCELLED, "cancelled": Status.CANCELLED, "canceled": Status.CANCELLED,
    "diverged": Status.DIVERGED, "running": Status.RUNNING, "scheduled": Status.RUNNING, "pending": Status.RUNNING,
    "preempted": Status.PREEMPTED, "preempting": Status.PREEMPTED, "timeout": Status.PREEMPTED, "planned": Status.PLANNED,
}  # fmt: skip
WHOLE = 0.99  # of the planned tokens or steps: a run that saw fewer is truncated


def status_of(pieces: Sequence[Piece], *, diverged: bool, truncated: bool) -> Status:
    """One status for a run: completed when any piece is, else what its last piece says, else what its log shows.

    A run that diverged is so whatever its tracker says, unless the tracker says that it failed; a log without a state is
    still running when it has not reached what was planned. A state that nobody here knows says nothing.
    """
    said = [known for piece in pieces if (known := _known(piece)) is not None]
    status = Status.COMPLETED if Status.COMPLETED in said else said[-1] if said else None
    if diverged and status in (None, Status.COMPLETED, Status.RUNNING):
        return Status.DIVERGED
    if status is not None:
        return status
    return Status.RUNNING if truncated else Status.COMPLETED


def _known(piece: Piece) -> Status | None:
    return STATES.get(piece.status.strip().lower())


def notes_on_states(pieces: Sequence[Piece]) -> list[str]:
    """States that nobody here knows, each with a run that is in it: those runs are told by what they logged."""
    found: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        if piece.status.strip() and _known(piece) is None:
            found[piece.status].append(piece)
    return [
        f"{where(group[0])}{f' and {len(group) - 1:,} more' if len(group) > 1 else ''}: unknown state {visible(short(state))!r}, "
        "left out of account"
        for state, group in found.items()
    ]


def where(piece: Piece) -> str:
    """A piece for a message: its place, its row in a table, and its run."""
    row = piece.settings.get("line")
    at = f": row {int(row)}" if isinstance(row, float) else ""
    return f"{piece.place}{at}: run {(piece.run_id or piece.key)!r}"


def counting(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces of a run that count, completed ones last, so that what they say goes before what others say.

    A row that says the same again, and one of a run that was still going when another row was written later, are left out.
    Raises InputError for a run that completed twice in tables with a row per run.
    """
    if len(pieces) == 1:
        return list(pieces)
    kept: list[Piece] = []
    for piece in pieces:
        if not any(_says_the_same(piece, other) for other in kept):
            kept.append(piece)
    rows = [piece for piece in kept if "line" in piece.settings]
    going = [piece for piece in rows[:-1] if _known(piece) is Status.RUNNING]
    kept = [piece for piece in kept if piece not in going]
    done = [piece for piece in kept if "line" in piece.settings and _known(piece) is Status.COMPLETED]
    if len(done) > 1:
        raise InputError(f"{where(done[1])} is logged twice, completed each time", "keep its last row")
    return [piece for piece in kept if piece not in done] + done


def _says_the_same(one: Piece, other: Piece) -> bool:
    """Whether two rows of tables are one: nothing but their places differs."""
    if "line" not in one.settings or "line" not in other.settings or one.status != other.status:
        return False
    return {**one.settings, "line": 0} == {**other.settings, "line": 0}
