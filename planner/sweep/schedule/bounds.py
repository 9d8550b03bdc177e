"""A makespan below which no schedule can go, whatever its rule."""

from __future__ import annotations

import numpy as np

from planner.laws.centre import Array
from planner.sweep.schedule.jobs import Jobs, Pool


def lower_bound(jobs: Jobs, pool: Pool) -> float:
    """Hours that any schedule of the runs takes at least: the largest of three kinds of bounds.

    - the longest chain of runs that wait for each other;
    - area: node-hours over nodes, and run-hours over the runs allowed at once;
    - width: at most `floor(nodes / w)` runs of `w` nodes or more go on together, so their hours over that number.

    Area and width are also taken over the runs that cannot start before an hour `t` alone, which add `t` (Carlier's
    one-machine bound, doi 10.1016/S0377-2217(82)80007-6), and, seen from the other end, over those with a chain after them.
    """
    best = float(jobs.remaining.max())
    for edge in (jobs.earliest, jobs.remaining - jobs.hours):
        best = max(best, _beyond(edge, jobs.hours * jobs.nodes, pool.nodes))
        if pool.runs_at_once:
            best = max(best, _beyond(edge, jobs.hours, pool.runs_at_once))
        for width in np.unique(jobs.nodes):
            wide = jobs.nodes >= width
            best = max(best, _beyond(edge[wide], jobs.hours[wide], pool.nodes // int(width)))
    return best


def _beyond(edge: Array, load: Array, share: int) -> float:
    """The largest of `t` + the load, over `share`, of all with an edge of `t` or more."""
    order = np.argsort(-edge, kind="stable")
    return float((edge[order] + np.cumsum(load[order]) / share).max())
