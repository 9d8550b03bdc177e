"""How long a plan takes from file to parquet, whole process, and its memory: 10,000 runs <= 3 s and 600 MiB, 100,000 <= 30 s.

OMP_NUM_THREADS=1 python tests/benchmarks/plans.py
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SWEEP = """
schema = 1
name = "many"
question = "How long does a plan take?"
[final]
model = "llama-3-70b"
tokens = "15T"
accelerator = "h100"
count = 4096
[exploration]
budget = "{budget} GPU-hours"
params_active = ["0.3B", "3B"]
tokens = ["20 per param", "200B"]
count = 512
[[study]]
kind = "scaling"
share = 0.4
design = "{design}"
[[study]]
kind = "hyperparameters"
share = 0.3
[[study]]
kind = "replicates"
share = 0.1
[[study]]
kind = "ideas"
share = 0.2
"""
IDEAS = "".join(f'[[idea]]\nname = "idea {number}"\n' for number in range(40))
CASES = (("10,000 runs, optimal design", "optimal", 2.9e6, 3.0, 600), ("10,000 runs, ladder", "ladder", 3.6e6, 3.0, 600),
         ("100,000 runs, ladder", "ladder", 4.0e7, 30.0, None))  # fmt: skip


def measured(folder: Path, design: str, budget: float) -> tuple[float, float, float, int]:
    """Wall and processor seconds, MiB, and the number of runs, of one `planner propose`."""
    sweep = folder / "many.toml"
    sweep.write_text(SWEEP.format(design=design, budget=budget) + IDEAS)
    command = [
        sys.executable,
        "-m",
        "planner",
        "propose",
        str(sweep),
        "--format",
        "parquet",
        "-o",
        str(folder / "plan"),
        "--json",
    ]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    import json

    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, seconds, after.ru_maxrss / 1024, json.loads(done.stdout)["n_runs"]


def main() -> None:
    """Print each case with its target; memory is the largest of the cases so far."""
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, design, budget, target, memory in CASES:
        with tempfile.TemporaryDirectory() as folder:
            best = min(measured(Path(folder), design, budget) for _ in range(3))
        wall, processor, mib, runs = best
        met = "met" if wall <= target and (memory is None or mib <= memory) else "MISSED"
        limit = "" if memory is None else f" of {memory}"
        print(
            f"{name:30} {runs:7,} runs {wall:6.2f} s of {target:g} (processor {processor:.2f} s), {mib:.0f} MiB{limit}: {met}"
        )


if __name__ == "__main__":
    main()
