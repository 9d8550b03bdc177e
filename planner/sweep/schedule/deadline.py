"""What can be done by a deadline: the runs that end in time, and the nodes with which all would."""

from __future__ import annotations

import numpy as np

from planner.sweep.schedule.jobs import Index, Jobs, Pool
from planner.sweep.schedule.packing import Packer, Rule


def within_deadline(jobs: Jobs, pool: Pool, hours: float, *, rule: Rule = Rule.RESERVE) -> Index:
    """The runs, by the order of the list, that end within `hours`: indices `(k,)`.

    The list is packed without starting any run that would end too late, so that its nodes go to the next that will not.
    Nothing behind a gate that stays shut is among them.
    """
    return np.flatnonzero(np.isfinite(Packer(jobs, pool, rule).starts(until=hours)))


def nodes_within(jobs: Jobs, pool: Pool, hours: float, *, rule: Rule = Rule.RESERVE) -> int | None:
    """Nodes with which everything ends within `hours`; None where no number of nodes is enough.

    Found by halving. More nodes do not always end sooner (Graham 1969, doi 10.1137/0117039), so fewer may do as well; those
    given were tried.
    """

    def enough(nodes: int) -> bool:
        start = Packer(jobs, Pool(nodes, pool.runs_at_once), rule).starts()
        return bool((start + jobs.hours).max() <= hours)

    if jobs.remaining.max() > hours:
        return None
    low = max(int(jobs.nodes.max()), int(jobs.hours @ jobs.nodes / hours)) - 1  # fewer nodes than this never do
    high, most = low + 1, int(jobs.nodes.sum())
    while not enough(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > max(1, high // 256):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
