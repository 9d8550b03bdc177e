"""What is written is whole or absent, says where it came from, and is never trusted when it changed."""

import dataclasses
import json
import os
import re
from enum import Enum
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.encode import FORMATS, table_bytes, to_json
from planner.errors import InputError, WorldError
from planner.store import Folder, read_json, read_provenance, require_complete, write_bytes
from planner.text import slug

INPUTS = {"sweep": "abc"}
quickly = settings(max_examples=100, deadline=None, derandomize=True)


@pytest.fixture
def complete(tmp_path) -> Path:
    folder = Folder(tmp_path / "results", "run", INPUTS, seed=3)
    folder.start()
    folder.write_json("fit.json", {"loss": 2.5})
    folder.write_table("plan.csv", pd.DataFrame({"params": [1e9]}))
    folder.finish()
    return folder.path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_write_leaves_the_file_alone_in_its_folder(tmp_path):
    path = write_bytes(tmp_path / "new" / "a.txt", b"one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["a.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch, step):
    path = write_bytes(tmp_path / "a.txt", b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, full)
    with pytest.raises(WorldError, match=r"a\.txt: cannot be written: No space left on device"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


def test_a_write_that_is_interrupted_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a.txt", b"new")
    assert names(tmp_path) == []


def test_a_path_under_a_file_is_a_world_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorldError, match="cannot be written") as failure:
        write_bytes(tmp_path / "file" / "deep" / "a.txt", b"x")
    assert failure.value.exit_code == 3
    with pytest.raises(WorldError, match="cannot be written"):
        Folder(tmp_path / "file" / "results", "run", INPUTS).start()


def test_a_complete_folder_says_how_it_was_made(complete):
    record = require_complete(complete)
    assert (record["state"], record["command"], record["inputs"], record["seed"]) == ("complete", "run", INPUTS, 3)
    assert list(record["files"]) == ["fit.json", "plan.csv"]
    assert {"schema", "planner", "arguments", "written"} <= record.keys()
    assert read_json(complete / "fit.json") == {"loss": 2.5}


def test_a_folder_that_was_not_finished_is_refused(tmp_path):
    folder = Folder(tmp_path / "results", "run", INPUTS)
    folder.start()
    folder.write_text("a.txt", "half")
    with pytest.raises(InputError, match="was left half written"):
        require_complete(folder.path)


def test_a_changed_file_is_noticed(complete):
    (complete / "plan.csv").write_text("params\n2e9\n")
    with pytest.raises(InputError, match=r"plan\.csv: was changed after it was written"):
        require_complete(complete)


def test_a_missing_file_is_noticed(complete):
    (complete / "fit.json").unlink()
    with pytest.raises(InputError, match=r"fit\.json is missing"):
        require_complete(complete)


def test_a_missing_folder_is_noticed(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        require_complete(tmp_path / "nowhere")


def test_a_reopened_folder_stays_complete(complete):
    folder = Folder.reopen(complete)
    folder.write_json("score.json", [1])
    folder.finish()
    assert list(require_complete(complete)["files"]) == ["fit.json", "plan.csv", "score.json"]


def test_a_folder_of_strangers_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"no provenance\.json: planner did not write it"):
        Folder(tmp_path, "run", INPUTS).start()
    assert names(tmp_path) == ["thesis.tex"]


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "results").write_text("x")
    with pytest.raises(InputError, match="is a file, not a folder"):
        Folder(tmp_path / "results", "run", INPUTS).check()


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_of_another_command_is_refused(complete, replace):
    with pytest.raises(InputError, match="holds what `planner run` made of other inputs"):
        Folder(complete, "fit", INPUTS, seed=3, replace=replace).check()


@pytest.mark.parametrize(("inputs", "seed"), [({"sweep": "other"}, 3), (INPUTS, 4)])
def test_a_folder_of_other_inputs_is_refused_unless_replaced(complete, inputs, seed):
    with pytest.raises(InputError, match="made of other inputs"):
        Folder(complete, "run", inputs, seed=seed).check()
    assert Folder(complete, "run", inputs, seed=seed, replace=True).check() is None


@pytest.mark.parametrize("make", ["nothing", "empty folder", "same inputs"])
def test_a_folder_that_is_ours_or_empty_is_accepted(tmp_path, make):
    folder = Folder(tmp_path / "results", "run", INPUTS)
    if make == "empty folder":
        folder.path.mkdir()
    if make == "same inputs":
        Folder(tmp_path / "results", "run", INPUTS).start()
    folder.start()
    assert read_provenance(folder.path)["state"] == "started"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable"),
        ("[]", "not a record of schema 1"),
        ('{"schema": 1}', "not a record of schema 1"),
        (
            '{"schema": 99, "state": "", "command": "", "inputs": {}, "seed": 0, "files": {}}',
            "not a record of schema 1",
        ),
        ('{"schema": 1, "state": "complete", "command": "", "inputs": {}, "seed": 0, "files": []}', "not a record"),
    ],
)
def test_a_record_that_is_not_ours_is_refused(tmp_path, text, message):
    (tmp_path / "provenance.json").write_text(text)
    with pytest.raises(InputError, match=f"provenance.json: {message}"):
        require_complete(tmp_path)


