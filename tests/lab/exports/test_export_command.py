"""`planner export`: what it says, writes, refuses and leaves alone."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from hostile import plan
from truths import REPOSITORY

from planner.encode import table_bytes
from planner.lab.exports import FORMATS, TRAINERS


@pytest.fixture
def table(tmp_path):
    (tmp_path / "plan.csv").write_bytes(table_bytes(plan(["baseline", "b $(c)"]), "csv"))
    return tmp_path / "plan.csv"


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_written_and_told(planner, table, tmp_path, kind):
    done = planner("export", "plan.csv", "--to", kind, "--json")
    assert done.code == 0, done.err
    assert set(done.json) == {"to", "trainer", "n_runs", "files", "missing", "folder"}
    assert (done.json["to"], done.json["n_runs"], done.json["folder"]) == (kind, 2, f"plan-{kind}")
    there = {
        str(path.relative_to(tmp_path / f"plan-{kind}"))
        for path in (tmp_path / f"plan-{kind}").rglob("*")
        if path.is_file()
    }
    assert there == {*done.json["files"], "provenance.json"}
    record = json.loads((tmp_path / f"plan-{kind}/provenance.json").read_text())
    assert (record["state"], record["command"]) == ("complete", "export")


def test_a_dry_run_writes_nothing_and_says_what_it_would(planner, table, tmp_path):
    done = planner("export", "plan.csv", "--to", "slurm", "--trainer", "megatron", "--dry-run")
    assert done.out.startswith("2 runs would be written to plan-slurm: ")
    assert "not expressible in megatron, 2 runs: variant: an idea" in done.out or "1 run: variant" in done.out
    assert "start:" not in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["plan.csv"]


def test_another_export_into_the_folder_leaves_nothing_of_the_first(planner, table, tmp_path):
    planner("export", "plan.csv", "--to", "shell", "-o", "e")
    (tmp_path / "plan.csv").write_bytes(table_bytes(plan(["other"]), "csv"))
    done = planner("export", "plan.csv", "--to", "slurm", "-o", "e")
    assert done.out.splitlines()[-1] == "start: bash e/submit.sh"
    assert [path.name for path in (tmp_path / "e/runs").iterdir()] == ["other.sh"]
    assert not (tmp_path / "e/run-all.sh").exists()


def test_same_plan_same_bytes(planner, table, tmp_path):
    first = planner("export", "plan.csv", "--to", "kubernetes", "-o", "e")
    bytes_first = {path: path.read_bytes() for path in (tmp_path / "e/jobs").iterdir()}
    planner("export", "plan.csv", "--to", "kubernetes", "-o", "e")
    assert first.code == 0
    assert bytes_first == {path: path.read_bytes() for path in (tmp_path / "e/jobs").iterdir()}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--to", "pbs"), "--to 'pbs' is unknown"),
        (("--to", "slurm", "--trainer", "x"), "--trainer 'x' is unknown"),
        (("--to", "slurm", "--command", "a 'b"), "No closing quotation"),
        (("--to", "slurm", "--time-margin", "0.5"), "--time-margin"),
        (("--to", "slurm", "--time-margin", "inf"), "--time-margin inf"),
        (("--to", "slurm", "--gpus-per-node", "3"), "8 accelerators on 3 nodes"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_two_lines_and_writes_nothing(planner, table, tmp_path, arguments, says):
    done = planner("export", "plan.csv", *arguments)
    assert done.code == 2
    assert says in done.err
    assert len(done.err.strip().splitlines()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["plan.csv"]


def test_a_nul_in_a_plan_is_refused(planner, tmp_path):
    (tmp_path / "plan.jsonl").write_text('{"run_id": "a", "variant": "x\\u0000y"}\n')
    done = planner("export", "plan.jsonl", "--to", "shell")
    assert done.code == 2
    assert "holds a NUL" in done.err


def test_names_that_a_terminal_would_obey_are_shown_as_escapes(planner, tmp_path):
    (tmp_path / "plan.jsonl").write_text('{"run_id": "a", "trunk_id": "\\u001b[31m[/x]"}\n')
    done = planner("export", "plan.jsonl", "--to", "shell")
    assert done.code == 2
    assert "\x1b" not in done.err
    assert "x1b[31m[/x]" in done.err


def test_a_plan_of_ids_alone_is_exported(planner, tmp_path):
    (tmp_path / "plan.jsonl").write_text('{"run_id": "a"}\n{"run_id": "b"}\n')
    for trainer in ("flags", "megatron", "torchtitan", "olmo-core", "nanochat"):
        assert planner("export", "plan.jsonl", "--to", "slurm", "--trainer", trainer, "-o", trainer).code == 0


def test_the_document_names_every_format_trainer_and_option(planner):
    page = (REPOSITORY / "docs/exports.md").read_text()
    assert all(f"`{name}`" in page for name in (*FORMATS, *TRAINERS))
    options = (
        "--max-array-size",
        "--at-once",
        "--time-margin",
        "--command",
        "--claim",
        "--image",
        "--dry-run",
        "--micro-batch",
    )
    shown = planner("export", "--help").out
    assert all(option in page and option in shown for option in options)


def test_the_documents_commands_run(planner, tmp_path):
    block = re.search(r"```console\n(.*?)```", (REPOSITORY / "docs/exports.md").read_text(), re.DOTALL)[1]
    lines = [shlex.split(line.removeprefix("$ ")) for line in block.splitlines()]
    assert [line[0] for line in lines] == ["planner", "planner", "bash"]
    (tmp_path / "sweeps").symlink_to(REPOSITORY / "sweeps")
    for line in lines[:2]:
        done = planner(*line[1:])
        assert done.code == 0, done.err
    assert (tmp_path / lines[2][1]).is_file()
