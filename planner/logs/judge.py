"""Segments become runs, and every run that changed is judged anew: which points count, and what it came to."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner.logs.clean import REASONS, Array, Marks, Points, Reason, marks_of
from planner.logs.database import value_of
from planner.logs.finals import bounds_of, diverged, ends_of, last_of, seen, silent
from planner.logs.load import read_settings
from planner.logs.schedule import schedules_of
from planner.logs.stitch import Piece, stitch

WORKERS = 2
BLOCK = 1_000_000  # points of whole runs that stand in memory at once

_SPANS = """
CREATE TABLE IF NOT EXISTS spans (
    segment INTEGER, points BIGINT, first_step BIGINT, last_step BIGINT, first_time DOUBLE, last_time DOUBLE,
    step_seconds DOUBLE, flops DOUBLE, mfu DOUBLE, tokens_per_second DOUBLE);
CREATE TABLE IF NOT EXISTS finals (
    run VARCHAR, step DOUBLE, tokens DOUBLE, loss DOUBLE, loss_min DOUBLE, loss_window BIGINT, n_evals BIGINT, loss_step DOUBLE,
    train_loss DOUBLE, train_loss_min DOUBLE, train_loss_window BIGINT, n_train BIGINT, lr_peak DOUBLE, lr_last DOUBLE,
    schedule VARCHAR, schedule_seen DOUBLE, warmup_step DOUBLE, stable_step DOUBLE, warmup_tokens DOUBLE, diverged BOOLEAN,
    n_points BIGINT, n_dropped BIGINT);
"""


def judge(
    connection: duckdb.DuckDBPyConnection, touched: Iterable[int], keep: frozenset[Reason], window: int | None
) -> list[str]:
    """Stitch all segments, mark the points and write the finals of the runs that changed; notes on what was joined."""
    connection.execute(_SPANS)
    _measure_spans(connection, sorted(touched))
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
    return stitched.notes


def _settings_changed(connection: duckdb.DuckDBPyConnection, keep: frozenset[Reason], window: int | None) -> bool:
    """Whether the last import cleaned by other rules: then every run is judged anew."""
    connection.execute("CREATE TABLE IF NOT EXISTS rules (keep VARCHAR, smoothed INTEGER)")
    now = (",".join(sorted(keep)), window)
    before = next(iter(connection.execute("SELECT keep, smoothed FROM rules").fetchall()), None)
    connection.execute("DELETE FROM rules")
    connection.execute("INSERT INTO rules VALUES (?, ?)", list(now))
    return before is not None and before != now


def _measure_spans(connection: duckdb.DuckDBPyConnection, touched: Sequence[int]) -> None:
    if not touched:
        return
    there = {row[0] for row in connection.execute("SELECT column_name FROM (DESCRIBE points)").fetchall()}
    wanted = {"step_seconds": "avg", "flops": "max", "mfu": "avg", "tokens_per_second": "avg"}
    more = [f"{how}({name})" if name in there else "NULL" for name, how in wanted.items()]
    connection.register("touched", pd.DataFrame({"segment": list(touched)}))
    connection.execute("DELETE FROM spans WHERE segment IN (SELECT segment FROM touched)")
    connection.execute(
        f"INSERT INTO spans SELECT segment, count(*), min(step), max(step), min(time), max(time), {', '.join(more)} FROM points "
        f"WHERE segment BETWEEN {int(touched[0])} AND {int(touched[-1])} AND segment IN (SELECT segment FROM touched) "
        "GROUP BY segment"
    )
    connection.unregister("touched")


def read_pieces(connection: duckdb.DuckDBPyConnection) -> list[Piece]:
    """Every segment in the database as it is joined."""
    rows = connection.execute(
        "SELECT s.segment, s.place, split_part(s.key, chr(31), 1), s.run_id, s.name, s.attempt, s.status, s.settings, "
        "p.first_step, p.last_step, coalesce(p.points, 0), coalesce(s.started, p.first_time), coalesce(s.ended, p.last_time) "
        "FROM segments AS s LEFT JOIN spans AS p USING (segment) ORDER BY s.segment"
    ).fetchall()
    names = [field.name for field in dataclasses.fields(Piece)]
    return [Piece(**(dict(zip(names, row, strict=True)) | {"settings": read_settings(row[7])})) for row in rows]


def _blocks(runs: dict[str, list[Piece]]) -> Iterable[list[tuple[str, list[Piece]]]]:
    """Runs in lots of about BLOCK points."""
    block: list[tuple[str, list[Piece]]] = []
    size = 0
    for run, pieces in runs.items():
        block.append((run, pieces))
        size += sum(piece.points for piece in pieces)
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


_Block = list[tuple[str, list[Piece]]]


@dataclass(frozen=True)
class _Judged:
    """What came of a block: its segments, where its points stand in the database's order, their marks, and the finals."""

    segments: NDArray[np.int64]
    order: NDArray[np.int64] | None
    marks: Marks
    finals: pd.DataFrame


