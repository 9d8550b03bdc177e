"""Segments become runs, and every run that changed is judged anew: which points count, and what it came to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner.logs.blocks import Block, Read, blocks_of, layout_of, points_of, read_block, write_marks
from planner.logs.clean import Marks, Points, Reason, marks_of
from planner.logs.finals import bounds_of, diverged, ends_of, last_of, seen, silent
from planner.logs.schedule import schedules_of
from planner.logs.spans import measure_spans, read_pieces
from planner.logs.stitch import Piece, stitch

WORKERS = 2

_FINALS = """
CREATE TABLE IF NOT EXISTS finals (
    run VARCHAR, step DOUBLE, tokens DOUBLE, loss DOUBLE, loss_min DOUBLE, loss_window BIGINT, n_evals BIGINT, loss_step DOUBLE,
    train_loss DOUBLE, train_loss_min DOUBLE, train_loss_window BIGINT, n_train BIGINT, lr_peak DOUBLE, lr_last DOUBLE,
    schedule VARCHAR, schedule_seen DOUBLE, warmup_step DOUBLE, stable_step DOUBLE, warmup_tokens DOUBLE, diverged BOOLEAN,
    n_points BIGINT, n_dropped BIGINT);
"""


def judge(
    connection: duckdb.DuckDBPyConnection, touched: Iterable[int], keep: frozenset[Reason], window: int | None
) -> tuple[list[Piece], list[str]]:
    """Stitch all segments, mark the points and write the finals of the runs that changed.

    Returns the segments in the order of their numbers, and notes on what was joined.
    """
    connection.execute(_FINALS)
    measure_spans(connection, sorted(touched))
    pieces = read_pieces(connection)
    stitched = stitch(pieces)
    before = dict(connection.execute("SELECT segment, run FROM segments").fetchall())
    changed_setting = _settings_changed(connection, keep, window)
    wanted = {
        run: group
        for run, group in stitched.runs.items()
        if changed_setting or any(piece.number in touched or before.get(piece.number) != run for piece in group)
    }
    rows = [
        (piece.number, run)
        for run, group in stitched.runs.items()
        for piece in group
        if before.get(piece.number) != run
    ]
    if rows:
        connection.register("new_runs", pd.DataFrame(rows, columns=["segment", "run"]))
        connection.execute("UPDATE segments SET run = n.run FROM new_runs AS n WHERE segments.segment = n.segment")
        connection.unregister("new_runs")
    connection.execute("DELETE FROM finals WHERE run NOT IN (SELECT run FROM segments)")
    finals = _judge_all(connection, wanted, keep, window)
    if finals:
        connection.register("new_finals", pd.concat(finals, ignore_index=True))
        connection.execute("DELETE FROM finals WHERE run IN (SELECT run FROM new_finals)")
        connection.execute("INSERT INTO finals BY NAME SELECT * FROM new_finals")
        connection.unregister("new_finals")
    return pieces, stitched.notes


def _settings_changed(connection: duckdb.DuckDBPyConnection, keep: frozenset[Reason], window: int | None) -> bool:
    """Whether the last import cleaned by other rules: then every run is judged anew."""
    connection.execute("CREATE TABLE IF NOT EXISTS rules (keep VARCHAR, smoothed INTEGER)")
    now = (",".join(sorted(keep)), window)
    before = next(iter(connection.execute("SELECT keep, smoothed FROM rules").fetchall()), None)
    connection.execute("DELETE FROM rules")
    connection.execute("INSERT INTO rules VALUES (?, ?)", list(now))
    return before is not None and before != now


@dataclass(frozen=True)
class _Judged:
    """What came of a block: where its points stand in the database's order, their marks, and the finals."""

    block: Block
    order: NDArray[np.int64] | None
    marks: Marks
    finals: pd.DataFrame


