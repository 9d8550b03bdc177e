"""GPU-hours that a run's segments spent: as logged, else from clocks and the number of accelerators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.logs.status import where
from planner.logs.stitch import Piece


@dataclass(frozen=True)
class Hours:
    """Accelerator-hours of all attempts, and how they are known; None where nothing tells them."""

    hours: float | None
    source: str | None


def hours_of(pieces: Sequence[Piece], settings: Mapping[str, Any], spans: Sequence[Sequence[Any] | None]) -> Hours:
    """Hours of every segment added up, failed attempts too: logged ones, else (end - start) or steps x seconds per step,
    times accelerators. A clock that goes back tells the time for which it went forward.
    """
    logged = [piece.settings["gpu_hours"] for piece in pieces if isinstance(piece.settings.get("gpu_hours"), float)]
    if logged:
        return Hours(sum(logged), "measured")
    total, known = 0.0, False
    for piece, span in zip(pieces, spans, strict=True):
        hours = _one(piece, settings, span)
        if hours is not None:
            total, known = total + hours, True
    return Hours(total, "measured") if known else Hours(None, None)


def _one(piece: Piece, settings: Mapping[str, Any], span: Sequence[Any] | None) -> float | None:
    count = piece.settings.get("n_accelerators", settings.get("n_accelerators"))
    if not isinstance(count, float):
        return None
    seconds = _seconds(piece)
    if seconds > 0:
        # a clock read at n points spans n - 1 of the n intervals
        more = piece.points / (piece.points - 1) if piece.points > 1 else 1.0
        return count * seconds * more / 3600
    if span is not None and span[0] is not None and piece.last_step is not None and piece.first_step is not None:
        return float(count * span[0] * (piece.last_step - piece.first_step + 1) / 3600)
    return None


def _seconds(piece: Piece) -> float:
    if piece.seconds is not None:
        return piece.seconds
    if piece.first_time is None or piece.last_time is None:
        return 0.0
    return piece.last_time - piece.first_time


def notes_on_clocks(pieces: Sequence[Piece]) -> list[str]:
    """One line on the segments whose clocks go back."""
    back = [piece for piece in pieces if piece.seconds is not None]
    if not back:
        return []
    more = f" and in {len(back) - 1:,} more" if len(back) > 1 else ""
    return [f"{where(back[0])}{more}: the clock goes back; hours are the time for which it went forward"]
