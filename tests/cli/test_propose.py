"""`planner propose` and the sweeps of this repository as a user meets them."""

import pandas as pd
import pytest
from truths import REPOSITORY

SWEEPS = [path for path in sorted((REPOSITORY / "sweeps").glob("*.toml")) if 'kind = "local"' not in path.read_text()]
SMALL = REPOSITORY / "sweeps/chinchilla_70b.toml"


@pytest.mark.parametrize("path", [path for path in SWEEPS if path.stem != "deepseek_v3"], ids=lambda path: path.stem)
def test_every_worked_question_goes_from_file_to_report(planner, path):
    done = planner("run", path, "-o", "out", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert found["prediction"]["loss"] > 1
    runs, plan = pd.read_csv("out/runs.csv"), pd.read_csv("out/plan.csv")
    assert set(runs["run_id"]) == set(plan["run_id"])
    done = runs[runs["status"] == "completed"]
    trained = done["tokens"] - done["resumed_tokens"]
    assert (done["flops"] / (6 * done["params_active"] * trained) - 1).abs().max() < 1e-9
    budget = float((plan["gpu_hours"] * plan["chance"]).sum())
    assert runs["gpu_hours"].sum() <= 1.15 * budget  # ideas may do better than expected; the study's budget still holds


def test_the_four_questions_are_what_their_issue_asks_for():
    assert {path.stem for path in SWEEPS} >= {"deepseek_v3", "chinchilla_70b", "ideas_40", "seven_b_on_64_gpus"}
    assert (REPOSITORY / "sweeps/ideas_40.toml").read_text().count("[[idea]]") == 40


def test_a_picture_is_drawn_and_shows_every_study_and_the_final_run(planner):
    done = planner("propose", REPOSITORY / "sweeps/seven_b_on_64_gpus.toml", "--dry-run", "--plot", "plan.svg")
    assert done.code == 0, done.err
    from pathlib import Path

    svg = Path("plan.svg").read_text()
    for text in ("scaling", "hyperparameters", "mixture", "replicates", "ideas", "final run: llama-2-7b"):
        assert text in svg
    assert list(Path().iterdir()) == [Path("plan.svg")]


def test_two_plans_side_by_side_say_which_is_expected_to_know_more(planner, tmp_path):
    other = tmp_path / "ladder.toml"
    text = SMALL.read_text().replace('name = "chinchilla_70b"', 'name = "by_habit"')
    other.write_text(text.replace('design = "optimal" ', 'design = "ladder" '))
    done = planner("propose", SMALL, "--against", other)
    assert done.code == 0, done.err
    for text in ("chinchilla_70b", "by_habit", "GPU-hours", "expected sd of final loss"):
        assert text in done.out
    assert "chinchilla_70b is expected to know the final run's loss better" in done.out
    plans = planner("propose", SMALL, "--against", other, "--json").json["plans"]
    assert [one["name"] for one in plans] == ["chinchilla_70b", "by_habit"]
    assert plans[0]["expected_sd"] < plans[1]["expected_sd"]
    assert not list(tmp_path.glob("results*"))


def test_the_certificate_and_what_money_buys_are_said(planner):
    out = planner("propose", SMALL, "--dry-run").out
    assert "of what fractions of runs could reach" in out
    assert "what money buys: sd" in out
    assert "lie beyond its calibrated range" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--plot", "plan.gif"), "a picture's name ends in .svg or .png"),
        (("--against", "nowhere.toml"), "nowhere.toml: no such file"),
        (("--against", SMALL, "--plot", "a.svg"), "--plot draws one plan"),
        (("--format", "xlsx"), "--format 'xlsx' is unknown"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_written(planner, tmp_path, arguments, says):
    done = planner("propose", SMALL, *arguments)
    assert done.code == 2
    assert says in done.err
    assert "try: " in done.err
    assert not list(tmp_path.iterdir())
