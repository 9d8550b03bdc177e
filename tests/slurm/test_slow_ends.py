"""Ends that take minutes on a real cluster: time limits, and tasks that Slurm has forgotten. PLANNER_SLOW=1 runs them."""

from __future__ import annotations

import os
import time

import accounting
import cluster as real
import pytest
from pretending import launch_pretending
from tiny_plans import row, write

from planner.lab.local.places import Places

pytestmark = pytest.mark.skipif(
    os.environ.get("PLANNER_SLOW") is None, reason="Slurm's shortest time limit is a minute: PLANNER_SLOW=1"
)


def test_a_time_limit_ends_a_run_that_gets_no_further_and_not_one_that_does(slurm, tmp_path):
    """Three minutes: one run is cut off twice without a checkpoint, the other twice with one, and completes."""
    plan, places = write(tmp_path / "plan.csv", row("long1"), row("steady1")), Places(tmp_path / "out")
    done = launch_pretending(plan, places, options=("--time=1",), attempts=2)
    assert done.failed == {"long1": "failed: failed 2 times: reached its time limit without a new checkpoint"}
    assert done.outcomes["steady1"].loss == 1.0 and places.saved_steps("steady1") == 20


@pytest.mark.skipif(bool(accounting.missing(os.environ["PATH"] + ":/usr/sbin")), reason="no slurmdbd, no MariaDB")
@pytest.mark.parametrize("accounted", [True, False])
def test_an_end_that_the_queue_has_forgotten_is_told_by_accounting(tmp_path, monkeypatch, accounted):
    """Two minutes: both tasks end while the launcher is away, one by its time limit, one by a person's hand; a third goes on."""
    plan, places = write(tmp_path / "plan.csv", *(row(f"long{n}") for n in range(3))), Places(tmp_path / "out")
    with real.cluster(age=2, accounted=accounted) as slurm:
        for name, value in slurm.environment.items():
            monkeypatch.setenv(name, value)
        launch_pretending(plan, places, wait=False, attempts=1)
        job = slurm.call("squeue", "-h", "-o", "%F").split()[0]
        while slurm.call("squeue", "-h", "-t", "RUNNING", "-r", "-o", "%K").split() != ["0", "1", "2"]:
            time.sleep(0.2)
        slurm.call("scontrol", "update", f"JobId={job}_0", "TimeLimit=1")
        slurm.call("scancel", f"{job}_1")
        while slurm.call("squeue", "-h", "-r", "-t", "all", "-o", "%K").split() != ["2"]:
            time.sleep(1)
        left = launch_pretending(plan, places, wait=False, attempts=1)
        told = {
            "long0": "failed: reached its time limit without a new checkpoint",
            "long1": "failed: cancelled in the queue",
        }
        assert left.failed == (told if accounted else {})
        assert left.left == (1 if accounted else 3), "without accounting both are submitted again"
