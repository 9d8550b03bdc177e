"""What Slurm's commands say and what we make of it; commands that answer nonsense, hang or are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError, WorldError
from planner.lab.local.places import Ending, Outcome
from planner.lab.slurm import scheduler
from planner.lab.slurm.judging import ACTIVE, ITS_FATE, OWN_FAULT, active, ended
from planner.lab.slurm.scheduler import Queue, Task


@pytest.fixture
def says(tmp_path, monkeypatch):
    """Put commands in front of the real ones; each notes its arguments and answers as it is told."""

    def tell(name: str, answer: str = "", *, words: str = "", code: int = 0) -> Path:
        told = tmp_path / f"{name}.arguments"
        (tmp_path / f"{name}.out").write_text(answer)
        (tmp_path / f"{name}.err").write_text(words)
        script = f'#!/bin/sh\nprintf "%s\\n" "$@" >>{told}\ncat {tmp_path}/{name}.out\ncat {tmp_path}/{name}.err >&2\nexit {code}\n'
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        return told

    return tell


def test_the_queue_holds_our_tasks_by_name_and_index_and_nobody_elses(says):
    says("squeue", "8|16|PENDING|Resources|mine-0001\n8|0|RUNNING|None|mine-0001\n9|N/A|CANCELLED|Resources|mine-0002\n"
                   "7|N/A|RUNNING|None|theirs|with|bars\n10|0|FAILED|NonZeroExitCode|(null)\n")  # fmt: skip
    found = scheduler.queue("mine")
    assert found == Queue(
        {"mine-0001": 8, "mine-0002": 9},
        {("mine-0001", 16): Task("PENDING", "Resources"), ("mine-0001", 0): Task("RUNNING", "None")},
    )


@pytest.mark.parametrize("nonsense", ["<html>502</html>", "8|zero|RUNNING|None|mine", "8|0", "slurm: hello"])
def test_an_answer_that_is_no_queue_is_the_worlds_failure(says, nonsense):
    says("squeue", nonsense + "\n")
    with pytest.raises(WorldError, match="squeue answered what is not Slurm's"):
        scheduler.queue("mine")


@given(st.text(min_size=1))
def test_whatever_a_queue_says_it_is_read_or_refused_in_one_line(text):
    found = scheduler._ROW.fullmatch(text.strip())
    assert found is None or "\n" not in found[0]


@pytest.mark.parametrize("answer", ["", "Submitted batch job 7", "-3", "7 8"])
def test_sbatch_that_answers_no_job_id_is_the_worlds_failure(says, answer):
    says("sbatch", answer)
    with pytest.raises(WorldError, match="sbatch answered what is not Slurm's"):
        scheduler.submit("mine-0001", "x.sbatch", [], keep=1)


def test_a_submission_bears_its_name_as_comment_and_no_shell_reads_it(says, tmp_path):
    told = says("sbatch", "12;cluster\n")
    name = f"mine-0001; touch {tmp_path}/PWNED $(id)"
    assert scheduler.submit(name, "a b.sbatch", ["--partition=x y"], keep=1) == 12
    assert told.read_text().splitlines() == [
        "--parsable", "--partition=x y", f"--job-name={name}", f"--comment={name}", "a b.sbatch",
    ]  # fmt: skip
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize(
    "words",
    [
        "slurm_load_jobs error: Socket timed out on send/recv operation",
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
        "sbatch: error: If munged is up, restart with --num-threads=10",
        "sbatch: error: slurm_persist_conn_open_without_init: failed to open persistent connection: Connection refused",
        "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received",
    ],
)
def test_silence_is_told_from_refusal(says, words):
    says("sbatch", words=words, code=1)
    with pytest.raises(WorldError, match="Slurm does not answer: sbatch"):
        scheduler.check("", [])


def test_a_refusal_has_slurms_own_words(says):
    says(
        "sbatch",
        words="sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed\n",
        code=1,
    )
    with pytest.raises(scheduler.Refused, match=r"^invalid partition specified: nope; Batch job submission failed$"):
        scheduler.check("", [])


def test_a_command_that_hangs_is_given_up(says, tmp_path, monkeypatch):
    says("squeue")
    (tmp_path / "squeue").write_text("#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr(scheduler, "SECONDS", 0.2)
    with pytest.raises(WorldError, match=r"no answer within 0\.2 s"):
        scheduler.queue("mine")


def test_without_sbatch_one_line_says_so(planner, tmp_path, monkeypatch):
    (tmp_path / "plan.csv").write_text("run_id,tokens\na,1000\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = planner("launch", "plan.csv", "--on", "slurm", "--command", "true", "-o", "out")
    assert done.code == 2 and "sbatch: not found" in done.err and not (tmp_path / "out").exists()
    shown = planner("launch", "plan.csv", "--on", "slurm", "--command", "true", "-o", "out", "--dry-run", "--json")
    assert shown.code == 0 and "--array=0-0" in shown.json["arrays"][0]["script"] and not (tmp_path / "out").exists()


def test_tasks_are_cancelled_by_job_and_ranges(says):
    told = says("scancel")
    scheduler.cancel([(8, 3), (8, 4), (9, 1), (8, 1), (8, 5)])
    assert told.read_text().splitlines() == ["8_[1,3-5]", "9_[1]"]


def test_cancelling_what_has_ended_is_no_error_and_silence_is(says):
    says(
        "scancel",
        words="scancel: error: Kill job error on job id 8_1: Job/step already completing or completed",
        code=1,
    )
    scheduler.cancel([(8, 1)])
    says("scancel", words="scancel: error: Kill job error on job id 8_1: Unable to contact slurm controller", code=1)
    with pytest.raises(WorldError):
        scheduler.cancel([(8, 1)])


@pytest.mark.parametrize(
    ("limit", "hours"),
    [("UNLIMITED", None), ("00:10:00", 1 / 6), ("7-00:00:00", 168.0), ("90", 1.5), ("30:30", 0.5 + 30 / 3600),
     ("2-12", 60.0), ("1-0:30", 24.5)],
)  # fmt: skip
def test_time_limits_are_read_as_sbatch_documents_them(limit, hours):
    assert scheduler.hours_of(limit) == pytest.approx(hours) if hours else scheduler.hours_of(limit) is None


@pytest.mark.parametrize("state", sorted(ACTIVE | OWN_FAULT.keys() | ITS_FATE.keys() | {"CANCELLED"}))
def test_a_task_is_active_or_has_ended_and_never_both(state):
    if not active(Task(state, "")):
        assert ended(Task(state, ""), None, known=True, started=True).why


def test_a_state_that_slurm_does_not_have_is_the_worlds_failure():
    with pytest.raises(WorldError, match="'BANANA'"):
        active(Task("BANANA", ""))


@pytest.mark.parametrize(
    ("task", "known", "started", "kind", "sure"),
    [
        (Task("TIMEOUT", ""), True, True, "time limit", True),
        (Task("OUT_OF_MEMORY", ""), True, True, "failed", True),
        (Task("COMPLETED", ""), True, True, "failed", False),
        (Task("PREEMPTED", ""), True, True, "preempted", True),
        (Task("NODE_FAIL", ""), True, True, "preempted", True),
        (Task("CANCELLED", ""), True, True, "cancelled", True),
        (Task("PENDING", "launch failed requeued held"), True, True, "preempted", True),
        (None, True, False, "cancelled", False),
        (None, True, True, "preempted", False),
        (None, False, False, "preempted", False),
    ],
)
def test_how_a_task_without_an_outcome_ended(task, known, started, kind, sure):
    assert not active(task)
    found = ended(task, None, known=known, started=started)
    assert (found.kind, found.sure) == (kind, sure)


def test_a_failed_outcome_says_more_than_slurm():
    outcome = Outcome("a", Ending.FAILED, reason="out of memory: tried to allocate 1 TB")
    found = ended(Task("TIMEOUT", ""), outcome, known=True, started=True)
    assert (found.kind, found.why, found.sure) == ("failed", outcome.reason, True)


# Slurm 22.05 of an array whose ended tasks squeue had forgotten (`sacct -X -n --parsable2 --format=JobID,State -j 1`);
# tasks 30 to 35 and 39 were cancelled while they waited.
SACCT = """1_0|FAILED
1_1|CANCELLED by 0
1_2|PENDING
1_3|TIMEOUT
1_5|COMPLETED
1_18|RUNNING
1_[20-29,36-38]|PENDING
23|RUNNING
"""


def test_accounting_says_how_forgotten_tasks_ended(says):
    told = says("sacct", SACCT)
    found = scheduler.remembered({"mine-0001": 1})
    assert {index: task.state for (_, index), task in found.items()} == {
        0: "FAILED", 1: "CANCELLED", 2: "PENDING", 3: "TIMEOUT", 5: "COMPLETED", 18: "RUNNING",
    }  # fmt: skip
    assert "--jobs=1" in told.read_text().splitlines()


@pytest.mark.parametrize(
    ("answer", "words", "code"),
    [("", "Slurm accounting storage is disabled\n", 1), ("<html>502</html>\n", "", 0), ("", "Unable to contact", 1)],
)
def test_without_accounting_nothing_is_remembered(says, answer, words, code):
    says("sacct", answer, words=words, code=code)
    assert scheduler.remembered({"mine-0001": 1}) == {}


def test_a_partition_that_is_not_understood_is_the_worlds_failure(says):
    says("scontrol", "PartitionName=main MaxNodes=many\n")
    with pytest.raises(WorldError, match="scontrol answered what is not Slurm's"):
        scheduler.partitions()


def test_options_that_are_not_sbatchs_are_refused():
    from planner.lab.slurm.script import checked_options

    for option in ("partition=x", "--", "--comment=x", "--hold", "--partition=a\nb"):
        with pytest.raises(InputError):
            checked_options([option])
