"""Which segments are one run: by the id that travelled, by their key, or because one continues the other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Settings that make two runs two: those of one run agree in all that both logged.
ESSENTIAL = (
    "params", "params_total", "params_active", "params_non_embedding", "n_layers", "d_model", "n_heads", "n_kv_heads",
    "head_dim", "d_ff", "vocab_size", "n_experts", "experts_per_token", "lr_peak", "batch_tokens", "seed", "context_length",
    "variant", "optimizer", "group", "study", "tokens_unique",
)  # fmt: skip
LEAST_ALIKE = 3  # essential settings that must agree before segments are joined by what they hold
NEAR = 1e-6  # of a number: equal as far as a log's digits go


@dataclass(frozen=True)
class Piece:
    """A segment as it is joined: its identity, settings, and the steps and times it spans (None: it logged none).

    `seconds` are those for which its clock went forward, where it went back too.
    """

    number: int
    place: str
    key: str
    run_id: str
    name: str
    attempt: int | None
    status: str
    settings: Mapping[str, Any]
    first_step: int | None = None
    last_step: int | None = None
    points: int = 0
    first_time: float | None = None
    last_time: float | None = None
    seconds: float | None = None


@dataclass
class Stitched:
    """Runs by id, each its segments in the order in which they were trained; what was joined or kept apart, and why."""

    runs: dict[str, list[Piece]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def stitch(pieces: Sequence[Piece]) -> Stitched:
    """Segments joined to runs.

    Those of one `run_id`, or one key, are one run unless their essential settings disagree: then they stay apart as
    `id`, `id~2`, ... Segments without an id that travelled are joined when their essential settings are equal and the one
    starts where the other, unfinished, had come to; when that fits several, none is joined.
    """
    done = Stitched()
    by_id: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        by_id[piece.run_id or piece.key].append(piece)
    for run_id, group in by_id.items():
        apart = _agreeing(group)
        if len(apart) > 1:
            done.notes.append(
                f"run id {run_id!r} has different configs ({_difference(apart[0][0], apart[1][0])}): kept apart as "
                + ", ".join(repr(_numbered(run_id, at)) for at in range(len(apart)))
            )
        for at, together in enumerate(apart):
            done.runs[_numbered(run_id, at)] = sorted(together, key=_order)
    _join_continuations(done)
    return done


def _numbered(run_id: str, at: int) -> str:
    return run_id if at == 0 else f"{run_id}~{at + 1}"


def _order(piece: Piece) -> tuple[float, float, float, int]:
    time = piece.first_time if piece.first_time is not None else -math.inf
    first = piece.first_step if piece.first_step is not None else -1
    return (piece.attempt or 0, time, first, piece.number)


def _agreeing(group: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces of one id by what they trained: each joins the first lot that it does not contradict."""
    lots: list[list[Piece]] = []
    for piece in group:
        lot = next(
            (lot for lot in lots if all(not contradictions(piece.settings, other.settings) for other in lot)), None
        )
        if lot is None:
            lots.append([piece])
        else:
            lot.append(piece)
    return lots


def contradictions(one: Mapping[str, Any], other: Mapping[str, Any], near: float = NEAR) -> list[str]:
    """Essential settings that both have and that differ."""
    return [name for name in ESSENTIAL if name in one and name in other and not _equal(one[name], other[name], near)]


def _equal(one: object, other: object, near: float) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=near)
    return one == other


def _difference(one: Piece, other: Piece) -> str:
    name = contradictions(one.settings, other.settings)[0]
    return f"{name}: {_shown(one.settings[name])}, {_shown(other.settings[name])}"


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _join_continuations(done: Stitched) -> None:
    """Runs without a travelled id whose segments continue each other become one, under the id of the first."""
    alike: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for run_id, pieces in done.runs.items():
        if len(pieces) == 1 and not pieces[0].run_id and pieces[0].first_step is not None:
            settings = pieces[0].settings
            held = tuple((name, settings[name]) for name in ESSENTIAL if name in settings)
            if len(held) >= LEAST_ALIKE:
                alike[held].append(run_id)
    for ids in alike.values():
        heads = sorted(ids, key=lambda run_id: _order(done.runs[run_id][0]))
        for run_id in heads:
            _join_one(done, run_id, [other for other in heads if other != run_id])


def _join_one(done: Stitched, run_id: str, others: Sequence[str]) -> None:
    piece = done.runs[run_id][0]
    before = [other for other in others if other in done.runs and continues(done.runs[other][-1], piece)]
    if len(before) == 1:
        done.runs[before[0]] += done.runs.pop(run_id)
        done.notes.append(f"{run_id!r} continues {before[0]!r}: equal settings, from step {piece.first_step} on")
    elif before:
        done.notes.append(f"{run_id!r} may continue {', '.join(map(repr, before[:3]))}: left alone")


def continues(before: Piece, after: Piece) -> bool:
    """Whether `after` starts where `before`, which did not finish, had come to (two logging intervals at most beyond)."""
    if before.first_step is None or before.last_step is None or after.first_step is None or after.last_step is None:
        return False
    stride = max((before.last_step - before.first_step) / max(before.points - 1, 1), 1.0)
    in_time = before.first_time is None or after.first_time is None or before.first_time <= after.first_time
    return (
        in_time
        and _unfinished(before)
        and after.first_step > before.first_step + 2 * stride
        and after.first_step <= before.last_step + 2 * stride
        and after.last_step > before.last_step
    )


def _unfinished(piece: Piece) -> bool:
    """Whether its tracker says that it ended early, or its steps fall short of those planned."""
    planned = piece.settings.get("steps")
    short = isinstance(planned, float) and piece.last_step is not None and piece.last_step < planned
    return short or (bool(piece.status) and piece.status not in ("completed", "finished", "complete", "success"))
