"""`planner choose` as a user meets it: from a pool to runs, and one clear line for what cannot be."""

import json

import numpy as np
import pandas as pd
import pytest

from planner.laws import Coupled

LAW = Coupled(1.7, 300.0, 900.0, 0.32, 0.33, 0.6)
KEYS = {"run_ids", "expected_sd", "cost", "certificate", "sd_before", "planned_sd", "spent_fraction", "unit", "law", "belief",
        "n_candidates", "n_set_aside", "runs"}  # fmt: skip


@pytest.fixture
def tables(tmp_path):
    """pool.csv of 20 candidates, targets.csv of two, seen.csv of seven finished others."""
    params, ratio = (values.ravel() for values in np.meshgrid(np.geomspace(3e7, 1e9, 5), np.geomspace(10, 160, 4)))
    pool = pd.DataFrame({"run_id": [f"c{i}" for i in range(20)], "params": params, "tokens": params * ratio})
    pool["gpu_hours"] = 6 * pool["params"] * pool["tokens"] / 1e18
    seen = pd.DataFrame({"run_id": [f"s{i}" for i in range(7)], "params": np.geomspace(2e7, 2e8, 7),
                         "tokens": np.geomspace(2e7, 2e8, 7) * [20, 90, 10, 60, 30, 150, 12]})  # fmt: skip
    seen["loss"] = LAW(seen["params"], seen["tokens"])
    pool.to_csv(tmp_path / "pool.csv", index=False)
    seen.to_csv(tmp_path / "seen.csv", index=False)
    pd.DataFrame({"params": [3e9, 7e9], "tokens": [6e10, 1.4e11]}).to_csv(tmp_path / "targets.csv", index=False)
    return tmp_path


