"""The labs of `planner run`: held-out runs in a simulated one, logs replayed, runs trained for real."""

import gzip
import json
import random
import shutil
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from running import run_planner
from truths import REPOSITORY

SWEEPS = REPOSITORY / "sweeps"
HOLDOUT = '[[study]]\nkind = "holdout"\nruns = [["2B", "60B"], ["1.5B", "50B", 2]]\n'
TORCH = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch (the extra [train]) is not installed")
MICRO = """
schema = 1
name = "micro"
question = "Does it train?"
[final]
model = "MODEL"
tokens = "100M"
accelerator = "CORE"
count = 1
[price]
usd_per_gpu_hour = 0.05
[exploration]
budget = "0.02 GPU-hours"
shapes = [[2, 16, 2], [2, 24, 2], [2, 32, 2]]
tokens = ["8K", "1M"]
count = 2
[lab]
kind = "local"
corpus = "text.txt"
[hyperparameters]
rule = "own"
context_length = 32
precision = "fp32"
[hyperparameters.own]
lr_peak = [0.02, 0.0, 0.0]
batch_tokens = [512, 0.0, 0.0]
params = ["1K", "1M"]
tokens = ["1K", "1M"]
source = "a guess"
[[study]]
kind = "scaling"
design = "list"
runs = [RUNS]
[[study]]
kind = "holdout"
runs = [["41120", "96K"]]
"""


def scores(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((folder / "forecasts").glob("*.score.json"))]


def test_held_out_runs_of_a_simulated_lab_are_forecast_before_and_scored_after(planner, tmp_path):
    text = (SWEEPS / "chinchilla_70b.toml").read_text()
    sweep = tmp_path / "held.toml"
    sweep.write_text(text.replace("share = 1.0", "share = 0.9") + "\n" + HOLDOUT)
    done = planner("run", sweep, "-o", "out")
    assert done.code == 0, done.err
    runs = pd.read_csv(tmp_path / "out/runs.csv")
    held = runs[runs["kind"] == "holdout"]
    assert len(held) == 3
    found = scores(tmp_path / "out")
    assert len(found) == 2
    for one in found:
        assert abs(one["error"]) < 0.05
        ran = held[held["run_id"].isin(one["source"].split(", "))]
        assert one["loss"] == pytest.approx(ran["loss"].mean())
    fitted = json.loads((tmp_path / "out/fit.json").read_text())
    assert fitted["n_runs"] <= (runs["kind"] == "scaling").sum()
    first = {path.name: path.read_bytes() for path in (tmp_path / "out/forecasts").iterdir()}
    assert planner("run", sweep, "-o", "out").code == 0
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "out/forecasts").iterdir()}  # dates and all


def test_a_recorded_study_is_replayed_and_leaves_the_tree_clean(planner, tmp_path, monkeypatch):
    copy = tmp_path / "repository"
    shutil.copytree(SWEEPS, copy / "sweeps")
    shutil.copytree(REPOSITORY / "results/tiny_lm", copy / "results/tiny_lm")

    monkeypatch.chdir(copy)

    def replayed() -> dict[str, bytes]:
        done = planner("run", "sweeps/tiny_lm.toml")
        assert done.code == 0, done.err
        return {str(path.relative_to(copy)): path.read_bytes() for path in sorted(copy.rglob("*")) if path.is_file()}

    first = replayed()
    kept = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "results/tiny_lm").rglob("*") if path.is_file()}
    assert {name for name in first if name.startswith("results/")} == kept
    for name in kept:  # another numpy or matplotlib may change a last digit or draw another letter
        if name.endswith(".json") and "provenance" not in name:
            assert _alike(json.loads((REPOSITORY / name).read_text()), json.loads(first[name])), name
        if "forecasts/" in name:
            assert (REPOSITORY / name).read_bytes() == first[name], name
    assert replayed() == first


def _alike(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        hashes = {"sha256", "fit_sha256"}
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one if key not in hashes)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return one == other or (isinstance(one, float) and one == pytest.approx(other, rel=1e-5))


def test_the_recorded_forecasts_were_registered_before_their_runs_were_trained():
    folder = REPOSITORY / "results/tiny_lm"
    lines = [json.loads(line) for line in gzip.decompress((SWEEPS / "tiny_lm/logs.jsonl.gz").read_bytes()).splitlines()]
    started: dict[str, float] = {}
    for line in lines:
        if "time" in line:
            started[line["run_id"]] = min(started.get(line["run_id"], line["time"]), line["time"])
    found = sorted((folder / "forecasts").glob("*.score.json"))
    assert len(found) >= 8
    for path in found:
        registered = json.loads(Path(str(path).replace(".score.json", ".provenance.json")).read_text())["written"]
        for run in json.loads(path.read_text())["source"].split(", "):
            assert pd.Timestamp(registered).timestamp() < started[run], path.name


