"""What `planner launch` costs beside training: 1,000 runs that train nothing, start to end, as a command.

    python tests/benchmarks/launch.py [--runs 1000] [--jobs N]

Target: at most 60 s for 1,000 runs. The workers are real processes; only the training is left out. It includes reading the
plan, the state of every run, the locks, one outcome per run brought to disk, and the start of the workers. PyTorch's own
import, once per worker, comes on top and is printed where it is installed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab" / "local"))
from tiny_plans import row, write

from planner.engines.cores import cores
from planner.lab.launch import Settings, launch, ordered
from planner.lab.local.places import Places
from planner.runs.read import read_runs

WORKER = Path(__file__).resolve().parent.parent / "lab" / "local" / "noop_worker.py"
TARGET = 60.0  # seconds for 1,000 runs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=cores())
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plan = write(Path(folder) / "plan.csv", *(row(f"run{n}") for n in range(asked.runs)))
        for what in ("first launch", "second launch: nothing left"):
            began = time.perf_counter()
            rows = read_runs(plan).frame.drop(columns="line").to_dict("records")
            places = Places(Path(folder) / "out")
            order = ordered(rows, places)
            done = launch(order, rows, places, Settings(asked.jobs, command=(sys.executable, str(WORKER))))
            seconds = time.perf_counter() - began
            assert len(done.outcomes) + len(done.skipped) == asked.runs
            print(
                f"{what}: {asked.runs:,} runs with {asked.jobs} workers: {seconds:.1f} s (target for 1,000: {TARGET:g} s)"
            )
    began = time.perf_counter()
    found = subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode == 0
    print(f"import torch, once per worker: {time.perf_counter() - began:.1f} s" if found else "torch is not installed")


if __name__ == "__main__":
    main()
