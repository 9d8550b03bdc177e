"""Logs as they are met: cut in half, packed, in another encoding, hostile. A reader raises nothing but the planner's own errors."""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
import math
import pickle
import sqlite3
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from encoded import event_file, wandb_file, wandb_record
from formats import FORMATS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated import lab

from planner.errors import InputError, PlannerError
from planner.logs import texts
from planner.logs.detect import claims_of
from planner.logs.readers import READERS
from planner.logs.source import Part, Source

FILES = [
    reader
    for reader in READERS
    if not reader.name.endswith("_server") and reader.name not in ("parquet", "csv", "jsonl")
]
HOSTILE = "<script>alert(1)</script>'; DROP TABLE runs; --[bold]$(reboot)\x1b[31m\u202e"


def read(folder):
    """All segments of a source and what was skipped, by whichever reader claims it."""
    segments, skipped = [], {}
    for claim in claims_of(Source.of(str(folder))):
        log = claim.reader.read(claim.parts)
        segments += list(log.segments)
        skipped |= log.skipped
    return segments, skipped


@functools.cache
def samples():
    """One file of each format, by the name that it has: those that need no package to be written."""
    found = {"run-abcd1234.wandb": wandb_file([wandb_record(2, {"train/loss": 3.0, "_step": at}) for at in range(9)])}
    found["events.out.tfevents.1.host"] = event_file([(1e9 + at, at, "train/loss", 3.0) for at in range(9)])
    short = [run for run in lab() if run.name == "failed"]
    for name, form in FORMATS.items():
        if not form.package and name != "wandb_panel":
            with tempfile.TemporaryDirectory() as folder:
                form.write(Path(folder), short)
                for file in sorted(Path(folder).rglob("*")):
                    if file.is_file() and file.name not in {*found, "config.json"}:
                        found[file.name] = file.read_bytes()[:60_000] if name != "trackio" else file.read_bytes()
    found["tracker_metrics.jsonl"] = b'{"config": {"lr": 1}, "summary": {"train/loss": 3.0, "_runtime": 5}}\n'
    found["metrics_step10.json"] = b'{"train/CE loss": 3.0}'
    found["meta.yaml"] = b"lifecycle_stage: active\nrun_id: abc\nstatus: 3\nstart_time: 1700000000000\n"
    found["runs.csv"] = (
        b'"Name","ID","State","Created","Runtime","lr","train/loss"\n"a","abcd1234","finished","2026-01-01T00:00:00Z","9","1","2"\n'
    )
    return found


@st.composite
def damaged(draw):
    """The name of a file and bytes that began as one of its kind: cut, overwritten, repeated, or none of its own."""
    name = draw(st.sampled_from(sorted(samples())))
    data = bytearray(samples()[name])
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        action = draw(st.sampled_from(["cut", "write", "insert", "repeat", "near start"]))
        if action == "cut":
            del data[at:]
        elif action == "write":
            data[at : at + 4] = draw(st.binary(min_size=1, max_size=4))
        elif action == "insert":
            data[at:at] = draw(
                st.sampled_from(
                    [b"NaN", b"-Infinity", b"1e999", b"\0", b"\xff\xfe", b"9" * 400, b"\n", b"{", b"step: 1  loss: "]
                )
            )
        elif action == "repeat":
            data += data[at:]
        else:
            data[at % 40 : at % 40 + 2] = draw(st.binary(min_size=2, max_size=2))
    return name, bytes(data)


def survive(name, data):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data)
        try:
            segments, _ = read(folder)
        except PlannerError as error:
            assert error.message and "\x1b" not in error.message
            return
        for segment in segments:
            for one in segment.history.values():
                assert one.step.size == one.value.size and (one.time is None or one.time.size == one.step.size)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged())
def test_damaged_files_raise_nothing_but_the_planners_errors(found):
    survive(*found)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(samples())), st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_the_planners_errors(name, data):
    survive(name, data)
    for start in (4, 16, 40):
        survive(name, samples()[name][:start] + data)


