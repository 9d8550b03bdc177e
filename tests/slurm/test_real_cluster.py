"""`planner launch --on slurm` on a real cluster: runs that fail, are preempted and cancelled; launcher and slurmctld killed."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster import Cluster
from pretending import launch_pretending
from tiny_plans import branch, row, write

from planner.lab.local.places import Ending, Places
from planner.lab.slurm import scheduler

PRETEND = Path(__file__).resolve().parent / "pretend.py"
TRAINER = f"{shlex.quote(sys.executable)} {shlex.quote(str(PRETEND))}"
PATIENT = 150.0  # seconds for what takes ten on an idle machine


def arguments(plan: Path, folder: Path, *options: str) -> list[str]:
    return ["launch", str(plan), "--on", "slurm", "--command", TRAINER, "-o", str(folder), "--poll-seconds", "0.2", "--json",
            *options]  # fmt: skip


def start(*given: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "planner", *given], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(true, what: str) -> None:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < PATIENT, what
        time.sleep(0.1)


def traces(folder: Path) -> dict[str, list[str]]:
    """What each run did, word by word: start, end, fail."""
    return {
        file.name: [line.split()[0] for line in file.read_text().splitlines()] for file in (folder / "traces").glob("*")
    }


def states(slurm: Cluster) -> list[str]:
    return slurm.call("squeue", "-h", "-r", "-o", "%T").split()


def test_every_run_is_accounted_for_whatever_is_killed(slurm, tmp_path):
    """20 runs on the scavenger partition: some fail, all that run are preempted once, the launcher dies, slurmctld dies."""
    names = [*(f"ok{n}" for n in range(10)), *(f"slow{n}" for n in range(6)), "flaky1", "flaky2", "fail1"]
    plan = write(tmp_path / "plan.csv", *(row(name) for name in names), branch("after", "ok1", steps=60, cooldown=10))
    folder = tmp_path / "out"
    given = arguments(plan, folder, "--sbatch=--partition=scav", "--attempts", "2")

    first = start(*given)
    until(
        lambda: sum((folder / f"state/ok{n}/outcome.json").exists() for n in range(10)) == 10, "short runs have ended"
    )
    until(lambda: {f"slow{n}" for n in range(6)} <= traces(folder).keys(), "slow runs are running")
    first.send_signal(signal.SIGKILL)
    first.communicate()

    urgent = slurm.call(
        "sbatch", "--parsable", "--partition=main", "--nodes=4", "--exclusive", "--output=/dev/null", "--wrap=sleep 0.5"
    ).strip()
    until(
        lambda: urgent not in slurm.call("squeue", "-h", "-o", "%A", "--partition=main").split(),
        "what preempts has run",
    )
    slurm.stop_controller()
    second = start(*given, "--patience", "1")
    out, _ = second.communicate(timeout=PATIENT)
    assert second.returncode == 3 and json.loads(out)["error"]["message"].startswith("Slurm does not answer: ")
    slurm.start_controller()
    slurm.call(
        "scancel", "--user=root", "--partition=main"
    )  # a killed slurmctld may think that what preempted still runs

    third = start(*given)
    until(lambda: sum("end" in did for did in traces(folder).values()) >= 12, "most runs have ended")
    third.send_signal(signal.SIGKILL)
    third.communicate()
    last = start(*given)
    out, err = last.communicate(timeout=PATIENT)
    assert last.returncode == 0, out + err
    said = json.loads(out)

    did = traces(folder)
    assert set(did) == {*names, "after"}
    assert all(words.count("end") == (0 if run == "fail1" else 1) for run, words in did.items()), did
    assert all(words == ["start", "start", "end"] for run, words in did.items() if run.startswith("slow")), "preempted"
    arrays = [json.loads(file.read_text())["entries"] for file in (folder / "state/slurm").glob("planner-*.json")]
    submitted = [entry["run_id"] for entries in arrays for entry in entries]
    assert submitted.count("fail1") == 2, "its two attempts; what Slurm requeued is not counted"
    assert all(submitted.count(run) == 1 for run in names if run.startswith(("ok", "slow"))), (
        "Slurm requeued these itself"
    )
    ended = {run: json.loads((folder / f"state/{run}/outcome.json").read_text())["status"] for run in did}
    assert ended == dict.fromkeys(did, "completed") | {"fail1": "failed"}
    assert set(said["skipped"]) | set(said["failed"]) | set(said["submitted"]) == {*names, "after"}
    assert "failed 2 times: exit status 3: ValueError: fail1 does not work" in said["failed"]["fail1"]
    assert not states(slurm), "nothing is left in the queue"


def test_one_array_per_shape_and_a_second_launch_submits_nothing(slurm, planner, tmp_path):
    plan = write(tmp_path / "plan.csv", *(row(f"ok{n}", gpu_hours=1.0) for n in range(5)), row("ok9", gpu_hours=30.0),
                 row("okbig", nodes=2, n_accelerators=2, gpu_hours=1.0))  # fmt: skip
    given = arguments(plan, tmp_path / "out")
    done = planner(*given)
    assert done.code == 0 and done.json["completed"] == 7, done.err
    assert [one["n_runs"] for one in done.json["arrays"]] == [5, 1, 1]
    names = slurm.call("squeue", "-h", "-r", "-t", "all", "-o", "%j", "-j", str(done.json["arrays"][0]["job"])).split()
    assert sorted(names) == [f"ok{n}" for n in range(5)], "the queue shows each run by its own name"
    again = planner(*given)
    assert again.json["submitted"] == [] and len(again.json["skipped"]) == 7 and again.json["arrays"] == []
    assert all(words.count("end") == 1 for run, words in traces(tmp_path / "out").items() if run != "okbig")
    assert traces(tmp_path / "out")["okbig"].count("end") == 2  # one process a node, by srun
    imported = planner("import", tmp_path / "out/logs", "-o", "runs", "--json")
    assert imported.code == 0 and imported.json["n_runs"] == 7


def test_a_run_that_a_person_cancels_is_not_submitted_again_by_that_launch(slurm, tmp_path):
    plan = write(tmp_path / "plan.csv", row("long1"), row("ok1"))
    launch = start(*arguments(plan, tmp_path / "out"))
    until(
        lambda: traces(tmp_path / "out").get("long1") and states(slurm) == ["RUNNING"], "the long run is running, alone"
    )
    slurm.call("scancel", slurm.call("squeue", "-h", "-r", "-o", "%i").strip())
    out, err = launch.communicate(timeout=PATIENT)
    assert launch.returncode == 0 and json.loads(out)["failed"] == {"long1": "failed: cancelled in the queue"}, err
    assert traces(tmp_path / "out")["long1"] == ["start"]


class ClosedGates:
    """Gates that have closed on everything behind stage 1."""

    stage = 1

    def __init__(self, behind: list[str]) -> None:
        self.closed = dict.fromkeys(behind, "its gate closed after stage 1 (unlikely to help at the target)")

    def waits(self, run: str) -> bool:
        return run in self.closed

    def judge(self, outcomes) -> str:
        return "complete"


def test_what_a_closed_gate_no_longer_needs_is_taken_out_of_the_queue(slurm, tmp_path):
    behind = [f"long{n}" for n in range(40)]  # more than the cluster's 16 cores: some run, some wait
    plan = write(tmp_path / "plan.csv", row("ok1"), *(row(run, stage=2) for run in behind))
    places = Places(tmp_path / "out")
    launch_pretending(plan, places, wait=False)
    until(lambda: states(slurm).count("RUNNING") >= 10, "the cluster is full")
    done = launch_pretending(plan, places, ClosedGates(behind))
    assert not states(slurm), "running and waiting tasks are gone"
    assert set(done.skipped) == set(behind) and list(done.outcomes) == ["ok1"]
    assert {places.outcome(run).status for run in behind} == {Ending.CANCELLED}
    lines = [json.loads(places.log(run).read_text().splitlines()[-1]) for run in behind]
    assert all(line["status"] == "cancelled" and "its gate closed" in line["reason"] for line in lines)


@pytest.mark.parametrize(
    ("cells", "options", "words"),
    [
        ({}, ("--sbatch=--partition=nope",), "invalid partition specified: nope"),
        ({"gpu_hours": 3.0}, ("--sbatch=--partition=short",), "a time limit of 8 h is over the 0.166667 h of partition short"),
        ({"nodes": 9, "n_accelerators": 9}, (), "9 nodes are wanted, partition main gives 4"),
        ({"nodes": 1, "n_accelerators": 9}, (), "Requested node configuration is not available"),
        ({}, ("--sbatch=--array=1-2",), "the launcher sets --array itself"),
        ({}, ("--sbatch=rm -rf",), "an option of sbatch is wanted"),
        ({}, ("--trainer", "nope"), "--trainer 'nope' is unknown"),
        ({}, ("--jobs", "2"), "--jobs is for --on local"),
    ],
)  # fmt: skip
def test_what_the_cluster_never_runs_is_refused_before_anything_is_written(
    slurm, planner, tmp_path, cells, options, words
):
    if cells.get("gpu_hours") == 3.0:
        cells = {"gpu_hours": 4.5}  # half as much again is 6.75 h: a limit of 8 h
    if "not available" in words:
        until(scheduler.all_up, "every node answers")  # sbatch judges by those that do
    done = planner(*arguments(write(tmp_path / "plan.csv", row("a", **cells)), tmp_path / "out", *options))
    assert done.code == 2 and words in done.json["error"]["message"], done.out
    assert done.json["error"]["try"] and not (tmp_path / "out").exists()


def test_a_submission_that_was_made_and_not_recorded_is_found_and_not_made_again(slurm, planner, tmp_path):
    """The launcher dies between sbatch's answer and its own note of it: the array is found by its comment."""
    plan = write(tmp_path / "plan.csv", *(row(f"ok{n}") for n in range(3)))
    folder = tmp_path / "out"
    first = planner(*arguments(plan, folder, "--no-wait", "--sbatch=--begin=now+2"))
    assert first.code == 0 and first.json["left"] == 3
    with contextlib.suppress(FileNotFoundError):
        (next((folder / "state/slurm").glob("*-0001.json")).with_suffix(".job")).unlink()
    done = planner(*arguments(plan, folder))
    assert done.json["completed"] + len(done.json["skipped"]) == 3 and len(done.json["arrays"]) == 1
    assert all(words == ["start", "end"] for words in traces(folder).values())
