"""`planner import`: logs in, a table of runs and a database out."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "logs"))
from written import histories, write

PLAN = "run_id,study,variant,params_active,tokens,lr_peak,batch_tokens,seed,gpu_hours,energy_kwh,usd\n"


def test_one_source_without_a_plan_gives_a_table_that_fit_and_others_read(planner, tmp_path):
    write("csv", tmp_path)
    done = planner("import", "lab.csv", "--usd-per-gpu-hour", "2", "--json")
    assert done.code == 0, done.err
    told = done.json
    assert told["n_runs"] == 6
    assert told["dropped"] == {"diverged": 1, "running": 2}
    assert (told["missing"], told["unplanned"]) == ([], [])
    assert told["dropped_points"] == {"overlap after a restart": 50, "spike": 1}
    assert told["mapped"]["train/loss"] == "train_loss"
    runs = pd.read_csv(told["runs"])
    assert (runs["usd"] == 2 * runs["gpu_hours"]).all()
    assert set(runs["run_id"]) == set(histories())


def test_the_database_answers_sql(planner, tmp_path):
    write("csv", tmp_path)
    planner("import", "lab.csv", "-o", "out")
    with duckdb.connect(str(tmp_path / "out/lab.duckdb"), read_only=True) as connection:
        names = {row[0] for row in connection.execute("SHOW TABLES").fetchall()}
        best = connection.execute("SELECT run_id FROM runs WHERE is_final = 'true' ORDER BY loss LIMIT 1").fetchall()
    assert {"runs", "segments", "points", "evals", "sources", "checkpoints"} <= names
    assert best == [("clean",)]


def test_the_same_import_twice_gives_the_same_bytes(planner, tmp_path):
    write("files", tmp_path / "logs")
    planner("import", "logs", "-o", "out")
    first = (tmp_path / "out/runs.csv").read_bytes()
    assert planner("import", "logs", "-o", "out", "--json").json["new_points"] == 0
    assert (tmp_path / "out/runs.csv").read_bytes() == first


def test_a_dry_run_writes_nothing(planner, tmp_path):
    write("csv", tmp_path)
    done = planner("import", "lab.csv", "--dry-run", "--json")
    assert done.json["runs"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab.csv"]


def test_an_import_that_fails_leaves_no_folder_and_harms_none(planner, tmp_path):
    write("csv", tmp_path)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    assert planner("import", "bad.parquet", "-o", "out").code == 2
    assert not (tmp_path / "out").exists()
    assert planner("import", "lab.csv", "-o", "out").code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.suffix != ".duckdb"}
    assert planner("import", "bad.parquet", "-o", "out").code == 2
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.suffix != ".duckdb"}
    assert planner("import", "lab.csv", "-o", "out", "--json").json["n_points"] == 2100


def test_points_come_out_with_their_phase(planner, tmp_path):
    write("csv", tmp_path)
    planner("import", "lab.csv", "-o", "out", "--points", "parquet")
    with duckdb.connect() as connection:
        points = connection.execute("SELECT * FROM read_parquet(?)", [str(tmp_path / "out/points.parquet")]).df()
    clean = points[points["run_id"] == "clean"]
    assert clean["phase"].iloc[0] == "warmup"
    assert clean["phase"].iloc[-1] == "annealed"
    assert clean["is_last"].sum() == 1


def test_runs_without_a_travelled_id_are_joined_by_what_they_trained(planner, tmp_path):
    rows = [("w1", 1e8, 2e9, 1e-3, 65536, 0), ("w2", 2e8, 2e9, 1e-3, 65536, 0), ("w3", 2e8, 2e9, 2e-3, 65536, 0)]
    (tmp_path / "plan.csv").write_text(
        PLAN
        + "".join(
            f"p{at},scaling,baseline,{n},{d},{lr},{b},{s},10,11,20\n" for at, (_, n, d, lr, b, s) in enumerate(rows)
        )
    )
    logged = [
        {"id": name, "state": "finished", "params_active": n, "n_tokens_seen": d * 1.001, "lr": lr, "batch_tokens": b, "seed": s,
         "val_loss": 3.0 - at, "gpu_hours": 13.0} for at, (name, n, d, lr, b, s) in enumerate(rows)
    ]  # fmt: skip
    logged[2]["lr"] = 5e-3  # not the planned rate: no run of the plan
    (tmp_path / "logs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in logged))
    told = planner("import", "logs.jsonl", "--plan", "plan.csv", "-o", "out", "--json").json
    assert told["by_content"] == {"w1": "p0", "w2": "p1"}
    assert (told["missing"], told["unplanned"]) == (["p2"], ["w3"])
    done = planner("import", "logs.jsonl", "--plan", "plan.csv", "-o", "out")
    assert "GPU-hours of 2 runs are more than 20 % off the modelled ones (median 1.30 times): p0, p1" in done.err
    assert "joined by what they trained, for no run_id told: 2" in done.out
    assert "not planned, 13 GPU-hours, in unplanned.csv: w3" in done.out
    assert told["hours_off"] == ["p0", "p1"]
    assert told["hours_ratio"] == pytest.approx(1.3 / 1.001)
    assert pd.read_csv(tmp_path / "out/unplanned.csv")["run_id"].tolist() == ["w3"]
    assert pd.read_csv(tmp_path / "out/runs.csv")["usd"].tolist() == pytest.approx([26, 26, 0])


def test_settings_that_are_not_as_planned_are_told(planner, tmp_path):
    (tmp_path / "plan.csv").write_text(PLAN + "p0,scaling,baseline,1e8,2e9,1e-3,65536,0,10,11,20\n")
    row = {"run_id": "p0", "state": "finished", "n_tokens_seen": 2e9, "lr": 3e-3, "val_loss": 3.0, "seed": 0}
    (tmp_path / "logs.jsonl").write_text(json.dumps(row) + "\n")
    done = planner("import", "logs.jsonl", "--plan", "plan.csv", "-o", "out")
    assert "p0: lr_peak is 0.003, planned 0.001" in done.out
    assert "logged and not planned: 0" in done.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--column", "loss"), "is not a name=value"),
        (("--set", "context_length"), "is not a name=value"),
        (("--keep", "mood"), "is no reason"),
        (("--format", "fax"), "is no reader"),
        (("--points", "xlsx"), "is no format"),
    ],
)
def test_options_that_mean_nothing_are_refused(planner, tmp_path, options, says):
    write("csv", tmp_path)
    done = planner("import", "lab.csv", *options)
    assert done.code == 2
    assert says in done.err
    assert "results" not in {path.name for path in tmp_path.iterdir()}


def test_names_of_theirs_and_constants_are_the_users(planner, tmp_path):
    rows = [{"step": at, "colour": 3.0 - at / 10, "consumed_samples": 5 * at} for at in range(1, 6)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = planner("import", "log.jsonl", "--column", "colour=loss", "--set", "context_length=100", "--json").json
    run = pd.read_csv(told["runs"]).iloc[0]
    assert told["mapped"] == {"colour": "loss", "consumed_samples": "tokens"}
    assert run["loss"] == 2.5
    assert run["tokens"] == 25 * 100


@pytest.mark.parametrize("as_json", [True, False])
def test_a_tracker_that_fails_is_exit_3_and_the_rest_is_kept(planner, tmp_path, monkeypatch, as_json):
    from test_segments import Tracker

    from planner.logs import detect

    monkeypatch.setattr(detect, "READERS", (Tracker(fails_after=2), *detect.READERS))
    done = planner("import", "tracker://lab", "-o", "out", *(["--json"] if as_json else []))
    assert done.code == 3
    assert "answered 500" in (done.json["error"]["message"] if as_json else done.err)
    assert pd.read_csv(tmp_path / "out/runs.csv")["run_id"].tolist() == ["clean", "restarted"]


def test_credentials_of_an_address_reach_no_file(tmp_path):
    code = (
        "import sys; sys.path[:0] = [sys.argv.pop(1), sys.argv.pop(1)]\n"
        "from test_segments import Tracker\nfrom planner.logs import detect\nfrom planner.cli.app import main\n"
        "detect.READERS = (Tracker(), *detect.READERS)\nmain(sys.argv[1:])"
    )
    tests = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(tests), str(tests / "logs"), "import", "tracker://me:hunter2@lab/x?api_key=hunter2"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"provenance.json", "runs.csv", "lab.duckdb"} == {file.name for file in files}
    assert "hunter2" not in done.stdout + done.stderr
    assert all("hunter2" not in str(file) and b"hunter2" not in file.read_bytes() for file in files)
