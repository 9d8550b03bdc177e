"""What was submitted, written down before it is: the launcher's memory, which outlives the launcher.

state/slurm/launch.json     the launch's id and round; a launch that ended begins the next round
state/slurm/ID-0001.json    one array: its runs in the order of their indices, and what each task is to do
state/slurm/ID-0001.job     its job id, written by the launcher or by its first task, whichever is alive
state/slurm/out/            what the tasks print
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from planner import store
from planner.encode import to_json
from planner.errors import InputError

FIRST, FAILED, PREEMPTED = "", "failed", "preempted"  # why a run was submitted
CONTINUED = "continued"  # cut off by its time limit or by others, with a new checkpoint: not charged


@dataclass(frozen=True)
class Entry:
    """A run in an array: its name, why it was submitted, and its plan row and branch steps, or the script that trains it.

    `saved_steps` are those of its checkpoint when it was submitted.
    """

    run_id: str
    name: str
    because: str = FIRST
    row: dict[str, Any] = field(default_factory=dict)
    branch_steps: tuple[int, ...] = ()
    script: str = ""
    saved_steps: int = 0


@dataclass(frozen=True)
class Submission:
    """One array under its name; task k does entry k. `checkpoint_seconds` lie between a run's checkpoints."""

    name: str
    round: int
    entries: tuple[Entry, ...]
    checkpoint_seconds: float = 30.0


class Book:
    """The submissions of a folder; one launcher at a time may write."""

    def __init__(self, folder: Path) -> None:
        """`folder` is that of the launch."""
        self.folder = folder / "state" / "slurm"
        self.submissions: dict[str, Submission] = {}
        self.jobs: dict[str, int] = {}
        self.given_up: set[str] = set()  # runs that are not submitted again in this round
        self.id, self.round, self._over = "", 0, True

    @property
    def lock(self) -> Path:
        """What a launcher holds."""
        return self.folder / "lock"

    @property
    def outputs(self) -> Path:
        """Where Slurm writes what tasks print."""
        return self.folder / "out"

    def output(self, name: str, index: int) -> Path:
        """What a task printed."""
        return self.outputs / f"{name}-{index}.txt"

    def open(self) -> None:
        """Read what earlier launchers wrote, and begin a round, or go on with the one that was cut off."""
        path = self.folder / "launch.json"
        if path.is_file():
            said = store.read_json(path)
            self.id, self.round, self._over = str(said["id"]), int(said["round"]), bool(said["over"])
            self.given_up = set(said["given_up"])
        else:
            self.id = f"planner-{secrets.token_hex(4)}"
        for file in sorted(self.folder.glob(f"{self.id}-*.json")):
            found = read(file)
            self.submissions[found.name] = found
            self._read_job(found.name)
        if self._over:
            self.round, self._over, self.given_up = self.round + 1, False, set()
            self._write()
        self.outputs.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """The round is over: nothing of it is left to do."""
        self._over = True
        self._write()

    def give_up(self, run: str) -> None:
        """A run has failed often enough, or was cancelled by hand."""
        self.given_up.add(run)
        self._write()

    def next_name(self) -> str:
        """The name of the next submission."""
        last = max((int(name.rpartition("-")[2]) for name in self.submissions), default=0)
        return f"{self.id}-{last + 1:04d}"

    def add(self, submission: Submission) -> None:
        """Write a submission down; from now on it may be in the queue."""
        content = to_json(asdict(submission), indent=None) + "\n"
        store.write_bytes(self.folder / f"{submission.name}.json", content.encode())
        self.submissions[submission.name] = submission

    def record(self, name: str, job: int) -> None:
        """Its job id is known."""
        if self.jobs.get(name) != job:
            write_job(self.folder / f"{name}.job", job)
            self.jobs[name] = job

    def drop(self, name: str) -> None:
        """It was never made."""
        for ending in (".json", ".sbatch"):
            (self.folder / f"{name}{ending}").unlink(missing_ok=True)
        del self.submissions[name]

    def unrecorded(self) -> list[str]:
        """Submissions whose job id nobody has written down."""
        for name in self.submissions.keys() - self.jobs.keys():
            self._read_job(name)
        return sorted(self.submissions.keys() - self.jobs.keys())

    def _read_job(self, name: str) -> None:
        path = self.folder / f"{name}.job"
        if path.is_file() and re.fullmatch(r"\d+\s*", text := path.read_text()):
            self.jobs[name] = int(text)

    def _write(self) -> None:
        said = {"id": self.id, "round": self.round, "over": self._over, "given_up": sorted(self.given_up)}
        store.write_bytes(self.folder / "launch.json", (to_json(said) + "\n").encode())


def read(path: Path) -> Submission:
    """A submission as it was written; InputError when the file is not one."""
    said = store.read_json(path)
    try:
        entries: Sequence[dict[str, Any]] = said["entries"]
        return Submission(
            said["name"], int(said["round"]),
            tuple(Entry(**{**one, "branch_steps": tuple(one["branch_steps"])}) for one in entries),
            float(said["checkpoint_seconds"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: not a submission that the planner wrote", "launch into another folder: -o") from None


def write_job(path: Path, job: int) -> None:
    """Note the job id of an array beside it."""
    store.write_bytes(path, f"{job}\n".encode())