def _judge_all(
    connection: duckdb.DuckDBPyConnection, runs: dict[str, list[Piece]], keep: frozenset[Reason], window: int | None
) -> list[pd.DataFrame]:
    """Finals of every block; the next blocks are read while those before are worked on."""
    finals: list[pd.DataFrame] = []
    held = _columns_held(connection, [piece.number for pieces in runs.values() for piece in pieces])
    with ThreadPoolExecutor(WORKERS) as workers:
        waiting: deque[Future[_Judged]] = deque()
        for block in _blocks(runs):
            segments = np.array([piece.number for _, pieces in block for piece in pieces], np.int64)
            owner = np.repeat(np.arange(len(block)), [len(pieces) for _, pieces in block])
            points, order = _read(connection, segments, owner, held)
            if len(waiting) == WORKERS:
                finals.append(_written(connection, waiting.popleft().result()))
            waiting.append(workers.submit(_judge_block, block, segments, order, points, keep, window))
        finals += [_written(connection, judged.result()) for judged in waiting]
    return finals


def _judge_block(
    block: _Block, segments: NDArray[np.int64], order: NDArray[np.int64] | None, points: Points, keep: frozenset[Reason],
    window: int | None,
) -> _Judged:  # fmt: skip
    declared = np.array([_declared(pieces) for _, pieces in block])
    marks = marks_of(points, np.where(declared < 0, np.nan, declared), keep)
    return _Judged(segments, order, marks, _finals(block, points, marks, declared, window))


def _written(connection: duckdb.DuckDBPyConnection, judged: _Judged) -> pd.DataFrame:
    _write_marks(connection, judged.segments, judged.order, judged.marks)
    return judged.finals


def _columns_held(connection: duckdb.DuckDBPyConnection, segments: Sequence[int]) -> dict[str, str]:
    """The columns that hold anything in points of these segments, or between them, and how they are read without gaps."""
    if not segments:
        return {}
    listed = ", ".join(f"count({name})" for name in _COLUMNS)
    where = f"segment BETWEEN {min(segments)} AND {max(segments)}"
    number, *counts = connection.execute(f"SELECT count(*), {listed} FROM points WHERE {where}").fetchall()[0]
    return {
        name: name if there == number else f"coalesce({name}, 'nan'::DOUBLE)"
        for name, there in zip(_COLUMNS, counts, strict=True)
        if there
    }


def _declared(pieces: Sequence[Piece]) -> float:
    """The step that a log calls final: NaN where it says nothing of it, -1 where it says that none is."""
    said = [piece.settings["final_step"] for piece in pieces if "final_step" in piece.settings]
    return max(said) if said else float("nan")


_COLUMNS = ("tokens", "loss", "train_loss", "lr")


def _where(segments: NDArray[np.int64]) -> str:
    low, high = int(segments.min()), int(segments.max())
    whole = f"segment BETWEEN {low} AND {high}"
    return whole if high - low + 1 == segments.size else f"{whole} AND segment IN (SELECT segment FROM block)"


