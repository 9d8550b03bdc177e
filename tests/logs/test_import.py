"""Logs become one table of runs, the same from every format, and the store stays right whatever happens."""

import json
import multiprocessing
import time

import duckdb
import numpy as np
import pandas as pd
import pytest
from truths import SHARED, needs_shared
from written import BATCH, CHIPS, SETTINGS, histories, long_table, rows_of, write

from planner.encode import table_bytes
from planner.errors import InputError, WorldError
from planner.logs import importing, judge
from planner.logs.bulk import load_bulk
from planner.logs.database import held
from planner.logs.importing import Settings, parse_keep, read_logs

KINDS = ("csv", "csv.gz", "tsv", "jsonl", "jsonl.gz", "parquet", "files")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return read_logs([write("parquet", tmp_path_factory.mktemp("lab"))])


def by_run(logged):
    return logged.frame.set_index("run_id").sort_index()


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_is_the_same_from_every_format(kind, lab, tmp_path):
    found = read_logs([write(kind, tmp_path)])
    same(by_run(found), by_run(lab))
    leaves_nan_out = kind not in ("jsonl", "jsonl.gz", "files")
    assert found.dropped == {**lab.dropped} | ({} if leaves_nan_out else {"loss not finite": 100})


def same(one, other):
    """The same but for where it was read, and for how many losses were written that are no numbers."""
    leave = ["source", "n_dropped"]
    pd.testing.assert_frame_equal(one.drop(columns=leave), other.drop(columns=leave), check_like=True)


def test_every_run_is_told_for_what_it_is(lab):
    runs = by_run(lab)
    assert runs["status"].to_dict() == {
        "clean": "completed", "restarted": "completed", "spiky": "completed", "diverged": "diverged", "failed": "running",
        "cut": "running",
    }  # fmt: skip
    assert runs["problem"].to_dict() == {
        "clean": "", "restarted": "", "spiky": "", "diverged": "diverged", "failed": "truncated", "cut": "truncated",
    }  # fmt: skip
    assert (runs["is_final"] == "true").sum() == 3
    assert set(runs["schedule"]) == {"cosine"}
    assert runs.loc["clean", "annealed"] == "true"
    assert runs.loc["failed", "annealed"] == "false"
    assert lab.dropped == {"overlap after a restart": 50, "spike": 1}


def test_losses_are_those_of_the_last_points(lab):
    runs, logs = by_run(lab), histories()
    clean = logs["clean"]
    assert runs.loc["clean", "loss"] == clean["eval/c4/loss"].iloc[-1]
    assert runs.loc["clean", "loss_name"] == "eval/c4"
    assert runs.loc["clean", "train_loss"] == pytest.approx(
        clean["train/loss"].iloc[-8:].mean(), rel=1e-12
    )  # 2 % of 400
    assert runs.loc["clean", "tokens"] == 4000 * BATCH
    assert runs.loc["clean", "flops"] == 6 * SETTINGS["clean"]["params_total"] * 4000 * BATCH
    assert runs.loc["clean", "lr_peak"] == clean["lr"].max()


def test_hours_are_the_clocks_times_the_accelerators(lab):
    assert by_run(lab).loc["clean", "gpu_hours"] == pytest.approx(CHIPS * 4000 * 2.0 / 3600)
    assert set(lab.frame["gpu_hours_source"]) == {"measured"}


def test_a_kept_reason_is_not_dropped_and_the_window_is_the_users(tmp_path):
    path = write("csv", tmp_path)
    found = read_logs([path], Settings(keep=parse_keep(["spike"]), window=3))
    assert "spike" not in found.dropped
    runs = by_run(found)
    evals = histories()["clean"]["eval/c4/loss"].dropna()
    assert runs.loc["clean", "loss"] == pytest.approx(evals.iloc[-3:].mean(), rel=1e-12)
    assert runs.loc["clean", "loss_window"] == 3
    with pytest.raises(InputError, match="is no reason"):
        parse_keep(["mood"])


def test_the_same_source_twice_changes_nothing(tmp_path):
    path, store = write("files", tmp_path / "logs"), tmp_path / "lab.duckdb"
    first = read_logs([path], database=store)
    before = _dumped(store)
    again = read_logs([path], database=store)
    assert again.points == 0
    pd.testing.assert_frame_equal(again.frame, first.frame)
    assert _dumped(store) == before
    # nor does reading the files anew, when their clocks moved and their contents did not
    for file in path.iterdir():
        file.touch()
    assert read_logs([path], database=store).points == 0
    assert _dumped(store) == before


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_steps_that_came_since_are_added(kind, lab, tmp_path):
    """A log that has grown, read twice, gives the table of the whole log."""
    path, store = write(kind, tmp_path), tmp_path / "lab.duckdb"
    whole = long_table()
    half = whole.groupby("run_id", sort=False).head(200)
    path.write_bytes(table_bytes(half, kind) if kind != "jsonl" else _lines(half))
    early = read_logs([path], database=store)
    assert early.n_points == len(half)
    path.write_bytes(table_bytes(whole, kind) if kind != "jsonl" else _lines(whole))
    late = read_logs([path], database=store)
    assert late.points == len(whole) - len(half)
    same(by_run(late), by_run(lab))