def test_without_its_logs_a_recorded_study_says_what_to_do(planner, tmp_path):
    shutil.copytree(SWEEPS, tmp_path / "sweeps", ignore=shutil.ignore_patterns("logs.jsonl.gz"))
    done = planner("run", "sweeps/tiny_lm.toml")
    assert done.code == 2
    assert "lab.logs" in done.err
    assert "--fresh" in done.err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sweeps/chinchilla_70b.toml", "--fresh"), "nothing is trained"),
        (("sweeps/chinchilla_70b.toml", "--quick"), "chinchilla_70b_quick.toml: no such file"),
    ],
)
def test_options_of_another_lab_are_refused(planner, tmp_path, arguments, says):
    done = planner("run", *[str(REPOSITORY / one) if one.endswith("toml") else one for one in arguments])
    assert done.code == 2
    assert says in done.err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def micro(tmp_path):
    words = [f"word{number}" for number in range(200)]
    generator = random.Random(1)
    (tmp_path / "text.txt").write_text(" ".join(generator.choices(words, weights=range(1, 201), k=40_000)))
    runs = ", ".join(f'["{size}", "{tokens}K"]' for size in (14_416, 26_232, 41_120) for tokens in (8, 16, 32, 48))
    text = MICRO.replace("MODEL", str(SWEEPS / "tiny_lm/bytes.toml")).replace(
        "CORE", str(SWEEPS / "tiny_lm/cpu_core.toml")
    )
    (tmp_path / "micro.toml").write_text(text.replace("RUNS", runs))
    return tmp_path


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed")
def test_training_without_pytorch_says_what_to_install(planner, micro):
    done = planner("run", "micro.toml", "-o", "out")
    assert done.code == 2
    assert "scaling-planner[train]" in done.err


@TORCH
def test_a_local_lab_trains_forecasts_what_it_holds_out_and_reports(micro):
    done = run_planner("run", "micro.toml", "-o", "out", "--jobs", "2", cwd=micro)
    assert done.code == 0, done.err
    runs = pd.read_csv(micro / "out/runs.csv")
    assert (runs["status"] == "completed").all()
    assert len(runs) == 13
    assert len(scores(micro / "out")) == 1
    # What was trained is not trained again, and the packed logs replay to the same bytes.
    assert run_planner("run", "micro.toml", "-o", "out", cwd=micro).code == 0
    shutil.copy(micro / "out/logs.jsonl.gz", micro / "logs.jsonl.gz")
    text = (micro / "micro.toml").read_text()
    (micro / "micro.toml").write_text(
        text.replace('corpus = "text.txt"', 'corpus = "text.txt"\nlogs = "logs.jsonl.gz"')
    )
    assert run_planner("run", "micro.toml", "-o", "replayed", cwd=micro).code == 0
    for name in ("runs.csv", "fit.json"):
        assert (micro / "out" / name).read_bytes() == (micro / "replayed" / name).read_bytes(), name


def test_a_first_sweep_for_a_local_lab_can_be_proposed_as_it_is(planner, tmp_path):
    assert planner("init", "first", "--lab", "local").code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"first.toml", "first_model.toml", "first_core.toml"}
    done = planner("propose", "first.toml", "--dry-run", "--json")
    assert done.code == 0, done.err
    assert done.json["n_runs"] == 14
    again = planner("init", "first", "--lab", "local")
    assert again.code == 2
    assert "is there already" in again.err
    assert planner("init", "second", "--lab", "moon").code == 2


@TORCH
def test_the_readmes_second_example_trains_a_real_study_from_plan_to_report(tmp_path):
    command = ".venv/bin/planner run sweeps/tiny_lm.toml --quick"
    assert command in (REPOSITORY / "README.md").read_text()
    (tmp_path / "sweeps").symlink_to(SWEEPS)
    done = run_planner(*command.split()[1:], cwd=tmp_path)
    assert done.code == 0, done.err
    folder = tmp_path / "results/tiny_lm_quick"
    runs = pd.read_csv(folder / "runs.csv")
    assert len(runs) == 22
    assert (runs["status"] == "completed").all()
    found = scores(folder)
    assert len(found) == 3
    assert max(abs(one["error"]) for one in found) < 0.1  # real luck: a bug is far off, seeds differ by two per cent
    assert "<html" in (folder / "report/index.html").read_text()
