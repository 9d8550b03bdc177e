"""Ten thousand cost evaluations, as a plan makes them: every run another amount of data and another batch.

    python tests/benchmarks/evaluations.py

Seven sizes of DeepSeek-V3's family on 32 to 2,048 H800, each evaluation the fastest of all layouts that fit; from a cold start.
"""

from __future__ import annotations

import time

import numpy as np

from planner.costs.accelerators import find_accelerator
from planner.costs.cost import step_law_batch
from planner.costs.search import Cluster, step_seconds
from planner.errors import InputError
from planner.models.catalog import find_model
from planner.models.shape import shape_for

EVALUATIONS, COUNTS, CONTEXT = 10_000, (32, 64, 128, 256, 512, 1024, 2048), 4096


def main() -> None:
    """Print seconds and what they bought."""
    chip, rng = find_accelerator("h800"), np.random.default_rng(0)
    sizes = [shape_for(find_model("deepseek-v3"), params) for params in np.geomspace(1e9, 7e9, 7)]
    tokens = np.exp(rng.uniform(np.log(2e10), np.log(1e12), EVALUATIONS))
    groups = rng.integers(0, len(sizes) * len(COUNTS), EVALUATIONS)
    done, none, start = 0, 0, time.perf_counter()
    for group in range(len(sizes) * len(COUNTS)):
        mine = tokens[groups == group]
        size, count = sizes[group // len(COUNTS)], COUNTS[group % len(COUNTS)]
        try:
            batches = np.array([step_law_batch(each) for each in mine])
            seconds, _ = step_seconds(size, Cluster(chip, count), batches, CONTEXT)
            assert np.isfinite(seconds).all()
            done += len(seconds)
        except InputError:  # 7B active parameters do not fit 8 chips
            none += len(mine)
    print(f"{done} runs priced, {none} do not fit: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
