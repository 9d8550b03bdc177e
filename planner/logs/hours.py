"""GPU-hours that a run's segments spent: as logged, else from clocks and the number of accelerators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.logs.stitch import Piece


@dataclass(frozen=True)
class Hours:
    """Accelerator-hours of all attempts, and how they are known; None where nothing tells them."""

    hours: float | None
    source: str | None


def hours_of(pieces: Sequence[Piece], settings: Mapping[str, Any], spans: Sequence[Sequence[Any] | None]) -> Hours:
    """Hours of every segment added up, failed attempts too: logged ones, else (end - start) or steps x seconds per step,
    times accelerators. A clock that goes backwards tells nothing.
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
    if piece.first_time is not None and piece.last_time is not None and piece.last_time > piece.first_time:
        # a clock read at n points spans n - 1 of the n intervals
        more = piece.points / (piece.points - 1) if piece.points > 1 else 1.0
        return count * (piece.last_time - piece.first_time) * more / 3600
    if span is not None and span[0] is not None and piece.last_step is not None and piece.first_step is not None:
        return float(count * span[0] * (piece.last_step - piece.first_step + 1) / 3600)
    return None