@pytest.mark.parametrize("reader", FILES, ids=lambda reader: reader.name)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=200))
def test_every_reader_survives_a_file_that_it_would_not_have_claimed(reader, data):
    """What `--format` makes possible."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        source = Source.of(folder)
        with contextlib.suppress(PlannerError):
            list(reader.read([Part(source, (path,), str(path))]).segments)


@pytest.mark.parametrize("name", sorted(samples()))
def test_a_file_of_each_kind_is_read_before_it_is_damaged(tmp_path, name):
    (tmp_path / name).write_bytes(samples()[name])
    assert len(read(tmp_path)[0]) >= 1


PRINTED = ["megatron", "nemo", "torchtitan", "nanochat", "maxtext", "olmo_core", "levanter"]


@pytest.mark.parametrize("name", PRINTED)
def test_a_last_line_cut_in_half_gives_no_number(tmp_path, name):
    """Wherever a log is cut, no value is read that was not logged."""
    FORMATS[name].write(tmp_path, [run for run in lab() if run.name == "spiked"])
    (path,) = tmp_path.iterdir()
    text = path.read_text()
    whole, _ = read(tmp_path)
    true = {
        (metric, step): value
        for metric, one in whole[0].history.items()
        for step, value in zip(one.step, one.value, strict=True)
    }
    start = text.index("\n", len(text) // 2)
    for cut in range(start, start + 420, 7):
        path.write_text(text[:cut])
        (segment,), skipped = read(tmp_path)
        for metric, one in segment.history.items():
            for step, value in zip(one.step, one.value, strict=True):
                assert true[metric, step] == value
        assert skipped.get("a last line cut in half", 0) == bool(text[:cut].rpartition("\n")[2].strip())


@pytest.mark.parametrize("name", PRINTED)
def test_packed_and_otherwise_encoded_logs_are_read_the_same(tmp_path, name):
    folder = tmp_path / "plain"
    folder.mkdir()
    FORMATS[name].write(folder, lab())
    plain, _ = read(folder)
    for kind, change in {
        "gzip": lambda data: gzip.compress(data),
        "utf-16": lambda data: data.decode().encode("utf-16"),
        "utf-8-sig": lambda data: b"\xef\xbb\xbf" + data,
        "windows": lambda data: data.replace(b"\n", b"\r\n"),
        "latin-1 in it": lambda data: b"caf\xe9 \xff\n" + data,
    }.items():
        other = tmp_path / kind
        other.mkdir()
        for file in folder.iterdir():
            (other / (file.name + (".gz" if kind == "gzip" else ""))).write_bytes(change(file.read_bytes()))
        found, _ = read(other)
        assert len(found) == len(plain), kind
        for one, ours in zip(found, plain, strict=True):
            for metric, series in ours.history.items():
                np.testing.assert_array_equal(one.history[metric].value, series.value)


def test_a_gzip_cut_short_gives_the_lines_before_the_cut(tmp_path):
    FORMATS["megatron"].write(tmp_path, lab()[1:2])
    (path,) = tmp_path.iterdir()
    packed = gzip.compress(path.read_bytes())
    path.write_bytes(packed[: len(packed) // 2])
    (segment,), skipped = read(tmp_path)
    assert 10 < segment.history["lm loss"].step.size < 100
    assert "the rest of a gzip file that is cut short or damaged" in skipped


@pytest.mark.parametrize("length", [2_000_000, 9_000_000])
def test_a_line_of_millions_of_characters_is_skipped_and_counted_and_never_held(tmp_path, length):
    FORMATS["torchtitan"].write(tmp_path, lab()[1:2])
    (path,) = tmp_path.iterdir()
    lines = path.read_text().split("\n")
    path.write_text("\n".join([*lines[:50], "x" * length + "step: 7  loss: 1.0  memory: 1GiB", *lines[50:]]))
    tracemalloc.start()
    (segment,), skipped = read(tmp_path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 12_000_000  # bytes: a few chunks and lines of a million
    assert segment.history["loss_metrics/global_avg_loss"].step.size == 100
    assert skipped["a line of more than a million characters"] == 1


def test_steps_and_clocks_that_go_back_are_kept_as_logged(tmp_path):
    line = " [{}] iteration {:8d}/     100 | consumed samples: {:12d} | lm loss: 2.5E+00 |\n"
    clocks = ["2026-10-25 02:59:50", "2026-10-25 02:00:10", "2026-10-25 02:00:30"]
    (tmp_path / "a.log").write_text(
        "".join(line.format(clock, step, step) for clock, step in zip(clocks, (10, 20, 20), strict=True))
    )
    (segment,), skipped = read(tmp_path)
    loss = segment.history["lm loss"]
    assert loss.step.tolist() == [10, 20] and loss.time[1] < loss.time[0]
    assert skipped["a value that was logged twice"] >= 1
    (tmp_path / "a.log").write_text("".join(line.format(clocks[0], step, step) for step in (10, 20, 11, 12)))
    assert [s.history["lm loss"].step.tolist() for s in read(tmp_path)[0]] == [[10, 20], [11, 12]]


def test_grouped_integers_and_colours_are_numbers(tmp_path):
    (tmp_path / "a.log").write_text(
        "\x1b[31mstep: 1,000  \x1b[32mloss:  2.5000  \x1b[33mgrad_norm:  0.5  \x1b[36mmemory: 1.0GiB(2%)  "
        "\x1b[34mtps: 1,234,567\x1b[0m\n"
    )
    (segment,), _ = read(tmp_path)
    assert segment.history["throughput(tps)"].value.tolist() == [1_234_567.0]
    assert segment.history["loss_metrics/global_avg_loss"].step.tolist() == [1000.0]


def test_nan_and_infinity_are_kept(tmp_path):
    rows = [{"step": 1, "loss": math.nan}, {"step": 2, "loss": math.inf}, {"step": 3, "loss": 2.5}]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"best_metric": None, "epoch": 1, "log_history": rows}))
    (segment,), _ = read(tmp_path)
    np.testing.assert_array_equal(segment.history["loss"].value, [math.nan, math.inf, 2.5])


def test_nan_is_missing_in_a_csv_and_a_value_in_json(tmp_path):
    rows = [{"_step": 0, "_timestamp": 1.0, "train/loss": 3.0}, {"_step": 1, "_timestamp": 2.0, "train/loss": math.nan}]
    for name, text, points in (
        ("a.csv", "_step,_timestamp,train/loss\n0,1.0,3.0\n1,2.0,NaN\n", 1),
        ("b.jsonl", "".join(json.dumps(row) + "\n" for row in rows), 2),
        ("c.json", json.dumps(rows), 2),
    ):
        (tmp_path / name).write_text(text)
        (segment,), _ = read(tmp_path / name)
        assert segment.history["train/loss"].step.size == points, name


@pytest.mark.parametrize("name", ["model.pkl", "weights.pt", "no_ending"])
def test_a_pickle_is_refused_and_never_loaded(tmp_path, name):
    marker = tmp_path / "ran"

    class Run:
        def __reduce__(self):
            return Path.touch, (marker,)

    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / name).write_bytes(pickle.dumps(Run()))
    with pytest.raises(InputError, match="a pickle, which can run any program"):
        read(folder)
    assert not marker.exists()


def test_when_no_reader_fits_the_message_names_all_that_were_tried(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing of any trainer\n")
    with pytest.raises(InputError, match="no reader fits") as error:
        read(tmp_path)
    for reader in READERS:
        assert reader.reads in error.value.hint


def test_hostile_names_are_data(tmp_path):
    """In trackio's and W&B's files they are read as they are; shown places have no control characters."""
    base = sqlite3.connect(tmp_path / "lab.db")
    base.execute("CREATE TABLE metrics (id INTEGER PRIMARY KEY, run_id, timestamp, run_name, step, metrics)")
    base.execute("CREATE TABLE configs (id INTEGER PRIMARY KEY, run_id, run_name, config)")
    row = json.dumps({HOSTILE: 1.0, "train/loss": 2.0})
    base.execute("INSERT INTO metrics VALUES (1, ?, '2026-01-01', ?, 1, ?)", (HOSTILE, HOSTILE, row))
    base.commit()
    base.close()
    (tmp_path / "run-\x1b[31m.wandb").write_bytes(wandb_file([wandb_record(2, {HOSTILE: 1.0, "_step": 1})]))
    segments, _ = read(tmp_path)
    assert {HOSTILE} <= set(segments[0].history) and {HOSTILE} <= set(segments[1].history)
    assert segments[1].name == HOSTILE
    assert all("\x1b" not in segment.place for segment in segments)


def test_a_crafted_schema_of_a_database_runs_nothing(tmp_path):
    """A view in place of a table: SQLite would evaluate it; such a file is no store of trackio."""
    base = sqlite3.connect(tmp_path / "lab.db")
    base.execute("CREATE TABLE configs (run_id, run_name, config)")
    base.execute("CREATE VIEW metrics AS SELECT 1 AS run_id, load_extension('x') AS metrics")
    base.commit()
    base.close()
    with pytest.raises(InputError, match="no reader fits"):
        read(tmp_path)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir(), inside.mkdir()
    FORMATS["megatron"].write(outside, lab())
    (inside / "a.out").symlink_to(next(outside.iterdir()))
    with pytest.raises(InputError, match="no reader fits"):
        read(inside)


def test_a_json_document_over_the_limit_is_refused_and_one_at_the_limit_read(tmp_path, monkeypatch):
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"log_history": [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.5}]}))
    size = path.stat().st_size
    monkeypatch.setattr(texts, "LARGEST_DOCUMENT", size)
    assert len(read(tmp_path)[0]) == 1
    monkeypatch.setattr(texts, "LARGEST_DOCUMENT", size - 1)
    with pytest.raises(InputError, match=r"trainer_state\.json: more than 256 MiB of JSON"):
        read(tmp_path)