def test_a_first_batch_without_any_run(planner, tables):
    done = planner("choose", "pool.csv", "--targets", "targets.csv", "--budget", "10%", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert set(found) == KEYS
    pool = pd.read_csv(tables / "pool.csv").set_index("run_id")
    assert found["cost"] == pytest.approx(pool.loc[found["run_ids"], "gpu_hours"].sum())
    assert found["cost"] <= 0.1 * pool["gpu_hours"].sum()
    assert found["unit"] == "gpu_hours"
    assert 0 < found["expected_sd"] < found["sd_before"]
    assert [run["run_id"] for run in found["runs"]] == found["run_ids"]
    assert found["runs"][-1]["sd_after"] == found["expected_sd"]


def test_people_see_what_was_chosen_and_why(planner, tables):
    done = planner("choose", "pool.csv", "--params", "7B", "--tokens", "140B", "--n", "3", "--observed", "seen.csv")
    assert done.code == 0, done.err
    assert "3 of 20 candidates, first things first" in done.out
    assert "from the coupled law fitted to 7 observed runs" in done.out
    assert "expected sd at the targets" in done.out


def test_the_chosen_rows_are_written_in_order(planner, tables):
    asked = (
        "choose",
        "pool.csv",
        "--targets",
        "targets.csv",
        "--budget",
        "20%",
        "--batch",
        "5%",
        "-o",
        "out",
        "--json",
    )
    found = planner(*asked).json
    written = pd.read_csv(tables / "out/chosen.csv")
    assert written["run_id"].tolist() == found["run_ids"]
    assert list(written) == ["run_id", "params", "tokens", "gpu_hours"]
    assert json.loads((tables / "out/choice.json").read_text()) == found
    before = (tables / "out/chosen.csv").read_bytes()
    assert planner(*asked).code == 0
    assert (tables / "out/chosen.csv").read_bytes() == before


@pytest.mark.parametrize("law", ["chinchilla", "E + A/params^alpha + B/tokens^beta", "farseer", "size-power-floor"])
def test_other_laws(planner, tables, law):
    done = planner("choose", "pool.csv", "--targets", "targets.csv", "--n", "4", "--law", law, "--json")
    assert done.code == 0, done.err
    assert len(done.json["run_ids"]) == 4


def test_a_picture(planner, tables):
    done = planner(
        "choose", "pool.csv", "--targets", "targets.csv", "--n", "4", "--observed", "seen.csv", "--plot", "a.svg"
    )
    assert done.code == 0, done.err
    drawn = (tables / "a.svg").read_text()
    assert all(word in drawn for word in ("candidates", "observed", "chosen", "targets"))


def test_hostile_names_are_only_text(planner, tables):
    names = ["=1+1", "[/red]", "a;$(touch pwned)", "x\x1b[31m", 'q"uo,te']
    pool = pd.read_csv(tables / "pool.csv")
    pool.loc[: len(names) - 1, "run_id"] = names
    pool.to_csv(tables / "pool.csv", index=False)
    done = planner("choose", "pool.csv", "--targets", "targets.csv", "--n", "20")
    assert done.code == 0, done.err
    assert "[/red]" in done.out
    assert "\x1b[31m" not in done.out
    assert not (tables / "pwned").exists()


def without_cost(frame):
    frame.loc[3, "gpu_hours"] = np.nan


def with_negative_cost(frame):
    frame.loc[3, "gpu_hours"] = -2


def with_twins(frame):
    frame.loc[3, "run_id"] = "c0"


def with_no_tokens(frame):
    frame.loc[3, "tokens"] = np.nan


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_cost, "candidate 'c3': gpu_hours is missing"),
        (with_negative_cost, "candidate 'c3': gpu_hours is -2"),
        (with_twins, "two candidates are called 'c0'"),
        (with_no_tokens, "line 5: tokens is missing or no number"),
    ],
)
def test_a_bad_pool_is_one_line(planner, tables, spoil, message):
    pool = pd.read_csv(tables / "pool.csv")
    spoil(pool)
    pool.to_csv(tables / "pool.csv", index=False)
    refused(planner("choose", "pool.csv", "--targets", "targets.csv", "--n", "3"), message)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--n", "3"], "no target"),
        (["--n", "3", "--params", "7B"], "targets lack tokens, of which the coupled law speaks"),
        (["--n", "3", "--targets", "targets.csv", "--params", "7B"], "targets by a table and by options"),
        (["--targets", "targets.csv"], "neither a budget nor a number of runs"),
        (["--n", "21", "--targets", "targets.csv"], "21 runs of a pool of 20 candidates"),
        (["--budget", "0.001", "--targets", "targets.csv"], "affords none of 20 candidates"),
        (["--budget", "120%", "--targets", "targets.csv"], "--budget 120% is no share of the pool"),
        (["--budget", "-3", "--targets", "targets.csv"], "--budget"),
        (["--n", "2", "--cost", "euros", "--targets", "targets.csv"], "no column 'euros' to take as cost"),
        (["--n", "2", "--law", "three-term", "--targets", "targets.csv"], "needs batch_tokens, steps"),
        (["--n", "2", "--count", "params_total", "--targets", "targets.csv"], "no column 'params_total'"),
    ],
)
def test_bad_options_are_one_line(planner, tables, asked, message):
    refused(planner("choose", "pool.csv", *asked), message)


def test_an_observed_table_with_another_loss_is_refused(planner, tables):
    for name, value in (("pool", "c4"), ("seen", "pile")):
        pd.read_csv(tables / f"{name}.csv").assign(loss_name=value).to_csv(tables / f"{name}.csv", index=False)
    done = planner("choose", "pool.csv", "--targets", "targets.csv", "--n", "2", "--observed", "seen.csv")
    refused(done, "tables differ in loss_name: 'c4' in pool.csv; 'pile' in seen.csv")


def test_targets_that_lack_a_variable_are_refused(planner, tables):
    pd.DataFrame({"params": [3e9]}).to_csv(tables / "targets.csv", index=False)
    refused(planner("choose", "pool.csv", "--targets", "targets.csv", "--n", "2"), "the coupled law needs tokens")


def refused(done, message):
    assert done.code == 2, (done.out, done.err)
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 2  # what is wrong, what to try
    assert done.out == ""