def test_a_registered_forecast_is_never_overwritten(tmp_path):
    folder = Folder(tmp_path / "results", "run", INPUTS)
    path = folder.register("forecast.json", {"loss": 1.9})
    before = path.read_bytes()
    assert folder.register("forecast.json", {"loss": 1.9}) == path
    with pytest.raises(InputError, match=r"forecast\.json: another forecast is registered here"):
        folder.register("forecast.json", {"loss": 1.8})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), ("{", "not JSON"), ("[1]", "does not hold one JSON object"), ("\0", "not JSON")],
)
def test_a_file_that_is_not_one_json_object_is_refused(tmp_path, content, message):
    path = tmp_path / "fit.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=rf"fit\.json: {message}"):
        read_json(path)


def test_json_under_a_file_or_in_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("{}")
    for path in (tmp_path, tmp_path / "file" / "fit.json"):
        with pytest.raises(InputError, match=re.escape(str(path))):
            read_json(path)


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: float
    colour: Colour


def test_json_has_null_for_what_is_not_finite():
    value = {"a": [np.nan, np.inf, -np.inf, np.float32("nan"), 1.5], "b": np.array([1.0, np.nan])}
    assert json.loads(to_json(value)) == {"a": [None, None, None, None, 1.5], "b": [1.0, None]}


def test_json_of_our_values_is_plain():
    value = [np.int64(3), np.bool_(True), Point(0.1, Colour.RED), (1, "é"), {1: None}]
    assert json.loads(to_json(value)) == [3, True, {"x": 0.1, "colour": "red"}, [1, "é"], {"1": None}]


def test_json_of_what_has_no_form_is_our_bug():
    with pytest.raises(TypeError, match="complex has no JSON form"):
        to_json(1j)


@quickly
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_json_keeps_every_digit(number):
    assert json.loads(to_json({"x": number}))["x"] == number


@pytest.mark.parametrize("kind", FORMATS)
def test_a_table_is_written_to_the_same_bytes_every_time(kind):
    frame = pd.DataFrame({"params": np.arange(9.0), "name": list("abcdefghi")})
    assert table_bytes(frame, kind) == table_bytes(frame.copy(), kind)


def test_an_unknown_format_is_refused():
    with pytest.raises(InputError, match="unknown format 'xls'") as refusal:
        table_bytes(pd.DataFrame(), "xls")
    assert "parquet" in refusal.value.hint


@quickly
@given(st.text(min_size=1) | st.text("./\\-a\n\0~", min_size=1, max_size=90))
def test_a_slug_is_safe_in_a_file_name(text):
    found = slug(text)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,67}", found)
    assert not found.startswith(".")
    assert f"/results/{found}.json" == os.path.normpath(f"/results/{found}.json")


def test_slugs_tell_apart_what_they_would_merge():
    texts = ["a b", "a-b", "a/b", "a  b", "é", "è", "..", "x" * 61, "x" * 62]
    assert len({slug(text) for text in texts}) == len(texts)
    assert slug("llama-3_8b.v1") == "llama-3_8b.v1"


def test_the_same_work_again_leaves_the_first_record(tmp_path):
    def fill(text: str) -> dict:
        folder = Folder(tmp_path / "f", "run", {"sweep": "a"}, seed=0)
        folder.start()
        folder.write_text("one.txt", text)
        folder.finish()
        return read_provenance(folder.path)

    first = fill("same")
    record = json.loads((tmp_path / "f/provenance.json").read_text())
    (tmp_path / "f/provenance.json").write_text(json.dumps({**record, "written": "2001-01-01T00:00:00+00:00"}))
    assert fill("same")["written"] == "2001-01-01T00:00:00+00:00"
    assert fill("other")["written"] >= first["written"]


@pytest.mark.parametrize(("loss", "stands"), [(2.0 * (1 + 1e-9), True), (2.0 * (1 + 1e-4), False), ("2.0", False)])
def test_a_forecast_made_again_on_another_machine_stands_up_to_rounding(tmp_path, loss, stands):
    folder = Folder(tmp_path / "f", "run", {}, seed=0)
    folder.start()
    first = folder.register("forecast.json", {"of": "a run", "loss": 2.0, "interval": [1.9, 2.1]}).read_bytes()
    if stands:
        folder.register("forecast.json", {"of": "a run", "loss": loss, "interval": [1.9, 2.1]})
    else:
        with pytest.raises(InputError, match="another forecast is registered"):
            folder.register("forecast.json", {"of": "a run", "loss": loss, "interval": [1.9, 2.1]})
    assert (folder.path / "forecast.json").read_bytes() == first