def _lines(table):
    return "".join(json.dumps(row) + "\n" for row in rows_of(table)).encode()


def test_what_a_log_gains_while_it_is_read_comes_with_the_next_import(tmp_path, monkeypatch):
    """A lab imports while its runs go on: the file that was looked at is not the file that lies there at the end."""
    path, store = tmp_path / "run.jsonl", tmp_path / "lab.duckdb"
    lines = [f'{{"step": {step}, "loss": {5 - step / 100}}}\n' for step in range(1, 301)]
    path.write_text("".join(lines[:200]))

    def load_and_grow(*arguments):
        load_bulk(*arguments)
        path.write_text("".join(lines))

    monkeypatch.setattr(importing, "load_bulk", load_and_grow)
    assert read_logs([path], database=store).n_points == 200
    monkeypatch.undo()
    later = read_logs([path], database=store)
    assert (later.points, later.n_points) == (100, 300)
    assert read_logs([path], database=store).points == 0


def test_a_new_run_leaves_the_others_alone(tmp_path):
    folder, store = write("files", tmp_path / "logs"), tmp_path / "lab.duckdb"
    late = folder / "clean.jsonl"
    kept = late.read_text()
    late.unlink()
    assert len(read_logs([folder], database=store).frame) == 5
    late.write_text(kept)
    found = read_logs([folder], database=store)
    assert found.points == 400
    same(by_run(found), by_run(read_logs([folder])))


def test_an_import_that_fails_leaves_the_last_good_state(tmp_path, monkeypatch):
    folder, store = write("files", tmp_path / "logs"), tmp_path / "lab.duckdb"
    read_logs([folder / "clean.jsonl"], database=store)
    before = _dumped(store)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(judge, "_finals", killed)
    with pytest.raises(KeyboardInterrupt):
        read_logs([folder], database=store)
    assert _dumped(store) == before
    monkeypatch.undo()
    assert len(read_logs([folder], database=store).frame) == 6


def _hold(path, seconds, ready):
    with held(path) as connection:
        connection.execute("SELECT 1").fetchall()
        ready.set()
        time.sleep(seconds)


def test_a_second_import_waits_for_the_first_or_says_so(tmp_path):
    log, store = write("csv", tmp_path), tmp_path / "lab.duckdb"
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=_hold, args=(store, 4, ready))
    other.start()
    try:
        assert ready.wait(60)
        with pytest.raises(WorldError, match="another import holds it"):
            read_logs([log], Settings(patience=0.5), database=store)
        assert len(read_logs([log], Settings(patience=60), database=store).frame) == 6
    finally:
        other.join()


def test_a_file_that_is_no_database_of_ours_is_refused(tmp_path):
    (tmp_path / "lab.duckdb").write_bytes(b"something else" * 100)
    with pytest.raises(InputError, match="not a database of"):
        read_logs([write("csv", tmp_path)], database=tmp_path / "lab.duckdb")


def test_settings_in_one_file_and_histories_in_another_are_one_run(lab, tmp_path):
    table = long_table()
    table.drop(columns=list(SETTINGS["clean"])).to_csv(tmp_path / "history.csv", index=False)
    pd.DataFrame([{"run_id": name, **settings} for name, settings in SETTINGS.items()]).to_csv(
        tmp_path / "runs.csv", index=False
    )
    found = by_run(read_logs([tmp_path]))
    same(found, by_run(lab))


def test_segments_under_new_ids_are_joined_where_one_continues_the_other(tmp_path):
    history = histories()["restarted"]
    cut = int(np.flatnonzero(np.diff(history["step"]) < 0)[0]) + 1
    settings = {"params_total": 1e8, "lr_peak": 1e-3, "batch_tokens": BATCH, "seed": 0, "steps": 4000}
    for name, part in (("first", history[:cut]), ("second", history[cut:])):
        part.assign(**settings).to_json(tmp_path / f"{name}.jsonl", orient="records", lines=True)
    found = read_logs([tmp_path])
    assert len(found.frame) == 1
    assert found.frame["attempts"].tolist() == [2]
    assert found.dropped == {"overlap after a restart": 50}
    assert "continues" in found.notes[0]


def test_seeds_that_both_start_anew_are_two_runs(tmp_path):
    history = histories()["clean"].assign(params_total=1e8, lr_peak=1e-3, batch_tokens=BATCH, steps=4000)
    for name in ("one", "two"):
        history.to_json(tmp_path / f"{name}.jsonl", orient="records", lines=True)
    assert len(read_logs([tmp_path]).frame) == 2


