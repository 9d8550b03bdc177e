"""The simulated lab: repeatable, hides its truth, spoils some runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from truths import REPOSITORY

from planner.lab.simulated import run_plan
from planner.lab.world import draw_world
from planner.sweep.plan import propose
from planner.sweep.spec import Lab, read_sweep

IDEAS = [("a", None), ("b", 1.1)]


@pytest.fixture(scope="module")
def plan() -> pd.DataFrame:
    return propose(read_sweep(REPOSITORY / "sweeps/deepseek_v3.toml")).runs


def world(seed=0, noise=0.002):
    names = [(idea.name, idea.expected_gain) for idea in read_sweep(REPOSITORY / "sweeps/deepseek_v3.toml").file.idea]
    return draw_world(seed, names, noise=noise, smallest_flops=1.2e20)


def logged(plan, lab=None, seed=0, noise=0.002) -> pd.DataFrame:
    return pd.DataFrame(run_plan(plan, world(seed, noise), lab or Lab()))


def test_the_same_seed_gives_the_same_logs_and_another_other_ones(plan):
    pd.testing.assert_frame_equal(logged(plan), logged(plan))
    assert (logged(plan)["eval/loss"] != logged(plan, seed=1)["eval/loss"]).any()


def test_a_runs_loss_does_not_depend_on_the_other_runs(plan):
    half = plan.iloc[::2]
    assert logged(half)["eval/loss"].tolist() == pytest.approx(
        logged(plan)["eval/loss"].iloc[::2].tolist(), nan_ok=True
    )


def test_the_log_holds_nothing_of_the_truth(plan):
    assert set(logged(plan)) == {
        "run_id",
        "state",
        "eval/loss",
        "eval_set",
        "n_tokens_seen",
        "learning_rate",
        "gpu_hours",
    }


def test_failures_and_divergences_come_at_about_their_rates_and_leave_no_loss(plan):
    done = logged(plan, Lab(failure_rate=0.1, divergence_rate=0.05, mistuned_rate=0))
    share = done["state"].value_counts(normalize=True)
    assert share["failed"] == pytest.approx(0.095, abs=0.02)
    assert share["diverged"] == pytest.approx(0.05, abs=0.015)
    assert done.loc[done["state"] != "completed", "eval/loss"].isna().all()
    assert done.loc[done["state"] == "completed", "eval/loss"].notna().all()


def test_a_run_that_stops_early_is_charged_for_what_it_ran(plan):
    done = logged(plan, Lab(failure_rate=0.2, divergence_rate=0.1))
    share = done["gpu_hours"].to_numpy() / plan["gpu_hours"].to_numpy()
    seen = done["n_tokens_seen"].to_numpy() / plan["tokens"].to_numpy()
    np.testing.assert_allclose(share, seen, rtol=0.2, atol=1e-6)
    stopped = (done["state"] != "completed").to_numpy()
    assert seen[stopped].max() < 1
    assert seen[~stopped].min() == 1


def test_without_noise_a_run_off_the_best_rate_is_worse(plan):
    hidden = world(noise=0)
    best = hidden.best_setting(1e9, 2e10)
    assert hidden.tuning_excess(*best, best) == pytest.approx(0)
    assert hidden.tuning_excess(best[0] * 2, best[1], best) > 0
    assert hidden.tuning_excess(best[0], best[1] / 2, best) > 0


def test_pairs_share_noise():
    hidden = world()
    rng_pairs = [("ideas", 1e9, 2e10, seed) for seed in range(400)]
    left = np.array([hidden.seed_noise(f"a{i}", 1e9, pair) for i, pair in enumerate(rng_pairs)])
    right = np.array([hidden.seed_noise(f"b{i}", 1e9, pair) for i, pair in enumerate(rng_pairs)])
    assert np.corrcoef(left, right)[0, 1] == pytest.approx(0.5, abs=0.12)
    assert left.std() == pytest.approx(0.002, rel=0.12)


def test_an_idea_is_worth_its_gain_in_compute():
    hidden = draw_world(0, IDEAS, noise=0, smallest_flops=1.2e20)
    gain = np.exp(hidden.log_gain("b", 6 * 1e9 * 2e10))
    assert hidden.mean_loss("b", 1e9, 2e10) == pytest.approx(float(hidden.law(1e9 * gain**0.5, 2e10 * gain**0.5)))


def test_a_worlds_optimum_lies_where_labs_find_it():
    # Llama 3 (arXiv 2407.21783): about 40 tokens per parameter at 3.8e25; DeepSeek and Chinchilla 20 or more at 1e21.
    ratios = [
        (best := draw_world(seed, [], noise=0, smallest_flops=1e20).law.optimum(1e21)).tokens / best.params
        for seed in range(100)
    ]
    assert 10 < np.median(ratios) < 50
