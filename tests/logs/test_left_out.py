"""What cannot be read is left out, named and counted, and the rest is kept: damaged files, unknown states, rare metrics."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from planner.encode import table_bytes
from planner.errors import InputError, WorldError
from planner.logs.importing import read_logs

ROWS = pd.DataFrame({"step": range(1, 20_001), "train/loss": [3 - 1e-5 * at for at in range(20_000)]})


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()


def good(kind):
    for name in ("a", "b"):
        (packed if kind.endswith(".gz") else plain)(f"logs/{name}.{kind}", kind)


def plain(path, kind):
    with Path(path).open("wb") as file:
        file.write(content(kind))


def packed(path, kind):
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(content(kind))


def content(kind):
    return table_bytes(ROWS, kind.partition(".")[0])


def damage(kind, how):
    """A whole file called `bad` of a kind, with its end cut off, or a piece of its middle overwritten."""
    path = f"logs/bad.{kind}"
    (packed if kind.endswith(".gz") else plain)(path, kind)
    with Path(path).open("r+b") as file:
        size = Path(path).stat().st_size
        if how == "cut":
            file.truncate(size - 1000)
        else:
            file.seek(size // 4)
            file.write(b"\xff" * (size // 2))


@pytest.mark.parametrize(
    ("kind", "how"),
    [("parquet", "cut"), ("parquet", "overwritten"), ("csv.gz", "cut"), ("jsonl.gz", "cut"),
     ("jsonl.gz", "overwritten")],
)  # fmt: skip
def test_one_damaged_file_is_named_and_the_others_are_kept(kind, how):
    good(kind)
    whole = read_logs(["logs"])
    damage(kind, how)
    found = read_logs(["logs"])
    pd.testing.assert_frame_equal(found.frame, whole.frame)
    assert isinstance(found.error, WorldError)
    assert f"1 of 3 logs cannot be read, the rest is kept: logs/bad.{kind}" in found.error.message
    assert [note for note in found.notes if note.startswith(f"left out: logs/bad.{kind}")]


def test_a_damaged_file_that_was_mended_is_read_by_the_next_import(tmp_path):
    good("parquet")
    damage("parquet", "cut")
    store = tmp_path / "lab.duckdb"
    assert len(read_logs(["logs"], database=store).frame) == 2
    again = read_logs(["logs"], database=store)
    assert again.points == 0 and again.error is not None, "it is said each time"
    with Path("logs/bad.parquet").open("wb") as file:
        file.write(table_bytes(ROWS.head(5000), "parquet"))
    mended = read_logs(["logs"], database=store)
    assert len(mended.frame) == 3 and mended.error is None


def test_when_every_file_is_damaged_nothing_is_written(tmp_path):
    damage("parquet", "cut")
    store = tmp_path / "lab.duckdb"
    good("csv")
    read_logs(["logs/a.csv", "logs/b.csv"], database=store)
    before = store.read_bytes()
    with pytest.raises(InputError, match=r"logs/bad.parquet: not readable as parquet"):
        read_logs(["logs/bad.parquet"], database=store)
    assert store.read_bytes() == before


def test_a_damaged_json_file_among_tracker_exports_is_named(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"logs/{name}").mkdir()
        rows = [{"step": at, "loss": 3.0 - at / 100} for at in range(1, 20)]
        (tmp_path / f"logs/{name}/trainer_state.json").write_text(
            json.dumps({"best_metric": None, "epoch": 1, "log_history": rows})
        )
    path = tmp_path / "logs/b/trainer_state.json"
    path.write_text(path.read_text()[:-40])
    found = read_logs(["logs"])
    assert len(found.frame) == 1
    assert "logs/b/trainer_state.json: not readable as JSON" in found.error.message


def test_the_command_ends_with_3_and_keeps_the_rest(planner, tmp_path):
    good("csv.gz")
    damage("csv.gz", "cut")
    done = planner("import", "logs", "-o", "out", "--json")
    assert done.code == 3
    assert done.json["n_runs"] == 2 and "logs/bad.csv.gz" in done.json["error"]["message"]
    assert (tmp_path / "out/runs.csv").exists()
    done = planner("import", "logs", "-o", "other")
    assert done.code == 3 and "logs/bad.csv.gz" in done.err and "Traceback" not in done.err
    done = planner("import", "logs/bad.csv.gz", "-o", "third")
    assert done.code == 2 and not (tmp_path / "third").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    good("csv")
    (tmp_path / "logs/b.csv").chmod(0)
    found = read_logs(["logs"])
    assert len(found.frame) == 1 and "logs/b.csv" in found.error.message


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_a_metric_logged_once_in_the_middle_of_a_long_jsonl_is_read(ending):
    records = [*ROWS.head(10_000).to_dict("records")]
    records[5000] |= {"eval/c4/loss": 2.5, "config": {"seed": 7}}
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    with Path(f"logs/a.{ending}").open("wb") as file:
        file.write(gzip.compress(text) if ending.endswith("gz") else text)
    (row,) = read_logs(["logs"]).frame.to_dict("records")
    assert (row["loss"], row["loss_name"], row["seed"]) == (2.5, "eval/c4", 7)


def test_a_metric_that_is_a_number_first_and_text_later_keeps_its_numbers():
    lines = [
        '{"step": 1, "train/loss": 3, "note": 1}',
        '{"step": 2, "train/loss": "2.5", "note": "x"}',
        '{"step": 3, "train/loss": 2}',
    ]
    with Path("logs/a.jsonl").open("w") as file:
        file.write("\n".join(lines) + "\n")
    found = read_logs(["logs"])
    assert found.n_points == 3 and found.frame["train_loss"].tolist() == [2.0]


def test_an_unknown_state_is_said_and_refuses_nothing():
    table = "run_id,state,tokens,loss\na,finished,1e9,2.5\nb,zombie,1e9,2.4\nc,zombie,1e9,2.3\nd,\x1b[31mred,1e9,2.2\n"
    with Path("logs/runs.csv").open("w") as file:
        file.write(table)
    found = read_logs(["logs"])
    assert found.frame.set_index("run_id")["status"].to_dict() == dict.fromkeys("abcd", "completed")
    assert "logs/runs.csv: row 2: run 'b' and 1 more: unknown state 'zombie', left out of account" in found.notes
    assert not any("\x1b" in note for note in found.notes)
