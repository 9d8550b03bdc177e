"""`planner next` as a user meets it."""

import pandas as pd
import pytest
from truths import REPOSITORY

SWEEP = REPOSITORY / "sweeps/deepseek_v3.toml"


@pytest.fixture(scope="module")
def part(deepseek, tmp_path_factory):
    """Some runs of the first stage have come back."""
    runs = pd.read_csv(deepseek / "runs.csv")
    some = runs[(runs["stage"] == 1) & (runs["kind"] != "scaling")].groupby("study").sample(frac=0.2, random_state=0)
    path = tmp_path_factory.mktemp("next") / "runs.csv"
    some.to_csv(path, index=False)
    return path


def test_it_plans_what_is_due_as_a_table_that_other_commands_take(planner, part):
    done = planner("next", SWEEP, "--runs", part, "-o", "now", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert set(found) == {
        "run_ids", "n_runs", "gpu_hours", "closed", "stop", "reason", "spent_gpu_hours", "running", "diverged", "worth",
        "noise", "plan",
    }  # fmt: skip
    assert found["stop"] is False
    plan = pd.read_csv(found["plan"])
    assert plan["run_id"].tolist() == found["run_ids"]
    back = pd.read_csv(part)
    over = back[~back["status"].isin(["failed", "preempted"])]
    assert not set(plan["run_id"]) & set(over["run_id"])
    assert planner("schedule", "now/plan.csv", "--count", "2048").code == 0


def test_it_says_why_in_words(planner, part):
    out = planner("next", SWEEP, "--runs", part, "--dry-run").out
    for text in ("scaling: ", "runs, up to 5% of its hours", "hyperparameters: ", "ideas: ", "of stage 1 of 4"):
        assert text in out


def test_a_plan_or_another_sweeps_runs_are_refused(planner, part, tmp_path):
    other = tmp_path / "other.csv"
    pd.read_csv(part).assign(study="elsewhere").to_csv(other, index=False)
    done = planner("next", SWEEP, "--runs", other)
    assert done.code == 2
    assert "no run of deepseek_v3's studies" in done.err
    assert planner("next", SWEEP, "--runs", "nothing.csv").code == 2
