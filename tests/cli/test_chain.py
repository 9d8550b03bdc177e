"""`planner run` on DeepSeek-V3: the whole chain, its totals, its files."""

import json
import shutil

import pandas as pd
import pytest
from running import run_planner
from truths import REPOSITORY

from planner import store
from planner.sweep.spec import read_sweep

SWEEP = REPOSITORY / "sweeps/deepseek_v3.toml"
FILES = (
    store.PLAN, store.LOGS, store.RUNS, store.FIT, store.FORECAST, store.CHOICES, store.QUESTION, store.SCORE, store.TRUTH,
    store.REPORT_HTML, store.REPORT_MARKDOWN, store.REPORT_JSON,
)  # fmt: skip


def read(folder, name):
    return json.loads((folder / name).read_text())


def test_it_prints_one_json_object_with_the_promised_keys(deepseek):
    printed = json.loads((deepseek.parent / "printed.json").read_text())
    for key in ("plan", "runs", "fit", "forecast", "report"):
        assert printed[key].startswith(str(deepseek))
    assert "Exploration : final run = " in printed["headline"]


def test_the_final_runs_totals_against_published(deepseek):
    # DeepSeek-V3 (arXiv 2412.19437, table 1): 2664K + 119K + 5K = 2788K H800-hours, $5.576M; 3.7 days per trillion tokens.
    final = read(deepseek, store.REPORT_JSON)["question"]["final"]
    assert final["pretraining_gpu_hours"] == pytest.approx(2.664e6)
    assert final["gpu_hours"] == pytest.approx(2.788e6)
    assert final["usd"] == pytest.approx(5.576e6)
    assert round(final["days_per_trillion_tokens"], 1) == 3.7
    assert final["params_total"] == 671026419200


def test_exploration_adds_up_along_every_axis(deepseek):
    report, runs = read(deepseek, store.REPORT_JSON), pd.read_csv(deepseek / store.RUNS)
    for axis in ("by_study", "by_size", "by_status"):
        for quantity in ("runs", "flops", "gpu_hours", "usd", "energy_kwh"):
            total = sum(part[quantity] for part in report[axis].values())
            assert total == pytest.approx(report["exploration"][quantity], rel=1e-12), (axis, quantity)
    assert report["exploration"]["gpu_hours"] == pytest.approx(runs["gpu_hours"].sum())
    for name, ratio in report["ratio"].items():
        assert ratio == pytest.approx(report["exploration"][name] / report["final"][name])
        assert 2 <= ratio <= 4


def test_failed_and_diverged_runs_are_there_and_are_paid_for(deepseek):
    by_status = read(deepseek, store.REPORT_JSON)["by_status"]
    assert by_status["failed"]["gpu_hours"] > 0
    assert by_status["diverged"]["gpu_hours"] > 0


def test_every_planned_run_is_in_the_table_of_runs_once(deepseek):
    plan, runs = pd.read_csv(deepseek / store.PLAN), pd.read_csv(deepseek / store.RUNS)
    assert plan["run_id"].tolist() == runs["run_id"].tolist()
    assert len(runs) >= 1000


def test_the_forecast_is_registered_with_what_it_rests_on_and_scored_after(deepseek):
    forecast, score = read(deepseek, store.FORECAST), read(deepseek, store.SCORE)
    assert forecast["prediction"]["compute_ratio"] > 50
    assert forecast["sweep_sha256"] == read_sweep(SWEEP).sha256
    assert forecast["assumptions"]
    assert "final_loss" not in json.dumps(forecast)
    assert abs(score["relative_error"]) < 0.02
    assert score["relative_error"] == pytest.approx(forecast["prediction"]["loss"] / score["final_loss"] - 1)


def test_the_same_seed_gives_the_same_bytes(little, tmp_path):
    sweep, results = little
    again = tmp_path / "again"
    assert run_planner("run", sweep, "-o", again, cwd=tmp_path).code == 0
    for name in FILES:
        assert (again / name).read_bytes() == (results / name).read_bytes(), name
    assert sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file()) == sorted(
        p.relative_to(results) for p in results.rglob("*") if p.is_file()
    )


def test_the_truth_does_not_leak_into_fit_forecast_or_choices(deepseek, tmp_path):
    # The chain from logs onwards, with another truth on the disk, gives the same answers.
    from planner.cli.chain import _decide, _fit, _forecast, _score, _through_gates
    from planner.cli.labs import SimulatedLab
    from planner.sweep.plan import propose

    sweep = read_sweep(SWEEP)
    plan = propose(sweep)
    folder = store.Folder(tmp_path / "copy", "run", {}, seed=0)
    folder.start()
    shutil.copy(deepseek / store.PLAN, folder.path / store.PLAN)
    lab = SimulatedLab(plan, folder)
    truth = read(folder.path, store.TRUTH)
    truth["final_loss"] = 9.9
    (folder.path / store.TRUTH).write_text(json.dumps(truth))
    lab.train(plan.runs["stage"] == 1, [])
    law_fit = _fit(sweep, folder)
    closed = _through_gates(plan, lab, law_fit, folder)
    forecast = _forecast(plan, law_fit, folder)
    ideas = _decide(plan, law_fit, closed, folder)
    for name in (store.RUNS, store.FIT, store.FORECAST, store.CHOICES):
        assert (folder.path / name).read_bytes() == (deepseek / name).read_bytes(), name
    _score(plan, law_fit, forecast, ideas, folder)
    assert read(folder.path, store.SCORE)["inside_interval"] is False


