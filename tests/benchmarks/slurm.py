"""How long `planner launch --on slurm` takes to put 1,000 runs into the queue of a real cluster, as arrays.

    python tests/benchmarks/slurm.py [--runs 1000] [--shapes 5]

Target: at most 20 s for 1,000 runs, start of the command to its end (`--no-wait`): reading the plan, asking the cluster, scripts,
state, sbatch. The cluster (munged, slurmctld and a slurmd) is started for this on loopback; its start is not counted. A job
that fills it keeps the runs queued. The runs are of several shapes and time limits, an array each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab" / "local"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "slurm"))
from cluster import cluster, missing
from tiny_plans import row, write

TARGET = 20.0  # seconds for 1,000 runs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--shapes", type=int, default=5)
    asked = parser.parse_args()
    if why := missing():
        sys.exit(f"no Slurm cluster here: {why}")
    with cluster(nodes=2) as slurm, tempfile.TemporaryDirectory() as folder:
        slurm.call("sbatch", "--exclusive", "--nodes=2", "--wrap=sleep 600", "--output=/dev/null")
        hours = [5.0 * 2**n for n in range(asked.shapes)]
        rows = (row(f"run{n}", gpu_hours=hours[n % asked.shapes]) for n in range(asked.runs))
        plan = write(Path(folder) / "plan.csv", *rows)
        for what in ("first launch", "second launch: all are queued"):
            began, spent = time.perf_counter(), sum(os.times()[2:4])
            done = subprocess.run(
                [sys.executable, "-m", "planner", "launch", plan, "--on", "slurm", "--command", "true", "--no-wait", "--json",
                 "-o", Path(folder) / "out"], capture_output=True, text=True, env={**os.environ, **slurm.environment}, check=False
            )  # fmt: skip
            seconds, cpu = time.perf_counter() - began, sum(os.times()[2:4]) - spent
            assert done.returncode == 0, done.stdout
            arrays = json.loads(done.stdout)["arrays"]
            queued = len(slurm.call("squeue", "-h", "-r", "-t", "pending", "-o", "%i").split())
            assert queued == asked.runs, queued
            print(
                f"{what}: {queued:,} runs in the queue as {len(arrays)} arrays: {seconds:.1f} s, {cpu:.1f} s of them on a core "
                f"(target for 1,000: {TARGET:g} s)"
            )


if __name__ == "__main__":
    main()
