"""Speed of `planner assess`: 1,000 worlds x 200 runs of one design in 60 s on two cores, and what else it takes.

    OMP_NUM_THREADS=1 python tests/benchmarks/assess.py [worlds]

Each world trains the design's runs, drops what failed, and fits what is left with the default recipe (`estimates`, the batch
form of the `estimate` that `planner run` uses). Beside it: one world at a time, a thousand runs, and every design, kind and
budget of the whole command.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from planner.assess.assessment import assess_plan
from planner.assess.designs import own_runs
from planner.assess.trials import CHUNK, Outcomes, Rates, Runs, Task, play
from planner.assess.truths import Kind
from planner.engines import processes
from planner.fitting.estimate import estimate
from planner.fitting.recipe import default_recipe
from planner.runs.columns import Count
from planner.runs.sample import Sample
from planner.sweep.setting import setting_of
from planner.sweep.spec import read_sweep

SWEEP = read_sweep(Path(__file__).resolve().parents[2] / "sweeps" / "deepseek_v3.toml")
RATES = Rates(0.002, 0.03, 0.01, 0.03)
FINAL = (3.7e10, 1.48e13)


def thinned(runs: Runs, number: int) -> Runs:
    """So many of the runs, evenly from all."""
    at = np.linspace(0, runs.params.size - 1, number).astype(int)
    return Runs(*(column[at] for column in runs[:3]), runs.gpu_hours * number / runs.params.size)


def one_design(runs: Runs, kind: Kind, worlds: int, workers: int) -> tuple[float, np.ndarray]:
    """Seconds, and the errors `(worlds,)`."""
    tasks = [Task(runs, kind, 0, first, min(CHUNK, worlds - first), RATES, FINAL) for first in range(0, worlds, CHUNK)]
    start = time.perf_counter()
    with processes(workers) as engine:
        found: list[Outcomes] = list(engine(play, tasks))
    return time.perf_counter() - start, np.concatenate([part.error for part in found])


def one_by_one(runs: Runs, worlds: int) -> float:
    """Seconds for a fit, each world's alone."""
    rng = np.random.default_rng(0)
    law = 1.8 + 0.36 * (runs.params / 1e9) ** -0.34 + 0.36 * (runs.tokens / 2e10) ** -0.36
    start = time.perf_counter()
    for _ in range(worlds):
        loss = law * np.exp(0.002 * rng.normal(size=law.size))
        estimate(Sample(runs.params, runs.tokens, loss, Count.ACTIVE, "", "", {}, ()), default_recipe())
    return (time.perf_counter() - start) / worlds


def main() -> None:
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    setting = setting_of(SWEEP)
    full = own_runs(setting, SWEEP.file.study[0], SWEEP.file.study[0].share * setting.budget_gpu_hours)
    runs = thinned(full, 200)
    cells = len({*zip(runs.params, runs.tokens, strict=True)})
    print(f"200 runs in {cells} cells of the deepseek_v3 design; {worlds} worlds; targets for two cores")
    for kind in Kind:
        seconds, error = one_design(runs, kind, worlds, 2)
        print(f"{kind:9s} {seconds:6.1f} s (target 60), rms error {np.sqrt(np.nanmean(error**2)):.2%}")
    seconds, _ = one_design(runs, Kind.COUPLED, worlds, 1)
    print(
        f"one process: {seconds:.1f} s, {1000 * seconds / worlds:.1f} ms a world; a fit alone {1000 * one_by_one(runs, 20):.0f} ms"
    )
    seconds, _ = one_design(full, Kind.COUPLED, worlds, 2)
    print(f"{full.params.size:,} runs: {seconds:.1f} s")
    start = time.perf_counter()
    with processes(2) as engine:
        found = assess_plan(SWEEP, worlds=100, engine=engine)
    tried = len(found.designs) + len(found.curve) - len(Kind)
    print(f"whole assessment of 100 worlds ({tried} designs, budgets and kinds): {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
