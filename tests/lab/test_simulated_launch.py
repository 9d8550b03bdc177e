"""`planner launch --on simulated` writes what a real launch does: the loop can be played in seconds."""

from __future__ import annotations

import json
import shutil


def test_init_propose_launch_import_fit(planner, tmp_path):
    assert planner("init").code == 0
    text = (tmp_path / "my_sweep.toml").read_text().replace('"0.5x final"', '"0.1x final"')
    (tmp_path / "my_sweep.toml").write_text(text)
    assert planner("propose", "my_sweep.toml", "-o", "plan").code == 0
    dry = planner(
        "launch", "plan/plan.csv", "--on", "simulated", "--sweep", "my_sweep.toml", "-o", "lab", "--dry-run", "--json"
    )
    assert dry.code == 0 and not (tmp_path / "lab").exists()
    done = planner("launch", "plan/plan.csv", "--on", "simulated", "--sweep", "my_sweep.toml", "-o", "lab", "--json")
    runs = done.json["submitted"]
    assert done.code == 0 and runs == dry.json["submitted"]
    assert done.json["completed"] + len(done.json["failed"]) + len(done.json["skipped"]) == len(runs)
    said = planner("import", "lab/logs", "--plan", "plan/plan.csv", "-o", "runs", "--json")
    assert said.json["n_runs"] == len(runs) and not said.json["unplanned"] and said.json["missing"] == []
    assert said.json["hours_ratio"] is None or 0.9 < said.json["hours_ratio"] < 1.1
    assert planner("fit", "runs/runs.csv", "--where", "kind=scaling", "--count", "params_active", "--json").code == 0

    first = {log.name: log.read_bytes() for log in (tmp_path / "lab/logs").iterdir()}
    again = planner("launch", "plan/plan.csv", "--on", "simulated", "--sweep", "my_sweep.toml", "-o", "lab", "--json")
    assert set(again.json["submitted"]) == {run for run, why in done.json["failed"].items() if why.startswith("failed")}
    shutil.rmtree(tmp_path / "lab")
    planner("launch", "plan/plan.csv", "--on", "simulated", "--sweep", "my_sweep.toml", "-o", "lab")
    assert first == {log.name: log.read_bytes() for log in (tmp_path / "lab/logs").iterdir()}, "the same bytes"


def test_a_run_that_diverged_or_failed_says_so_and_its_branches_are_skipped(planner, tmp_path):
    planner("init")
    text = (tmp_path / "my_sweep.toml").read_text().replace('"0.5x final"', '"0.1x final"')
    (tmp_path / "my_sweep.toml").write_text(f'{text}\n[lab]\nfailure_rate = 0.3\n[hyperparameters]\nschedule = "wsd"\n')
    planner("propose", "my_sweep.toml", "-o", "plan")
    done = planner("launch", "plan/plan.csv", "--on", "simulated", "--sweep", "my_sweep.toml", "-o", "lab", "--json")
    assert any("the simulated machine failed" in why for why in done.json["failed"].values())
    for run in done.json["failed"]:
        last = json.loads((tmp_path / f"lab/logs/{run}.jsonl").read_text().splitlines()[-1])
        assert last["loss"] is None and last["status"] in ("failed", "diverged")
    assert all("did not complete" in why for why in done.json["skipped"].values())
    assert not any((tmp_path / f"lab/logs/{run}.jsonl").exists() for run in done.json["skipped"])


def test_an_idea_that_the_sweep_does_not_have_is_refused(planner, tmp_path):
    planner("init")
    planner("propose", "my_sweep.toml", "-o", "plan")
    plan = tmp_path / "plan/plan.csv"
    plan.write_text(plan.read_text().replace(",baseline,", ",my idea,"))
    done = planner("launch", plan, "--on", "simulated", "--sweep", "my_sweep.toml", "-o", "lab")
    assert done.code == 2 and "variant 'my idea' is no idea of the sweep" in done.err
