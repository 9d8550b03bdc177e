"""The table of runs, from what their segments say and what their points came to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd

from planner.errors import InputError
from planner.logs.counts import Counted, counted
from planner.logs.hours import hours_of, notes_on_clocks
from planner.logs.status import STATES, WHOLE, counting, notes_on_states, status_of, where
from planner.logs.stitch import Piece
from planner.runs.columns import DEFAULT_LOSS_UNIT, Status

LOWER = 0.005  # of the final loss: how far below it the lowest may lie before it is said (PRACTICE: Megatron-DeepSpeed #125)
ANNEALED = 0.35  # of the peak rate: a run that ends above it was not annealed

# Settings that are not columns of their own.
INNER = ("line", "final_step", "train_loss_name", "bytes_per_token", "step", "lr", "loss", "train_loss", "mfu", "time",
         "tokens_per_second", "step_seconds", "flops", "tokens", "is_final")  # fmt: skip
FIRST = (
    "run_id", "study", "group", "variant", "stage", "seed", "status", "model", "params", "params_total", "params_active",
    "params_non_embedding", "params_active_non_embedding", "tokens", "tokens_per_param", "flops", "flops_rule", "loss",
    "loss_unit", "loss_name", "loss_window", "loss_min", "train_loss", "is_final", "problem", "schedule", "annealed",
    "lr_peak", "lr_last", "batch_tokens", "warmup_tokens", "context_length", "steps", "gpu_hours", "gpu_hours_source",
    "accelerator", "n_accelerators", "mfu", "attempts", "n_points", "n_dropped", "source",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """One row per run, and what a reader should know of it."""

    frame: pd.DataFrame
    notes: tuple[str, ...]


def table_of(connection: duckdb.DuckDBPyConnection, every: Sequence[Piece]) -> Table:
    """The runs in the database, of which these are all segments, as a table under our column names; kept there as `runs` too."""
    owners = dict(connection.execute("SELECT segment, run FROM segments").fetchall())
    groups: dict[str, list[Piece]] = {}
    for piece in every:
        groups.setdefault(owners[piece.number], []).append(piece)
    found = connection.execute("SELECT * FROM finals")
    names = [column[0] for column in found.description or ()]
    finals = {row[0]: dict(zip(names, row, strict=True)) for row in found.fetchall()}
    spans = {
        row[0]: row[1:]
        for row in connection.execute(
            "SELECT segment, step_seconds, flops, mfu, tokens_per_second FROM spans"
        ).fetchall()
    }
    rows, counts = [], []
    for run, pieces in groups.items():
        row, count = _row(run, pieces, finals.get(run, {}), spans)
        rows.append(row)
        counts.append(count)
    frame = pd.DataFrame(rows)
    listed = [name for name in FIRST if name in frame]
    frame = frame[listed + [name for name in frame if name not in listed]]
    frame = frame.drop(columns=[name for name in frame if frame[name].isna().all() and name not in ("loss", "tokens")])
    connection.register("runs_frame", frame)
    connection.execute("CREATE OR REPLACE TABLE runs AS SELECT * FROM runs_frame")
    connection.unregister("runs_frame")
    return Table(frame, (*notes_on_states(every), *notes_on_clocks(every), *_notes(frame), *_flops_notes(counts)))


def _row(
    run: str, pieces: Sequence[Piece], final: Mapping[str, Any], spans: Mapping[int, Sequence[Any]]
) -> tuple[dict[str, Any], Counted]:
    settings: dict[str, Any] = {}
    pieces = counting(pieces)
    for piece in pieces:
        settings |= piece.settings
    ended = _number(final.get("step")) or _number(settings.get("step"))
    tokens = _tokens(settings, final, ended)
    planned = settings.get("tokens_planned") or _product(settings.get("steps"), settings.get("batch_tokens"))
    truncated = bool(planned and tokens and tokens < WHOLE * planned) or bool(
        not planned and settings.get("steps") and final.get("step") and final["step"] < WHOLE * settings["steps"]
    )
    status = status_of(pieces, diverged=bool(final.get("diverged")), truncated=truncated)
    loss = _loss(settings, final)
    annealed = _annealed(final)
    count = counted(run, settings, tokens, spans_flops(pieces, spans, settings))
    hours = hours_of(pieces, settings, [spans.get(piece.number) for piece in pieces])
    said_final = str(settings.get("is_final", "true")).lower() not in ("false", "0", "no")
    is_final = (
        status is Status.COMPLETED
        and not truncated
        and loss["loss"] is not None
        and settings.get("final_step") != -1.0
        and said_final
    )
    row = {
        **{name: value for name, value in settings.items() if name not in INNER},
        **count.columns,
        **loss,
        "run_id": run,
        "status": str(status),
        "tokens": tokens,
        "is_final": "true" if is_final else "false",
        "problem": _problem(status, loss, truncated=truncated),
        "schedule": settings.get("schedule") or final.get("schedule") or None,
        "annealed": annealed,
        "lr_peak": settings.get("lr_peak") or _number(final.get("lr_peak")),
        "batch_tokens": settings.get("batch_tokens") or _ratio(final.get("tokens"), final.get("step")),
        "lr_last": _number(final.get("lr_last")),
        "warmup_tokens": settings.get("warmup_tokens") or _number(final.get("warmup_tokens")),
        "gpu_hours": hours.hours,
        "gpu_hours_source": hours.source,
        "mfu": _number(settings.get("mfu")),
        "attempts": float(sum(piece.points > 0 for piece in pieces) or len(pieces)),
        "n_points": _number(final.get("n_points")),
        "n_dropped": _number(final.get("n_dropped")),
        "source": pieces[0].place,
    }
    _require_loss(pieces[-1], row["loss"], settings)
    return row, count


def _require_loss(piece: Piece, loss: float | None, settings: Mapping[str, Any]) -> None:
    """A table that says that a run completed has to say its loss."""
    if loss is None and "line" in piece.settings and STATES.get(piece.status) is Status.COMPLETED:
        shown = settings.get("loss", math.nan)
        raise InputError(f"{where(piece)} completed with loss {shown}", "mark it failed, or mend it")


def spans_flops(
    pieces: Sequence[Piece], spans: Mapping[int, Sequence[Any]], settings: Mapping[str, Any]
) -> float | None:
    """The FLOPs that a run logged: the last of its running total."""
    totals = [
        spans[piece.number][1] for piece in pieces if piece.number in spans and spans[piece.number][1] is not None
    ]
    return max(totals) if totals else _number(settings.get("flops"))


def _tokens(settings: Mapping[str, Any], final: Mapping[str, Any], ended: float | None) -> float | None:
    logged = _number(final.get("tokens"))
    if logged is not None:
        return logged
    return (
        _number(settings.get("tokens"))
        if not final
        else _product(ended, settings.get("batch_tokens")) or _number(settings.get("tokens"))
    )


def _loss(settings: Mapping[str, Any], final: Mapping[str, Any]) -> dict[str, Any]:
    """The loss of a run: its evaluation, else its training loss; each with the values it is the mean of."""
    trained = _number(final.get("train_loss")) or _number(settings.get("train_loss"))
    evaluated = _number(final.get("loss"))
    found: dict[str, Any] = {"train_loss": trained, "loss_unit": settings.get("loss_unit", DEFAULT_LOSS_UNIT)}
    if evaluated is not None:
        return found | {"loss": evaluated, "loss_min": _number(final["loss_min"]), "loss_window": float(final["loss_window"]),
                        "loss_name": settings.get("loss_name", "")}  # fmt: skip
    if settings.get("loss") is not None:
        loss = _number(settings["loss"])
        return found | {"loss": loss if loss and loss > 0 else None, "loss_min": None, "loss_window": None,
                        "loss_name": settings.get("loss_name", "")}  # fmt: skip
    if _number(final.get("train_loss")) is not None:
        return found | {"loss": trained, "loss_min": _number(final["train_loss_min"]), "loss_unit": DEFAULT_LOSS_UNIT,
                        "loss_window": float(final["train_loss_window"]),
                        "loss_name": settings.get("train_loss_name", "train")}  # fmt: skip
    return found | {"loss": trained, "loss_min": None, "loss_window": None, "loss_name": settings.get("loss_name", "")}


def _annealed(final: Mapping[str, Any]) -> str | None:
    """Whether the learning rate had come down at the run's end; None where it was not logged, or never moved (many tables
    hold the peak on every row).
    """
    peak, last = _number(final.get("lr_peak")), _number(final.get("lr_last"))
    if not peak or last is None or final.get("schedule") in (None, "", "constant"):
        return None
    return "true" if last <= ANNEALED * peak else "false"


def _problem(status: Status, loss: Mapping[str, Any], *, truncated: bool) -> str:
    if status is Status.DIVERGED:
        return "diverged"
    if truncated:
        return "truncated"
    if status is Status.COMPLETED and loss["loss"] is None:
        return "no loss"
    lower = loss.get("loss_min") is not None and loss["loss"] > (1 + LOWER) * loss["loss_min"]
    return "minimum below the final loss" if lower else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _product(one: object, other: object) -> float | None:
    return one * other if isinstance(one, float) and isinstance(other, float) else None


def _ratio(one: object, other: object) -> float | None:
    return _number(one / other) if isinstance(one, float) and isinstance(other, float) and other else None


def _notes(frame: pd.DataFrame) -> list[str]:
    notes = []
    for problem, text in (
        ("truncated", "saw less than 99 % of the planned tokens: not final"),
        (
            "diverged",
            "diverged: the last loss is not finite, missing, or more than 10 % above the lowest smoothed loss",
        ),
        ("minimum below the final loss", f"end more than {LOWER:.1%} above their lowest loss (column loss_min)"),
    ):
        number = int((frame["problem"] == problem).sum())
        if number:
            notes.append(f"{number:,} runs {text}" if number > 1 else f"1 run: {text}")
    if "annealed" in frame and (number := int((frame["annealed"] == "false").sum())):
        ends = "run ends" if number == 1 else "runs end"
        notes.append(f"{number:,} {ends} un-annealed: the learning rate is above {ANNEALED:.0%} of its peak")
    return notes


def _flops_notes(counts: Sequence[Counted]) -> list[str]:
    off = [count for count in counts if count.ratio is not None and abs(math.log(count.ratio)) > math.log(1.1)]
    if not off:
        return []
    ratios = sorted(count.ratio for count in off if count.ratio is not None)
    return [
        f"{len(off):,} runs logged FLOPs that differ by more than 10 % from 6 x params x tokens "
        f"(median {ratios[len(ratios) // 2]:.2f} times it): attention, embeddings or recomputation counted otherwise"
    ]
