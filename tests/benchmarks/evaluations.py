"""Ten thousand cost evaluations, as a plan makes them: every run another amount of data and another batch.

    python tests/benchmarks/evaluations.py

Seven sizes of DeepSeek-V3's family; each run is tried on more and more nodes until it fits and ends within a week, over every
layout each time. From a cold start, nothing asked for twice.
"""

from __future__ import annotations

import time

import numpy as np

from planner.costs.accelerators import find_accelerator
from planner.costs.cost import step_law_batch
from planner.costs.planned import TYPICAL, Offer, planned_hours
from planner.models.catalog import find_model
from planner.models.shape import shape_for

EVALUATIONS, CONTEXT = 10_000, 4096


def main() -> None:
    """Print the seconds."""
    offer, rng = Offer(find_accelerator("h800"), 2048, 7.0), np.random.default_rng(0)
    sizes = [shape_for(find_model("deepseek-v3"), params) for params in np.geomspace(1e9, 7e9, 7)]
    tokens = np.exp(rng.uniform(np.log(2e10), np.log(1e12), EVALUATIONS))
    start, hours = time.perf_counter(), 0.0
    for run, amount in enumerate(map(float, tokens)):
        size = sizes[run % len(sizes)]
        hours += planned_hours(size, amount, offer, step_law_batch(amount), CONTEXT, TYPICAL)[1]
    print(f"{EVALUATIONS} runs of {hours:,.0f} GPU-hours priced: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
