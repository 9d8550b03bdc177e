"""Which nodes each run stands on, so that a picture can show it: as few pieces as there are gaps for."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from planner.sweep.schedule.jobs import Index
from planner.sweep.schedule.timetable import Timetable


@dataclass(frozen=True)
class Lanes:
    """Pieces of runs: the run's index, its first node and how many nodes from there on, each `(pieces,)`."""

    run: Index
    first: Index
    width: Index


def lanes(table: Timetable) -> Lanes:
    """Nodes for every run: the smallest gap that holds it whole, or gaps from the first node up."""
    gaps = [(0, table.pool.nodes)]  # first node and width, in order
    busy: list[tuple[float, int, list[tuple[int, int]]]] = []
    pieces: list[tuple[int, int, int]] = []
    for run in np.lexsort((-table.jobs.nodes, table.start)).tolist():
        while busy and busy[0][0] <= table.start[run]:
            gaps = _joined(gaps + heappop(busy)[2])
        taken = _taken(gaps, int(table.jobs.nodes[run]))
        gaps = _without(gaps, taken)
        heappush(busy, (float(table.end[run]), run, taken))
        pieces += [(run, first, width) for first, width in taken]
    run, first, width = np.array(pieces, int).T
    return Lanes(run, first, width)


def _taken(gaps: list[tuple[int, int]], nodes: int) -> list[tuple[int, int]]:
    fits = [gap for gap in gaps if gap[1] >= nodes]
    if fits:
        return [(min(fits, key=lambda gap: gap[1])[0], nodes)]
    taken = []
    for first, width in gaps:
        taken.append((first, min(width, nodes)))
        nodes -= min(width, nodes)
        if nodes == 0:
            break
    return taken


def _without(gaps: list[tuple[int, int]], taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    used = dict(taken)
    left = [(first + used.get(first, 0), width - used.get(first, 0)) for first, width in gaps]
    return [gap for gap in left if gap[1]]


def _joined(gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, width in sorted(gaps):
        if joined and sum(joined[-1]) == first:
            joined[-1] = (joined[-1][0], joined[-1][1] + width)
        else:
            joined.append((first, width))
    return joined