def _read(
    connection: duckdb.DuckDBPyConnection, segments: NDArray[np.int64], owner: NDArray[np.int64], held: dict[str, str]
) -> tuple[Points, NDArray[np.int64] | None]:
    """The points of a block in the order of its runs and segments, and where each stood in the database's order."""
    connection.register("block", pd.DataFrame({"segment": segments}))
    listed = "".join(f", {read} AS {name}" for name, read in held.items())
    found = connection.execute(f"SELECT segment, step{listed} FROM points WHERE {_where(segments)}").fetchnumpy()
    connection.unregister("block")
    low = int(segments.min())
    at = np.asarray(found["segment"], np.int64) - low
    if segments.size > 1 and not (np.diff(segments) == 1).all():  # else they stand in their order already
        place = np.zeros(int(segments.max()) - low + 1, np.int64)
        place[segments - low] = np.arange(segments.size)
        at = place[at]
    order = None
    if at.size and (at[1:] < at[:-1]).any():
        order = np.argsort(at, kind="stable")
        at = at[order]
        found = {name: np.asarray(values)[order] for name, values in found.items()}
    nothing = np.full(at.size, np.nan)
    columns: dict[str, Array] = {name: np.asarray(found[name], float) if name in held else nothing for name in _COLUMNS}
    alone = owner.size == 0 or owner[-1] == owner.size - 1  # a segment a run
    return Points(at if alone else owner[at], np.asarray(found["step"], np.int64), **columns), order


def _write_marks(
    connection: duckdb.DuckDBPyConnection, segments: NDArray[np.int64], order: NDArray[np.int64] | None, marks: Marks
) -> None:
    """The reasons of a block's points into the database, where they are not what stands there."""
    connection.register("block", pd.DataFrame({"segment": segments}))
    where = _where(segments)
    if not marks.any():
        if value_of(connection, f"SELECT count(*) FROM points WHERE {where} AND reason IS NOT NULL"):
            connection.execute(f"UPDATE points SET reason = NULL WHERE {where} AND reason IS NOT NULL")
        connection.unregister("block")
        return
    rows = np.asarray(connection.execute(f"SELECT rowid AS id FROM points WHERE {where}").fetchnumpy()["id"], np.int64)
    rows = rows if order is None else rows[order]
    connection.execute(f"UPDATE points SET reason = NULL WHERE {where} AND reason IS NOT NULL")
    marked = np.flatnonzero(marks)
    reasons = np.array(REASONS, dtype=object)[marks[marked]]
    connection.register("marked", pd.DataFrame({"id": rows[marked], "reason": reasons}))
    connection.execute("UPDATE points SET reason = m.reason FROM marked AS m WHERE points.rowid = m.id")
    connection.unregister("marked")
    connection.unregister("block")


def _finals(
    block: list[tuple[str, list[Piece]]], points: Points, marks: Marks, declared: Array, window: int | None
) -> pd.DataFrame:
    starts = bounds_of(points.run, len(block))
    plain = np.array([all(_plain_loss(piece) for piece in pieces) for _, pieces in block], bool)
    evaluated = last_of(
        points, marks, starts, points.loss, np.where(plain, 0, 1) if window is None else np.full(plain.size, window)
    )
    trained = last_of(points, marks, starts, points.train_loss, np.full(plain.size, window or 0))
    step, tokens = ends_of(points, marks, starts)
    used = np.flatnonzero(seen(marks) & np.isfinite(points.lr) & (points.lr >= 0))
    holes = np.isnan(points.tokens)
    at = np.where(holes, points.step, points.tokens) if holes.any() else points.tokens
    schedules = schedules_of(points.lr, used, starts, at)
    warm, stable = schedules.warm, schedules.stable
    there = warm >= 0
    some = points.step.size > 0
    return pd.DataFrame({
        "run": [run for run, _ in block], "step": step, "tokens": tokens,
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
