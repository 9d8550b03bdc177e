"""`planner launch`: what a user sees, and real kills of launcher and workers."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab" / "local"))
from tiny_plans import branch, row, write, write_texts

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch (the extra [train]) is not installed"
)


KILLS = int(os.environ.get("PLANNER_KILLS", "4"))  # at random points: a minute with 4, a quarter of an hour with 50


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "texts")


def losses(folder: Path) -> dict[str, str]:
    """The last line of each log: final loss, tokens, FLOPs, status, as it stands in the file."""
    return {log.stem: log.read_text().splitlines()[-1] for log in sorted((folder / "logs").glob("*.jsonl"))}


def test_a_dry_run_tells_what_would_be_trained_and_writes_nothing(planner, tmp_path, corpus):
    plan = write(tmp_path / "plan.csv", row("a"), row("b", steps=80))
    done = planner("launch", plan, "--on", "local", "--corpus", corpus, "-o", "out", "--dry-run", "--json")
    assert done.code == 0 and done.json["submitted"] == ["a", "b"] and done.json["failed"] == {}
    assert "2 runs to train, 0 skipped" in done.err and "FLOPs" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("cells", "options", "words"),
    [
        ({}, ("--on", "moon"), "--on 'moon' is no place"),
        ({}, ("--on", "local", "--corpus", "nowhere"), "--corpus nowhere: no such file or folder"),
        ({}, ("--on", "local", "--epochs", "0.01"), "are more than 0.01 epochs of the"),
        ({"variant": "muon"}, ("--on", "local"), "variant = 'muon'"),
        ({"vocab_size": 129_280}, ("--on", "local"), "trains on bytes"),
        ({}, ("--on", "local", "--where", "variant=x"), "no row meets --where"),
    ],
)
def test_what_cannot_be_launched_is_refused_before_anything_is_written(
    planner, tmp_path, corpus, cells, options, words
):
    plan = write(tmp_path / "plan.csv", row("a", **cells))
    given = options if "--corpus" in options else (*options, "--corpus", corpus)
    done = planner("launch", plan, *given, "-o", "out")
    assert done.code == 2 and words in done.err and "try:" in done.err
    assert not (tmp_path / "out").exists()


def test_without_pytorch_one_line_says_what_to_install(planner, tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = planner("launch", write(tmp_path / "plan.csv", row("a")), "--on", "local", "--corpus", corpus, "-o", "out")
    assert done.code == 2 and "training needs PyTorch" in done.err and "scaling-planner[train]" in done.err
    assert not (tmp_path / "out").exists()


def command(plan: Path, corpus: Path, folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "planner", "launch", str(plan), "--on", "local", "--corpus", str(corpus), "-o", str(folder),
            "--jobs", "2", "--json", *options]  # fmt: skip


@needs_torch
def test_a_plan_is_trained_and_the_folder_is_complete(tmp_path, corpus):
    plan = write(tmp_path / "plan.csv", row("a"), row("hot", lr_peak=1e6), row("t", steps=50, schedule="constant"),
                 branch("b", "t", steps=50, cooldown=10), row("q", variant="qk-norm"))  # fmt: skip
    done = subprocess.run(command(plan, corpus, tmp_path / "out"), capture_output=True, text=True, timeout=300)
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["completed"] == 4 and list(told["failed"]) == ["hot"]
    assert json.loads((tmp_path / "out/provenance.json").read_text())["state"] == "complete"
    assert "[5/5]" in done.stderr and set(losses(tmp_path / "out")) == {"a", "hot", "t", "b", "q"}
    other = write_texts(tmp_path / "other", files=50)
    refused = subprocess.run(command(plan, other, tmp_path / "out"), capture_output=True, text=True, timeout=300)
    assert refused.returncode == 2 and "made of other inputs" in refused.stdout


def children(pid: int) -> list[int]:
    """The live children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[1] == str(pid) and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@needs_torch
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds workers by /proc")
def test_killed_at_random_points_it_ends_with_the_bytes_of_an_undisturbed_launch(tmp_path, corpus):
    rows = [row("a", steps=300), row("t", steps=300, schedule="constant"), branch("b", "t", steps=300, cooldown=60),
            branch("c", "t", steps=150, cooldown=30), row("d", steps=200, variant="tied embeddings")]  # fmt: skip
    plan = write(tmp_path / "plan.csv", *rows)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert subprocess.run(command(plan, corpus, whole), capture_output=True, timeout=300).returncode == 0
    random.seed(1)
    kills = {"launcher": 0, "worker": 0}
    while True:
        launcher = subprocess.Popen(
            command(plan, corpus, cut, "--checkpoint-seconds", "0"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if sum(kills.values()) < KILLS:
            _wait_for_work(launcher, cut)
            time.sleep(random.random() * 0.8)
            workers = children(launcher.pid)
            if launcher.poll() is None:
                due = workers and kills["worker"] < kills["launcher"]
                victim = random.choice(workers) if due else launcher.pid
                kills["launcher" if victim == launcher.pid else "worker"] += 1
                os.kill(victim, signal.SIGKILL)
                if victim != launcher.pid:
                    time.sleep(random.random() * 0.5)
                    launcher.kill()
        launcher.wait(300)
        if launcher.returncode == 0:
            assert losses(cut) == losses(whole)
            assert not list((cut / "state").glob("*/.*")), "temporary files are left"
            print(f"{kills} so far, the same bytes", flush=True)
            if sum(kills.values()) >= KILLS:
                break
            shutil.rmtree(cut)
    assert min(kills.values()) >= 1, kills


def _wait_for_work(launcher: subprocess.Popen, folder: Path) -> None:
    """Until a worker has begun to write a log that was not there, or the launcher has ended."""
    began = time.monotonic()
    while launcher.poll() is None and time.monotonic() - began < 60:
        if any(log.stat().st_mtime > time.time() - 0.5 for log in (folder / "logs").glob("*.jsonl")):
            return
        time.sleep(0.02)


@needs_torch
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds workers by /proc")
def test_workers_stop_when_their_launcher_is_killed(tmp_path, corpus):
    plan = write(tmp_path / "plan.csv", row("long", steps=200_000))
    launcher = subprocess.Popen(
        command(plan, corpus, tmp_path / "out", "--epochs", "1000"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    began, log = time.monotonic(), tmp_path / "out/logs/long.jsonl"
    while not log.is_file():
        assert time.monotonic() - began < 120 and launcher.poll() is None
        time.sleep(0.05)
    workers = children(launcher.pid)
    assert workers
    launcher.kill()
    launcher.wait()
    began = time.monotonic()
    while any(_alive(worker) for worker in workers):
        assert time.monotonic() - began < 60
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
