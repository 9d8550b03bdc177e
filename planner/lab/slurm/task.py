"""What a task of an array does on its node: train its run, or have the run's script train it, and write down how it ended.

python -m planner.lab.slurm.task FOLDER ARRAY
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from planner.errors import PlannerError, WorldError
from planner.lab.local.places import Ending, Outcome, Places
from planner.lab.local.worker import Job, Trainer, done, last_words
from planner.lab.slurm.book import Entry, Submission, read, write_job
from planner.lab.slurm.closing import reopen_log

BUSY = 75  # exit status when another process trains the run: EX_TEMPFAIL of sysexits.h
PATIENCE = 60.0  # seconds to wait for that process


def perform(folder: Path, array: str, index: int, make: Callable[[], Trainer]) -> int:
    """Do task `index` of an array; the exit status. `make` makes the planner's own trainer, for an entry without a script."""
    state = folder / "state" / "slurm"
    submission = read(state / f"{array}.json")
    _note_job(state / f"{array}.job")
    entry, places = submission.entries[index], Places(folder)
    _name_job(entry.name)
    train = _by_script(entry) if entry.script else make()
    began = time.monotonic()
    while True:
        answer = done(_job(entry, places, submission), train)
        if "world" in answer:
            raise WorldError(str(answer["world"]), str(answer["try"]))
        if "outcome" in answer:
            outcome = cast(Outcome, answer["outcome"])
            sys.stdout.write(f"{entry.run_id}: {outcome.status.value} {outcome.reason}".rstrip() + "\n")
            return 1 if outcome.status is Ending.FAILED else 0
        if time.monotonic() - began > PATIENCE:
            sys.stderr.write(f"{entry.run_id}: another process trains it\n")
            return BUSY
        time.sleep(1)


def _job(entry: Entry, places: Places, submission: Submission) -> Job:
    return Job({**entry.row, "run_id": entry.run_id}, places, entry.branch_steps, submission.checkpoint_seconds)


def _by_script(entry: Entry) -> Trainer:
    """A trainer that runs the script of an entry on every node of the job; what it prints is the run's log."""

    def train(job: Job) -> Outcome:
        places = job.places
        log = places.logs / f"{entry.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        reopen_log(places.log(job.run_id))
        environment = {
            "PLANNER_ROOT": str(places.folder / "output"),
            "PLANNER_LOG": str(places.log(job.run_id)),
            "PLANNER_ATTEMPT": os.environ.get("SLURM_RESTART_COUNT", "0"),
        }
        command = ["bash", str(places.folder / entry.script)]
        if int(os.environ.get("SLURM_JOB_NUM_NODES", "1")) > 1:
            command = ["srun", "--kill-on-bad-exit=1", *command]
        with log.open("ab") as file:
            began = time.monotonic()
            code = subprocess.run(  # noqa: S603 - a script that the launcher wrote, its values quoted
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, check=False,
                env={**os.environ, **environment},
            ).returncode  # fmt: skip
        how = "" if code == 0 else f"signal {-code}" if code < 0 else f"exit status {code}"
        why = f"{how}: {last_words(log)}".removesuffix(": ") if how else ""
        seconds = round(time.monotonic() - began, 3)
        outcome = Outcome(job.run_id, Ending.FAILED if how else Ending.COMPLETED, reason=why, seconds=seconds)
        places.write_outcome(outcome)
        return outcome

    return train


def _note_job(path: Path) -> None:
    """Write the array's job id down, should the launcher have died before it could."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID", "")
    if job.isdigit() and not path.exists():
        write_job(path, int(job))


def _name_job(name: str) -> None:
    """Let the queue show the run; it may not. The array's id is one of its tasks' own too: so both are named."""
    job = f"{os.environ.get('SLURM_ARRAY_JOB_ID', '')}_{os.environ.get('SLURM_ARRAY_TASK_ID', '')}"
    if re.fullmatch(r"\d+_\d+", job):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(  # noqa: S603 - a list of arguments, no shell
                ["scontrol", "update", f"JobId={job}", f"JobName={name}"],  # noqa: S607
                capture_output=True, timeout=30, check=False,
            )  # fmt: skip


def _own_trainer() -> Trainer:
    from planner.lab.local.training import trainer

    return trainer(lambda: True)


def main() -> None:
    """Do the task that the environment names."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))  # cancelled or preempted: the checkpoint is what stays
    folder, array = Path(sys.argv[1]), sys.argv[2]
    try:
        sys.exit(perform(folder, array, int(os.environ["SLURM_ARRAY_TASK_ID"]), _own_trainer))
    except PlannerError as error:
        sys.stderr.write(f"planner: {error.message}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
