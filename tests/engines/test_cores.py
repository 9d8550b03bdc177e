"""How many cores there are to use: bound by affinity and by the quota of CPU time, in control groups of both versions."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest

from planner.engines.cores import cores, quota

V1 = "4:cpu,cpuacct:/job/step\n3:cpuset:/\n"


@pytest.mark.parametrize(
    ("groups", "files", "allowed"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "max 100000\n"}, 2.0),
        ("0::/of/the/host\n", {"cpu.max": "300000 100000\n"}, 3.0),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/\n", {"cpu.max": "nonsense\n"}, math.inf),
        (V1, {"cpu/job/cpu.cfs_quota_us": "50000", "cpu/job/cpu.cfs_period_us": "100000"}, 0.5),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "0"}, math.inf),
        ("not a line of cgroups\n", {}, math.inf),
    ],
)
def test_the_least_quota_on_the_way_up_counts(tmp_path, groups, files, allowed):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        (tmp_path / "sys/fs/cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys/fs/cgroup" / name).write_text(text)
    assert quota(tmp_path) == allowed


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert quota(tmp_path) == math.inf


@pytest.mark.parametrize(("allowed", "number"), [(0.5, 1), (1.5, 2), (math.inf, 8), (64.0, 8)])
def test_a_quota_bounds_the_cores_and_a_part_counts_as_one(monkeypatch, allowed, number):
    monkeypatch.setattr("planner.engines.cores.quota", lambda: allowed)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert cores() == number


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_a_process_bound_to_one_core_counts_one():
    code = (
        "import os\nfrom planner.engines.cores import cores\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nprint(cores())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
