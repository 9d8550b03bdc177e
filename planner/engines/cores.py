"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath


def cores() -> int:
    """Cores that this process may use: those it is bound to (taskset, Slurm, cpusets), no more than its quota of CPU time pays for.

    A part of a core counts as one, as Java and Go have it.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    bound = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(quota(), bound)))


def quota(root: Path = Path("/")) -> float:
    """Cores' worth of CPU time that the control groups of this process allow (containers); infinite without a limit.

    cgroups(7): the process is in the groups of /proc/self/cgroup, and each of their parents limits it too. In a container the
    path may be the host's, which is not there: then the root that is mounted holds the container's own limit.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return math.inf
    allowed = [math.inf]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounted = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        group = PurePosixPath(path.lstrip("/"))
        allowed += [_limit(mounted / part) for part in (group, *group.parents)]
    return min(allowed)


def _limit(group: Path) -> float:
    """One group's limit: cpu.max of version 2, cpu.cfs_quota_us and cpu.cfs_period_us of version 1."""
    try:
        if (group / "cpu.max").is_file():
            most, period = (group / "cpu.max").read_text().split()
        else:
            most, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        cores = int(most) / int(period)  # "max" and -1: no limit
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
    return cores if cores > 0 else math.inf