def _judge_all(
    connection: duckdb.DuckDBPyConnection, runs: dict[str, list[Piece]], keep: frozenset[Reason], window: int | None
) -> list[pd.DataFrame]:
    """Finals of every block; the next blocks are read while those before are worked on."""
    finals: list[pd.DataFrame] = []
    layout = layout_of(connection, [piece.number for pieces in runs.values() for piece in pieces])
    with ThreadPoolExecutor(WORKERS) as workers:
        waiting: deque[Future[_Judged]] = deque()
        for block in blocks_of(runs):
            read = read_block(connection, block, layout)
            if len(waiting) == WORKERS:
                finals.append(_written(connection, waiting.popleft().result()))
            waiting.append(workers.submit(_judge_block, read, keep, window))
        finals += [_written(connection, judged.result()) for judged in waiting]
    return finals


def _judge_block(read: Read, keep: frozenset[Reason], window: int | None) -> _Judged:
    points, order = points_of(read)
    declared = np.array([_declared(pieces) for _, pieces in read.block.runs])
    marks = marks_of(points, np.where(declared < 0, np.nan, declared), keep)
    return _Judged(read.block, order, marks, _finals(read.block, points, marks, window))


def _written(connection: duckdb.DuckDBPyConnection, judged: _Judged) -> pd.DataFrame:
    write_marks(connection, judged.block, judged.order, judged.marks)
    return judged.finals


def _declared(pieces: Sequence[Piece]) -> float:
    """The step that a log calls final: NaN where it says nothing of it, -1 where it says that none is."""
    said = [piece.settings["final_step"] for piece in pieces if "final_step" in piece.settings]
    return max(said) if said else float("nan")


def _finals(block: Block, points: Points, marks: Marks, window: int | None) -> pd.DataFrame:
    starts = bounds_of(points.run, len(block.runs))
    plain = np.array([all(_plain_loss(piece) for piece in pieces) for _, pieces in block.runs], bool)
    evaluated = last_of(
        points, marks, starts, points.loss, np.where(plain, 0, 1) if window is None else np.full(plain.size, window)
    )
    trained = last_of(points, marks, starts, points.train_loss, np.full(plain.size, window or 0))
    step, tokens = ends_of(points, marks, starts)
    rated = seen(marks) & (points.lr >= 0) & (points.lr < np.inf)
    holes = np.isnan(points.tokens)
    at = np.where(holes, points.step, points.tokens) if holes.any() else points.tokens
    schedules = schedules_of(points.lr, np.flatnonzero(rated), starts, at)
    warm, stable = schedules.warm, schedules.stable
    there = warm >= 0
    some = points.step.size > 0
    return pd.DataFrame({
        "run": [run for run, _ in block.runs], "step": step, "tokens": tokens,
        "loss": evaluated.last, "loss_min": evaluated.lowest, "loss_window": evaluated.window, "n_evals": evaluated.number,
        "loss_step": evaluated.step, "train_loss": trained.last, "train_loss_min": trained.lowest,
        "train_loss_window": trained.window, "n_train": trained.number, "lr_peak": schedules.peak, "lr_last": schedules.last,
        "schedule": schedules.name, "schedule_seen": schedules.seen,
        "warmup_step": np.where(there, points.step[warm] if some else np.nan, np.nan),
        "stable_step": np.where(there, points.step[stable] if some else np.nan, np.nan),
        "warmup_tokens": np.where(there, points.tokens[warm] if some else np.nan, np.nan),
        "diverged": diverged(points, marks, starts, evaluated, trained) | silent(trained, step),
        "n_points": np.diff(starts), "n_dropped": np.add.reduceat(np.append(marks > 0, False), starts[:-1]) * (np.diff(starts) > 0),
    })  # fmt: skip


def _plain_loss(piece: Piece) -> bool:
    """A loss called nothing but "loss", no point of which is declared final, is smoothed as a training loss is."""
    return "loss_name" not in piece.settings and "final_step" not in piece.settings
