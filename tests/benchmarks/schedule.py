"""What is claimed of `planner schedule`: its speed, its distance from the best possible, its rules side by side, its spread.

    OMP_NUM_THREADS=1 python tests/benchmarks/schedule.py      # the last table needs ../shared/reference/final_runs.csv

The plan is that of sweeps/deepseek_v3.toml; one of 5,000 runs repeats its rows under other ids, a quarter of the scaling runs
as branches of trunks. Rates that are met or not are printed beside their targets.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import final_runs
from truths import REPOSITORY, SHARED

from planner.costs.run_cost import PRODUCTION_SPREAD
from planner.sweep.plan import propose
from planner.sweep.schedule import Packer, Pool, Risk, Rule, Setup, lay_out, planned_runs, schedule, spread_of
from planner.sweep.schedule.risk import COMMON_SHARE
from planner.sweep.spec import read_sweep

COUNT, PER_NODE, RUNS = 2048, 8, 5000
ORDERS = {
    "none": {},
    "ideas, hyperparameters, scaling": {"ideas": 1, "hyperparameters": 2, "scaling": 3},
    "scaling, ideas, hyperparameters": {"scaling": 1, "ideas": 2, "hyperparameters": 3},
}
FAMILIES = ("Llama 3", "Llama 2", "LLaMA-1", "Pythia", "Falcon", "Nemotron")  # the other runs are alone in theirs


def large(plan: pd.DataFrame) -> pd.DataFrame:
    """A plan of 5,000 runs with gates, trunks and three priorities."""
    copies = -(-RUNS // len(plan))
    many = pd.concat([plan.assign(run_id=plan["run_id"] + f"-{copy}") for copy in range(copies)], ignore_index=True)[
        :RUNS
    ]
    scaling = np.flatnonzero(many["study"] == "scaling")
    trunk = np.full(len(many), "", object)
    trunk[scaling[1::4]] = many["run_id"].to_numpy()[scaling[0::4][: scaling[1::4].size]]
    priority = many["study"].map({"ideas": 1, "scaling": 2, "hyperparameters": 3})
    return many.assign(trunk_id=trunk, priority=priority)


def speed(plan: pd.DataFrame) -> None:
    """Whole processes, from file to files."""
    with tempfile.TemporaryDirectory() as folder:
        plan.to_csv(Path(folder) / "plan.csv", index=False)
        base = [sys.executable, "-m", "planner", "schedule", "plan.csv", "--count", str(COUNT), "-o", "out", "--json"]
        for name, more in (
            ("schedule and Monte Carlo", []),
            ("with a deadline and its two ways out", ["--deadline-days", "250"]),
            ("with a picture", ["--plot", "a.svg"]),
        ):
            seconds, processor = [], []
            for _ in range(5):
                began, used = time.perf_counter(), processor_seconds()
                subprocess.run([*base, *more], cwd=folder, check=True, capture_output=True)
                seconds.append(time.perf_counter() - began)
                processor.append(processor_seconds() - used)
            told = f"{len(plan):,} runs, {name}: median {np.median(seconds):.2f} s, least {min(seconds):.2f} s"
            print(
                f"{told} (<= 5 s): {'met' if np.median(seconds) <= 5 else 'MISSED'}; processor {min(processor):.2f} s"
            )


def processor_seconds() -> float:
    """Seconds that commands run from here have used so far: what a busy machine does not lengthen much."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def rules(plan: pd.DataFrame) -> None:
    """Days at which answers arrive under each rule and order of studies."""
    rows = []
    for order, places in ORDERS.items():
        runs = planned_runs(plan.assign(priority=plan["study"].map(places).fillna(1)), "plan", chips_per_node=PER_NODE)
        for rule in Rule:
            began = time.perf_counter()
            table = schedule(runs.jobs, Pool(COUNT // PER_NODE), rule=rule)
            row = {"priority": order, "rule": rule.value, "ms": round(1000 * (time.perf_counter() - began), 1)}
            row |= {"days": table.makespan / 24, "gap %": 100 * table.gap, "idle %": 100 * table.idle_share}
            for index, part in enumerate(runs.parts):
                row[f"{part.study} {part.stage}"] = table.end[runs.part == index].max() / 24
            rows.append(row)
    print(pd.DataFrame(rows).round(2).to_string(index=False))


def gaps() -> None:
    """Gap to the lower bound in random plans: runs of 1 to 32 nodes, lognormal hours, three stages in half of them."""
    rows = []
    for n_runs in (20, 100, 1000):
        for rule in Rule:
            found = []
            for seed in range(40):
                rng = np.random.default_rng(seed)
                frame = pd.DataFrame(
                    {
                        "run_id": [f"r{k}" for k in range(n_runs)],
                        "study": rng.choice(["ideas", "scaling"], n_runs),
                        "stage": rng.integers(1, 4, n_runs),
                        "nodes": 2 ** rng.integers(0, 6, n_runs),
                        "gpu_hours": rng.lognormal(5, 1, n_runs),
                    }
                )
                jobs = planned_runs(frame, "random", chips_per_node=1).jobs
                found.append(schedule(jobs, Pool(64), rule=rule).gap)
            middle, high = 100 * np.quantile(found, (0.5, 0.9))
            rows.append({"runs": n_runs, "rule": rule.value, "median gap %": middle, "P90 gap %": high})
    print(pd.DataFrame(rows).round(2).to_string(index=False))


def spread(plan: pd.DataFrame) -> None:
    """Percentiles of the default number of repeats against those of many."""
    runs, risk = planned_runs(plan, "plan", chips_per_node=PER_NODE), Risk()
    outcome = lay_out(runs, Setup(Pool(COUNT // PER_NODE)))
    packer = Packer(outcome.table.jobs, outcome.setup.pool)
    true = spread_of(packer, runs.jobs.hours, runs.part, risk, repeats=1000, seed=1).percentiles()
    mine = outcome.spread.percentiles()
    error = max(abs(getattr(mine, name) / getattr(true, name) - 1) for name in ("p10", "p50", "p90"))
    print(
        f"planned {outcome.table.makespan / 24:.1f} days; P10 {mine.p10 / 24:.1f}, P50 {mine.p50 / 24:.1f}, P90 {mine.p90 / 24:.1f}"
    )
    print(f"largest error of the three against 1,000 repeats {error:.2%}; told {outcome.spread.error:.2%}")


def common_share() -> None:
    """Variance of ln(modelled / published hours) between and within labs, dense runs: one-way analysis of variance."""
    table = final_runs.compared(pd.read_csv(final_runs.ROWS))
    dense = table[table["kind"] == "dense"]
    family = [next((name for name in FAMILIES if run.startswith(name)), run) for run in dense["run"]]
    ratio = np.log(dense["factor"])
    groups = [values.to_numpy() for _, values in ratio.groupby(np.array(family, object))]
    sizes = np.array([values.size for values in groups])
    within = sum(((values - values.mean()) ** 2).sum() for values in groups) / (sizes.sum() - sizes.size)
    between = sum(values.size * (values.mean() - ratio.mean()) ** 2 for values in groups) / (sizes.size - 1)
    lab = max(0.0, (between - within) / ((sizes.sum() - (sizes**2).sum() / sizes.sum()) / (sizes.size - 1)))
    print(
        f"{sizes.sum()} runs of {sizes.size} families: sd between {lab**0.5:.3f}, within {within**0.5:.3f}; common share "
        f"{lab / (lab + within):.2f}, in use {COMMON_SHARE}; sd of all {PRODUCTION_SPREAD}"
    )


def main() -> None:
    """Every table."""
    plan = propose(read_sweep(REPOSITORY / "sweeps/deepseek_v3.toml")).runs
    print("## Speed, whole process\n")
    speed(large(plan))
    print("\n## Rules and priorities, plan of sweeps/deepseek_v3.toml on 2,048 chips\n")
    rules(plan)
    print("\n## Gap to the lower bound in random plans on 64 nodes\n")
    gaps()
    print("\n## Spread of the end\n")
    spread(plan)
    if SHARED.is_dir():
        print("\n## What runs of one lab have in common\n")
        common_share()


if __name__ == "__main__":
    main()