def test_ideas_behind_a_closed_gate_are_cancelled_cost_nothing_and_say_why(deepseek):
    runs, closed = pd.read_csv(deepseek / store.RUNS), read(deepseek, store.CHOICES)["closed"]
    assert closed
    for one in closed:
        later = runs[(runs["variant"] == one["variant"]) & (runs["stage"] > one["stage"])]
        assert (later["status"] == "cancelled").all()
        assert later["gpu_hours"].sum() == 0
        assert one["why"].startswith("the budget") or one["probability"] <= one["threshold"]
    ends = {one["variant"]: one["stage"] for one in closed}
    ran = runs[(runs["kind"] == "ideas") & (runs["status"] != "cancelled")]
    assert (ran["stage"] <= ran["variant"].map(ends).fillna(9)).all()


def test_another_seed_gives_another_world(little, tmp_path):
    sweep, results = little
    assert run_planner("run", sweep, "-o", tmp_path / "other", "--seed", "1", cwd=tmp_path).code == 0
    assert (tmp_path / "other" / store.PLAN).read_bytes() == (results / store.PLAN).read_bytes()
    assert read(tmp_path / "other", store.SCORE)["final_loss"] != read(results, store.SCORE)["final_loss"]


def test_writing_the_report_again_does_not_change_who_made_the_rest(deepseek, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(deepseek, copy)
    before = read(copy, store.PROVENANCE)
    (copy / store.REPORT_HTML).write_text("printed over")
    assert run_planner("report", copy, cwd=tmp_path).code == 0
    after = read(copy, store.PROVENANCE)
    assert (copy / store.REPORT_HTML).read_bytes() == (deepseek / store.REPORT_HTML).read_bytes()
    assert after.pop("reported")
    assert after == before


def test_an_interrupted_run_is_noticed_and_done_again(little, tmp_path):
    sweep, results = little
    half = tmp_path / "half"
    shutil.copytree(results, half)
    record = read(half, store.PROVENANCE)
    (half / store.PROVENANCE).write_text(json.dumps({**record, "state": "started", "files": {}}))
    (half / store.RUNS).write_text("half a fi")
    (half / store.REPORT_HTML).unlink()
    refused = run_planner("report", half, cwd=tmp_path)
    assert refused.code == 2
    assert "half written" in refused.err
    assert run_planner("run", sweep, "-o", half, cwd=tmp_path).code == 0
    for name in FILES:
        assert (half / name).read_bytes() == (results / name).read_bytes(), name


def test_a_forecast_already_there_is_never_overwritten(little, tmp_path):
    # A crash left another forecast behind, of which the record knows nothing yet.
    sweep, results = little
    folder = tmp_path / "crashed"
    folder.mkdir()
    record = read(results, store.PROVENANCE)
    (folder / store.PROVENANCE).write_text(json.dumps({**record, "state": "started", "files": {}}))
    (folder / store.FORECAST).write_text('{"an": "earlier forecast"}')
    done = run_planner("run", sweep, "-o", folder, cwd=tmp_path)
    assert done.code == 2
    assert "another forecast is registered here" in done.err
    assert read(folder, store.FORECAST) == {"an": "earlier forecast"}


def test_a_folder_of_another_sweep_is_refused_and_left_alone(deepseek, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(SWEEP.read_text().replace('"3x final"', '"2x final"'))
    before = {p: p.read_bytes() for p in deepseek.rglob("*") if p.is_file()}
    done = run_planner("run", other, "-o", deepseek, cwd=tmp_path)
    assert done.code == 2
    assert "other inputs" in done.err
    assert {p: p.read_bytes() for p in deepseek.rglob("*") if p.is_file()} == before


def test_fit_predict_and_allocate_work_on_the_runs_it_leaves(deepseek, tmp_path):
    fitted = run_planner(
        "fit", deepseek / store.RUNS, "--count", "params_active", "--where", "study=scaling", "--json", cwd=tmp_path
    )
    assert fitted.code == 0, fitted.err
    assert fitted.json["dropped"] == read(deepseek, store.FIT)["dropped"]
    assert fitted.json["parameters"] == read(deepseek, store.FIT)["parameters"]
    predicted = run_planner(
        "predict", fitted.json["fit"], "--params", "37.552297472B", "--tokens", "14.8T", "--json", cwd=tmp_path
    )
    assert predicted.json["loss"] == pytest.approx(read(deepseek, store.FORECAST)["prediction"]["loss"], rel=1e-9)
    split = run_planner("allocate", fitted.json["fit"], "--flops", "3.3e24", "--json", cwd=tmp_path)
    assert 6 * split.json["params"] * split.json["tokens"] == pytest.approx(3.3e24)
    ideas = run_planner(
        "compare", deepseek / store.RUNS, "--where", "study=ideas", "--fit", fitted.json["fit"],
        "--flops", "3.3346440155136e24", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert {i["variant"]: i["decision"] for i in ideas.json["ideas"]} == {
        i["variant"]: i["decision"] for i in read(deepseek, store.CHOICES)["ideas"]
    }


def test_reconciling_by_hand_gives_the_chains_table_of_runs(deepseek, tmp_path):
    done = run_planner(
        "import", deepseek / store.LOGS, "--plan", deepseek / store.PLAN, "--usd-per-gpu-hour", "2", "-o", "mine", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (tmp_path / "mine/runs.csv").read_bytes() == (deepseek / store.RUNS).read_bytes()
    assert done.json["missing"] == done.json["unplanned"] == []
