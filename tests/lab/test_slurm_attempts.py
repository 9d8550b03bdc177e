"""What the Slurm launcher makes of tasks that ended: attempts charged, time limits with and without progress, forgotten ends."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from planner.errors import WorldError
from planner.lab.exports.settings import Settings as Export
from planner.lab.launch import Order
from planner.lab.local.places import Ending, Outcome, Places
from planner.lab.slurm.attempts import Attempts
from planner.lab.slurm.book import Book, Entry, Submission
from planner.lab.slurm.closing import close_log, reopen_log
from planner.lab.slurm.launch import Launch, only_launcher
from planner.lab.slurm.scheduler import Queue, Task
from planner.lab.slurm.settings import Settings
from planner.lab.slurm.standing import Standing
from planner.lab.slurm.task import perform

RUN = "a"


class Bench:
    """One run on a cluster that exists on paper: the tasks that it has had, and what Slurm says of the last one."""

    def __init__(self, folder: Path) -> None:
        self.places, self.book = Places(folder), Book(folder)
        self.book.open()
        self.standing = Standing(Order([{"run_id": RUN}], {}, 0, set()), self.book)
        settings = Settings(Export(), attempts=3, preemptions=3, grace=0.0)
        self.attempts = Attempts(self.standing, self.places, self.book, settings)

    def submit(self) -> None:
        entry = Entry(
            RUN, RUN, self.standing.again.get(RUN, ""), {"run_id": RUN}, saved_steps=self.places.saved_steps(RUN)
        )
        submission = Submission(self.book.next_name(), self.book.round, (entry,))
        self.book.add(submission)
        self.standing.note(submission)
        self.book.record(submission.name, len(self.book.submissions))

    def judge(self, state: str | None, *, known: bool = True) -> str:
        """Why the run is to be submitted again after a task in this state (None: forgotten), or how it ended."""
        name = self.standing.where[RUN][-1][0]
        tasks = {} if state is None else {(name, 0): Task(state, "")}
        self.attempts.judge(Queue({name: 1} if known else {}, tasks))
        outcome = self.places.outcome(RUN)
        return self.standing.again.get(RUN, "") or (outcome.reason if outcome else "")

    def train(self, steps: int) -> None:
        path = self.places.checkpoint(RUN)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, progress=np.array([steps, 0, 0.0]))

    def print(self, words: str = "") -> None:
        self.book.output(*self.standing.where[RUN][-1]).write_text(words)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """Put a command in front of the real one."""

    def put(name: str, script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return put


@pytest.mark.parametrize("state", ["TIMEOUT", "PREEMPTED", "NODE_FAIL"])
def test_what_cuts_a_run_off_is_not_charged_while_it_gets_further(bench, state):
    for steps in range(10, 100, 10):
        bench.submit()
        bench.train(steps)
        assert bench.judge(state) == "continued"
    assert {"failed", "preempted"}.isdisjoint(bench.standing.causes[RUN])


def test_a_failure_of_its_own_is_charged_though_it_got_further(bench):
    bench.submit()
    bench.train(10)
    assert bench.judge("OUT_OF_MEMORY") == "failed"


def test_a_time_limit_without_a_new_checkpoint_is_an_attempt(bench):
    bench.submit()
    bench.train(10)
    assert bench.judge("TIMEOUT") == "continued"
    for _ in range(2):
        bench.submit()
        assert bench.judge("TIMEOUT") == "failed"
    bench.submit()
    assert bench.judge("TIMEOUT") == "failed 3 times: reached its time limit without a new checkpoint"


def test_a_checkpoint_that_cannot_be_read_is_none(bench):
    bench.submit()
    bench.train(10)
    bench.places.checkpoint(RUN).write_bytes(b"PK\x03\x04 not a zip")
    assert bench.judge("TIMEOUT") == "failed"


def test_what_slurmstepd_says_when_it_kills_is_left_out(bench):
    bench.submit()
    bench.print("slurmstepd-n0: error: Detected 1 oom_kill event in StepId=5.batch.\n")
    bench.standing.causes[RUN] = ["", "failed", "failed"]
    assert bench.judge("OUT_OF_MEMORY") == "failed 3 times: out of memory"


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("OUT_OF_MEMORY", "failed"),
        ("TIMEOUT", "failed"),
        ("NODE_FAIL", "preempted"),
        ("CANCELLED by 1000", "cancelled in the queue"),
        ("RUNNING", "preempted"),  # a record that nobody closed
    ],
)
def test_accounting_tells_what_the_queue_has_forgotten(bench, answers, state, found):
    answers("sacct", f'echo "1_0|{state}"')
    bench.submit()
    bench.print()
    assert bench.judge(None) == found


def test_a_started_task_that_slurm_forgot_was_not_cancelled_by_a_person(bench):
    """Ended tasks of an array are forgotten one by one, MinJobAge after their end, while others still run."""
    bench.submit()
    bench.print("training\n")
    assert bench.judge(None) == "preempted"


def test_a_waiting_task_that_is_gone_was_cancelled(bench):
    bench.submit()
    assert bench.judge(None) == "cancelled in the queue"
    assert bench.standing.launched.outcomes[RUN].status is Ending.FAILED


def test_where_an_outcome_may_be_on_its_way_the_launcher_says_that_it_is_in_doubt(tmp_path):
    bench = Bench(tmp_path)
    bench.attempts._settings = Settings(Export(), grace=60.0)
    bench.submit()
    assert bench.judge("COMPLETED") == "" and bench.attempts.in_doubt
    assert bench.judge("RUNNING") == "" and not bench.attempts.in_doubt


def launch_of(folder: Path, told: list[str], **settings) -> Launch:
    """A launcher that has nothing to train."""
    book = Book(folder)
    book.open()
    wanted = Settings(Export(), poll_seconds=0.05, **settings)
    return Launch(
        Order([], {}, 0, set()), [], {}, Places(folder), book, wanted, -1, None, lambda now: told.append(now.note)
    )


def test_a_slurm_that_falls_silent_is_asked_again_and_the_launcher_says_so(tmp_path, answers):
    told: list[str] = []
    answers("squeue", f"test -e {tmp_path}/up || {{ touch {tmp_path}/up; echo connection refused >&2; exit 1; }}")
    launch_of(tmp_path, told, patience=60.0).run()
    assert told == ["Slurm does not answer: squeue: connection refused; asking again for 60 s", ""]


def test_a_slurm_that_stays_silent_ends_the_launcher(tmp_path, answers):
    answers("squeue", "echo connection refused >&2; exit 1")
    with pytest.raises(WorldError, match="Slurm does not answer: squeue: connection refused"):
        launch_of(tmp_path, [], patience=0.2).run()


def test_a_second_launcher_on_a_folder_hears_who_holds_it(tmp_path, monkeypatch):
    monkeypatch.setattr("planner.lab.slurm.launch.TURN", 0.1)
    heard: list[str] = []
    book = Book(tmp_path)
    words = rf"another launcher \(process {os.getpid()} on .* works"
    with only_launcher(book), pytest.raises(WorldError, match=words), only_launcher(book, heard.append):
        pass
    assert len(heard) == 1 and "waiting 0.1 s for it" in heard[0]


def test_a_log_that_the_launcher_closed_is_opened_again_at_its_end(tmp_path):
    places = Places(tmp_path)
    path = places.log(RUN)
    path.parent.mkdir()
    path.write_text('{"run_id": "a", "step": 3, "tokens": 30, "loss": 2.0}\n')
    before = path.read_bytes()
    close_log(places, Outcome(RUN, Ending.FAILED, reason="out of memory"))
    last = json.loads(path.read_text().splitlines()[-1])
    assert (last["status"], last["step"], last["reason"]) == ("failed", 3, "out of memory")
    reopen_log(path)
    assert path.read_bytes() == before
    reopen_log(path)
    assert path.read_bytes() == before, "a trainer's own last line stays"
    reopen_log(places.log("never"))


def test_a_command_that_only_appends_finds_its_log_without_the_launchers_line(bench, tmp_path, monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_JOB_NUM_NODES"):
        monkeypatch.delenv(name, raising=False)
    script = tmp_path / "state/slurm/runs/a.sh"
    script.parent.mkdir(parents=True)
    script.write_text("""echo '{"run_id": "a", "step": 4, "tokens": 40, "loss": 1.5}' >>"$PLANNER_LOG"\n""")
    bench.book.add(Submission("mine-0001", 1, (Entry(RUN, RUN, script="state/slurm/runs/a.sh"),)))
    bench.places.logs.mkdir()
    failed = Outcome(RUN, Ending.FAILED, reason="exit status 1")
    bench.places.write_outcome(failed)
    close_log(bench.places, failed)
    assert perform(tmp_path, "mine-0001", 0, lambda: pytest.fail("no script")) == 0
    lines = [json.loads(line) for line in bench.places.log(RUN).read_text().splitlines()]
    assert [line["step"] for line in lines] == [4] and "status" not in lines[0]
    assert bench.places.outcome(RUN).status is Ending.COMPLETED
