"""An engine by the name that a user gives it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from planner.engines.cores import cores
from planner.engines.engine import Engine, Told, untold
from planner.engines.processes import MOST, processes
from planner.errors import InputError

_PROCESSES = re.compile(r"processes(?::([1-9][0-9]{0,3}))?")
_DASK = re.compile(r"dask://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?):([1-9][0-9]{0,4})")


@contextmanager
def opened(name: str, told: Told = untold) -> Iterator[Engine]:
    """`processes` (as many as cores), `processes:4`, or `dask://host:port`; `told` hears of lost and missing workers.

    Raises InputError for any other name, and for Dask where it is not installed; WorldError when no scheduler answers, when
    its versions are not ours, and later when it is lost.
    """
    local, remote = _PROCESSES.fullmatch(name), _DASK.fullmatch(name)
    if local and int(local[1] or 1) <= MOST:
        with processes(int(local[1]) if local[1] else cores(), told) as engine:
            yield engine
    elif remote and int(remote[2]) < 65536:
        from planner.engines.cluster import cluster

        with cluster(remote[1], int(remote[2]), told) as engine:
            yield engine
    else:
        raise InputError(
            f"--engine {name!r} is none that there is",
            "processes, processes:4, or dask://host:8786 of a Dask scheduler",
        )
