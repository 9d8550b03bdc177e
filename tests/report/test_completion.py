"""The forecast at completion: certain when all is done, and right about as often as it says."""

from __future__ import annotations

import numpy as np
import pandas as pd

from planner.report.completion import completion_of


def world(seed: int, n: int = 300, done: int = 150) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """A plan of n runs; what they all take in the end; what is known when `done` have ended."""
    draw = np.random.default_rng(seed)
    plan = pd.DataFrame({"run_id": [f"r{i}" for i in range(n)], "study": "scaling", "variant": "baseline",
                         "gpu_hours": draw.lognormal(3, 1, n), "chance": 1.0})  # fmt: skip
    factor = 1.2 * draw.lognormal(0, 0.2, n) * np.where(draw.random(n) < 0.05, 0.4, 1.0)
    all_of_it = plan[["run_id"]].assign(gpu_hours=plan["gpu_hours"] * factor, status="completed")
    known = all_of_it.copy()
    known.loc[known.index >= done, ["gpu_hours", "status"]] = [0.0, "planned"]
    return plan, all_of_it, known


def test_nothing_is_uncertain_when_all_runs_are_done():
    plan, actual, _ = world(0)
    done = completion_of(plan, actual, 1e4, 50.0)
    assert done.gpu_hours.p10 == done.gpu_hours.p50 == done.gpu_hours.p90 == done.total.actual_gpu_hours + 50
    assert done.total.runs_open == 0


def test_the_middle_eighty_per_cent_holds_about_that_often():
    inside, above = 0, 0
    for seed in range(200):
        plan, actual, known = world(seed)
        told, truth = completion_of(plan, known, 1e4, 0.0).gpu_hours, actual["gpu_hours"].sum()
        inside += told.p10 <= truth <= told.p90
        above += truth > told.p50
    assert 0.70 <= inside / 200 <= 0.90
    assert 0.35 <= above / 200 <= 0.65


def test_without_ended_runs_the_plan_is_trusted_as_far_as_published_runs_allow():
    plan, _, known = world(0, done=0)
    told = completion_of(plan, known, 1e4, 0.0)
    assert told.factor == 1
    assert told.gpu_hours.p90 / told.gpu_hours.p50 > 1.3


def test_gated_runs_count_with_their_chance():
    plan, _, known = world(0, n=40, done=0)
    plan["chance"] = 0.5
    assert completion_of(plan, known, 1e4, 0.0).total.open_gpu_hours * 2 - plan["gpu_hours"].sum() < 1e-3