def test_an_id_that_a_file_says_once_is_that_of_all_its_rows(tmp_path):
    lines = [{"run_id": "x", "seed": 3}, *({"step": step, "loss": 3 - step / 10} for step in (1, 2, 3))]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = read_logs([tmp_path / "a.jsonl"])
    assert found.frame[["run_id", "seed", "n_points"]].values.tolist() == [["x", 3, 3]] and not found.skipped


def test_tokens_stand_for_steps_where_a_run_has_several_rows_and_no_state(tmp_path):
    (tmp_path / "a.csv").write_text("run_id,tokens,loss\na,1e9,3\na,2e9,2.5\nb,1e9,3.1\n")
    found = read_logs([tmp_path / "a.csv"])
    assert found.n_points == 3 and by_run(found)["loss"].to_dict() == {"a": 2.5, "b": 3.1}


def test_rows_of_one_id_in_several_files_are_its_segments_in_their_order(tmp_path):
    rows = pd.DataFrame({"run_id": ["a"] * 3 + ["b"] * 3, "step": [1, 2, 3] * 2, "loss": [3.0, 2.9, 2.8] * 2})
    rows.assign(time=1e9 + rows["step"]).to_csv(tmp_path / "z.csv", index=False)
    again = rows[rows["step"] >= 2].assign(step=lambda frame: frame["step"] + 1, loss=2.5)
    again.assign(time=2e9 + again["step"]).to_csv(tmp_path / "a.csv", index=False)
    found = read_logs([tmp_path])
    runs = by_run(found)
    assert runs["loss"].to_dict() == {"a": 2.5, "b": 2.5} and runs["attempts"].to_dict() == {"a": 2, "b": 2}
    assert found.dropped == {"overlap after a restart": 2}


def test_one_id_with_two_configs_is_two_runs_and_is_said(tmp_path):
    history = histories()["clean"]
    history.assign(run_id="x", lr_peak=1e-3).to_csv(tmp_path / "a.csv", index=False)
    history.assign(run_id="x", lr_peak=2e-3).to_csv(tmp_path / "b.csv", index=False)
    found = read_logs([tmp_path])
    assert sorted(found.frame["run_id"]) == ["x", "x~2"]
    assert "different configs (lr_peak: 0.001, 0.002)" in found.notes[0]


@needs_shared
def test_olmo_ladder_finals_and_schedules_against_published():
    found = read_logs([SHARED / "data/olmo_ladder_checkpoints.csv.gz"])
    ours = by_run(found)
    final = pd.read_csv(SHARED / "data/olmo_ladder_final.csv").set_index("run_id").sort_index()
    finished = ours[ours["is_final"] == "true"]
    assert finished.index.tolist() == final.index.tolist()
    for name in ("loss", "tokens", "params", "params_total", "params_non_embedding"):
        assert (finished[name] == final[name]).all(), name
    np.testing.assert_allclose(finished["batch_tokens"], final["batch_size"])
    ladder = ours.index.str.startswith("ladder")
    assert set(ours[ladder]["schedule"]) == {"cosine"}
    assert set(ours[ladder]["annealed"]) == {"true"}
    mean = by_run(read_logs([SHARED / "data/olmo_ladder_checkpoints.csv.gz"], Settings(window=5)))
    smoothed = final[final["split"] == "train"]["loss_ma5"]
    np.testing.assert_allclose(mean.loc[smoothed.index, "loss"], smoothed, atol=1e-6)


@needs_shared
def test_olmo_ladder_points_are_annealed_only_at_the_end():
    with held(None) as connection:
        read_logs([SHARED / "data/olmo_ladder_checkpoints.csv.gz"], database=connection)
        points = connection.execute("SELECT * FROM checkpoints").df()
    ladder = points[points["run_id"].str.startswith("ladder")]
    assert (ladder.loc[ladder["is_last"], "phase"] == "annealed").all()
    assert set(ladder.loc[~ladder["is_last"], "phase"]) == {"warmup", "stable", "decay"}
    assert set(points.loc[~points["run_id"].str.startswith("ladder"), "phase"]) == {"unknown"}


@needs_shared
def test_misfitting_checkpoints_keep_their_declared_finals():
    found = read_logs([SHARED / "data/misfitting_checkpoints.csv.gz"])
    raw = pd.read_csv(SHARED / "data/misfitting_checkpoints.csv.gz")
    final = raw[raw["is_final"]].set_index("run_id")["loss"].sort_index()
    assert (by_run(found)["loss"] == final).all()
    assert found.dropped == {"after the declared final point": 2}


def _dumped(store):
    with duckdb.connect(str(store)) as connection:
        return {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall()
            for name in ("segments", "points", "evals", "finals", "runs")
        }


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
