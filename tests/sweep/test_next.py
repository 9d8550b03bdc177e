"""A sweep in progress, played with the simulated lab: batches, gates, failures, the stop rule."""

import pandas as pd
import pytest

from planner.errors import InputError
from planner.lab.simulated import run_plan
from planner.lab.world import draw_world
from planner.logs.status import STATES
from planner.runs.read import RunTable
from planner.sweep.next_runs import next_runs
from planner.sweep.plan import propose
from planner.sweep.spec import read_sweep

SWEEP = """
schema = 1
name = "small"
question = "What?"
seed = 3
[final]
model = "llama-3-8b"
tokens = "2T"
accelerator = "h100"
count = 512
[exploration]
budget = "2x final"
params_active = ["0.5B", "3B"]
tokens = ["20 per param", "300B"]
count = 64
[lab]
failure_rate = 0.1
[[study]]
kind = "scaling"
share = 0.3
[[study]]
kind = "replicates"
share = 0.05
[[study]]
kind = "ideas"
share = 0.5
""" + "".join(
    f'[[idea]]\nname = "idea {i}"\nexpected_gain = {gain}\n' for i, gain in enumerate((0.8, 0.9, 1.0, 1.2, 1.3))
)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    path = tmp_path_factory.mktemp("next") / "sweep.toml"
    path.write_text(SWEEP)
    return read_sweep(path)


def trained(sweep, runs, *, again=False):
    """What the simulated lab makes of planned runs, as `planner import` would have it; a run tried again does not fail."""
    file = sweep.file
    lab = file.lab.model_copy(update={"failure_rate": 0.0}) if again else file.lab
    ideas = [(idea.name, idea.expected_gain) for idea in file.idea]
    world = draw_world(file.seed, ideas, noise=file.lab.noise, smallest_flops=1e20)
    logged = pd.DataFrame(run_plan(runs, world, lab))
    return runs.assign(
        status=logged["state"].map(STATES).astype(str).to_numpy(), loss=logged["eval/loss"].astype(float).to_numpy(),
        gpu_hours=logged["gpu_hours"].to_numpy(), loss_name="sim", is_final="true",
    )  # fmt: skip


def table(frame):
    return RunTable(frame.reset_index(drop=True).assign(line=range(2, len(frame) + 2)), "runs.csv", "", {})


@pytest.fixture(scope="module")
def played(sweep):
    """Rounds of next and training until it says stop; every answer on the way."""
    start = propose(sweep).runs
    frame = trained(sweep, start[start["study"] == "replicates"].iloc[:1])
    answers = []
    for _ in range(14):
        found = next_runs(sweep, table(frame))
        answers.append((frame, found))
        if found.stop:
            break
        again = found.runs["run_id"].isin(frame["run_id"])
        fates = [trained(sweep, part, again=bool(mark)) for mark, part in found.runs.groupby(again)]
        back = pd.concat(fates, ignore_index=True)
        frame = pd.concat([frame[~frame["run_id"].isin(back["run_id"])], back], ignore_index=True)
    return answers


def test_it_comes_to_a_stop_and_says_why(played):
    _, last = played[-1]
    assert last.stop
    assert last.runs.empty
    assert "scaling: " in last.reason
    assert "ideas: complete" in last.reason


def test_it_starts_with_no_observations_and_a_small_batch(sweep, played):
    _, first = played[0]
    scaling = first.runs[first.runs["study"] == "scaling"]
    assert first.worth is None
    assert first.noise is None
    assert len(scaling) >= 12
    assert scaling["gpu_hours"].sum() <= 0.2 * 0.3 * propose(sweep).setting.budget_gpu_hours


def test_no_scaling_run_is_planned_twice_and_the_budget_is_kept(sweep, played):
    seen: set[str] = set()
    for _, found in played:
        mine = set(found.runs.loc[found.runs["study"] == "scaling", "run_id"])
        assert not mine & seen
        seen |= mine
    frame, _ = played[-1]
    spent = frame.loc[frame["study"] == "scaling", "gpu_hours"].sum()
    assert spent <= 0.3 * propose(sweep).setting.budget_gpu_hours * 1.05  # measured hours scatter by 3 %


def test_bad_ideas_stop_at_gates_and_good_ones_go_on(played):
    _, last = played[-1]
    closed = {one.variant for one in last.closed}
    assert "idea 0" in closed
    assert "idea 4" not in closed
    for _, found in played:
        gone = {one.variant: one.stage for one in found.closed}
        ideas = found.runs[found.runs["kind"] == "ideas"]
        assert (ideas["stage"] > ideas["variant"].map(gone).fillna(99)).sum() == 0


def test_failed_runs_of_a_fixed_study_are_planned_again_and_diverged_ones_are_not(sweep):
    start = propose(sweep).runs
    frame = trained(sweep, start[start["study"] == "replicates"])
    frame["status"] = ["failed", "diverged", *["completed"] * (len(frame) - 2)]
    found = next_runs(sweep, table(frame))
    again = found.runs[found.runs["study"] == "replicates"]
    assert set(again["run_id"]) == {frame["run_id"].iloc[0]}
    assert found.diverged == (frame["run_id"].iloc[1],)


def test_it_waits_for_runs_that_are_still_out(sweep, played):
    frame = played[1][0].copy()
    frame.loc[frame["study"] == "scaling", "status"] = "running"
    found = next_runs(sweep, table(frame))
    assert "still out" in found.reason
    assert not found.stop


def test_all_plans_the_rest_of_the_budget_without_the_stop_rule(sweep, played):
    frame, _ = played[1]
    found = next_runs(sweep, table(frame), everything=True)
    left = 0.3 * propose(sweep).setting.budget_gpu_hours - found.spent["scaling"]
    planned = found.runs.loc[found.runs["study"] == "scaling", "gpu_hours"].sum()
    assert 0.9 * left <= planned <= left * 1.005


def test_a_table_of_something_else_is_refused(sweep, played):
    frame, _ = played[1]
    with pytest.raises(InputError, match="no run of small's studies"):
        next_runs(sweep, table(frame.assign(study="other")))
    with pytest.raises(InputError, match="no column 'status'"):
        next_runs(sweep, table(frame.drop(columns="status")))
