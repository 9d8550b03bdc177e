"""Who computes: a pure function mapped over chunks of work, here, on this machine's processes, or on a Dask cluster.

A chunk carries its own seed and is cut without a look at who will compute it, so every engine gives the same numbers.
"""

from __future__ import annotations

from planner.engines.engine import Engine, Told, carrying, here, untold
from planner.engines.opened import opened
from planner.engines.processes import processes

__all__ = ["Engine", "Told", "carrying", "here", "opened", "processes", "untold"]
