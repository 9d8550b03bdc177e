"""Points of whole runs out of the database, in lots that fit into memory, and their marks back into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner.logs.clean import REASONS, Array, Marks, Points
from planner.logs.database import value_of
from planner.logs.history import HISTORY, add_reason, columns_there
from planner.logs.spans import among
from planner.logs.stitch import Piece

BLOCK = 1_000_000  # points that stand in memory at once
_COLUMNS = ("tokens", "loss", "train_loss", "lr")


@dataclass(frozen=True)
class Block:
    """Runs that are judged together, each with its pieces in the order in which they were trained."""

    runs: list[tuple[str, list[Piece]]]

    @property
    def segments(self) -> NDArray[np.int64]:
        """The numbers of the segments, run after run."""
        return np.array([piece.number for _, pieces in self.runs for piece in pieces], np.int64)

    @property
    def owners(self) -> NDArray[np.int64]:
        """The place among the runs of each segment's run."""
        return np.repeat(np.arange(len(self.runs)), [len(pieces) for _, pieces in self.runs])


def blocks_of(runs: Mapping[str, list[Piece]]) -> Iterator[Block]:
    """Runs in lots of about BLOCK points."""
    lot: list[tuple[str, list[Piece]]] = []
    size = 0
    for run, pieces in runs.items():
        lot.append((run, pieces))
        size += sum(piece.points for piece in pieces)
        if size >= BLOCK:
            yield Block(lot)
            lot, size = [], 0
    if lot:
        yield Block(lot)


@dataclass(frozen=True)
class Layout:
    """How points lie in the database: `reads` is the SQL of each column that holds anything, `places` the first row of each
    segment whose rows lie side by side, and how many there are.
    """

    reads: Mapping[str, str]
    places: Mapping[int, tuple[int, int]]

    def in_a_row(self, segments: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The number of points of each segment, where they lie in the database one segment after the other; else None."""
        found = [self.places.get(int(segment)) for segment in segments]
        places = np.array([place for place in found if place is not None], np.int64).reshape(-1, 2)
        rises = len(places) == len(segments) and bool(
            (np.diff(segments) > 0).all() and (np.diff(places[:, 0]) > 0).all()
        )
        return places[:, 1] if rises else None


def layout_of(connection: duckdb.DuckDBPyConnection, segments: Sequence[int]) -> Layout:
    """How the points of these segments lie."""
    if not segments:
        return Layout({}, {})
    there = [name for name in _COLUMNS if name in columns_there(connection)]
    counts = "".join(f", count({name})" for name in there)
    rows = connection.execute(
        f"SELECT segment, count(*), min(rowid), max(rowid){counts} FROM {HISTORY} "
        f"WHERE segment BETWEEN {min(segments)} AND {max(segments)} GROUP BY segment"
    ).fetchall()
    held = {name: sum(row[4 + at] for row in rows) for at, name in enumerate(there)}
    number = sum(row[1] for row in rows)
    reads = {name: name if held[name] == number else f"coalesce({name}, 'nan'::DOUBLE)" for name in there if held[name]}
    places = {row[0]: (row[2], row[1]) for row in rows if row[3] - row[2] + 1 == row[1]}
    return Layout(reads, places)


@dataclass(frozen=True)
class Read:
    """What the database gave for a block: columns `(n,)` by name in its own order, and the number of points of each segment where
    that is the block's order too.
    """

    block: Block
    columns: Mapping[str, NDArray[Any]]
    counts: NDArray[np.int64] | None


def read_block(connection: duckdb.DuckDBPyConnection, block: Block, layout: Layout) -> Read:
    """The points of a block as they lie in the database."""
    segments = block.segments
    counts = layout.in_a_row(segments)
    connection.register("block", pd.DataFrame({"segment": segments}))
    listed = "".join(f", {read} AS {name}" for name, read in layout.reads.items())
    where = among(np.sort(segments).tolist(), "block")
    found = connection.sql(  # not execute: its arrays grow as chunks arrive, in twice the time
        f"SELECT {'step' if counts is not None else 'segment, step'}{listed} FROM {HISTORY} WHERE {where}"
    ).fetchnumpy()
    connection.unregister("block")
    return Read(block, found, counts)


def points_of(read: Read) -> tuple[Points, NDArray[np.int64] | None]:
    """The points of a block in the order of its runs and segments, and where each stood in the database's order."""
    found, owners = read.columns, read.block.owners
    order = None
    if read.counts is not None:
        run = np.repeat(owners, read.counts)
    else:
        segments = read.block.segments
        at = _places(np.asarray(found["segment"], np.int64), segments)
        if at.size and (at[1:] < at[:-1]).any():
            order = np.argsort(at, kind="stable")
            at = at[order]
            found = {name: np.asarray(values)[order] for name, values in found.items()}
        run = owners[at]
    nothing = np.broadcast_to(np.nan, run.size)
    columns: dict[str, Array] = {
        name: np.asarray(found[name], float) if name in found else nothing for name in _COLUMNS
    }
    return Points(run, np.asarray(found["step"], np.int64), **columns), order


def _places(numbers: NDArray[np.int64], segments: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place among `segments` of each number, which is one of them."""
    low = int(segments.min())
    place = np.zeros(int(segments.max()) - low + 1, np.int64)
    place[segments - low] = np.arange(segments.size)
    return np.asarray(place[numbers - low], np.int64)


def write_marks(
    connection: duckdb.DuckDBPyConnection, block: Block, order: NDArray[np.int64] | None, marks: Marks
) -> None:
    """The reasons of a block's points into the database, where they are not what stands there."""
    there = "reason" in columns_there(connection)
    if not (there or marks.any()):
        return
    segments = np.sort(block.segments)
    connection.register("block", pd.DataFrame({"segment": segments}))
    where = among(segments.tolist(), "block")
    if there and value_of(connection, f"SELECT count(*) FROM {HISTORY} WHERE {where} AND reason IS NOT NULL"):
        connection.execute(f"UPDATE {HISTORY} SET reason = NULL WHERE {where} AND reason IS NOT NULL")
    if marks.any():
        add_reason(connection)
        rows = np.asarray(
            connection.execute(f"SELECT rowid AS id FROM {HISTORY} WHERE {where}").fetchnumpy()["id"], np.int64
        )
        rows = rows if order is None else rows[order]
        marked = np.flatnonzero(marks)
        reasons = np.array(REASONS, dtype=object)[marks[marked]]
        connection.register("marked", pd.DataFrame({"id": rows[marked], "reason": reasons}))
        connection.execute(f"UPDATE {HISTORY} SET reason = m.reason FROM marked AS m WHERE {HISTORY}.rowid = m.id")
        connection.unregister("marked")
    connection.unregister("block")


__all__ = ["Block", "Layout", "Read", "blocks_of", "layout_of", "points_of", "read_block", "write_marks"]
