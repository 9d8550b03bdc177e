"""A process that trains one run after another: a line of JSON asks for a run, a line of JSON says what became of it.

A run is trained while its lock is held. The kernel lets go of a lock when its process dies, however it dies, so a dead worker
holds nothing, and two launchers on one folder, even on two machines that share a disk with POSIX locks, never train a run twice.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from planner.encode import to_json
from planner.errors import InputError, WorldError
from planner.lab.local.places import Ending, Outcome, Places

TAIL = 2_000  # bytes of a log in which its last line is looked for


class Abandoned(Exception):  # noqa: N818 - not an error: nobody waits for this run any more
    """Whoever asked for the run is gone."""


@dataclass(frozen=True)
class Job:
    """What a launcher asks for: a plan's row, where its files are, at which steps branches leave it, how often it is saved."""

    row: dict[str, Any]
    places: Places
    branch_steps: tuple[int, ...]
    checkpoint_seconds: float

    @property
    def run_id(self) -> str:
        """The planned run's id."""
        return str(self.row["run_id"])


Trainer = Callable[[Job], Outcome]


@contextmanager
def held(path: Path) -> Iterator[int | None]:
    """The file that is locked while the block runs, None when another process holds it; WorldError where there are no locks.

    A child process that inherits the file holds the lock too, for as long as it lives.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WorldError(
            f"{path}: cannot be written: {error.strerror or error}", "free some space, then launch again"
        ) from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise WorldError(
                    f"{path}: cannot be locked: {error.strerror or error}", "launch on a disk with locks"
                ) from None
            yield None
        else:
            yield file
    finally:
        os.close(file)


def done(job: Job, train: Trainer) -> dict[str, object]:
    """Train the run unless another process does or did; how it ended, "busy", or that the world failed."""
    try:
        with held(job.places.lock(job.run_id)) as ours:
            if ours is None:
                return {"busy": True}
            before = job.places.outcome(job.run_id)
            if before is not None and before.status is not Ending.FAILED:
                return {"outcome": before}
            for left in job.places.state(job.run_id).glob(".*"):
                left.unlink()  # what a killed worker was about to write
            return {"outcome": _tried(job, train)}
    except WorldError as error:
        return {"world": error.message, "try": error.hint}


def _tried(job: Job, train: Trainer) -> Outcome:
    """Train; what goes wrong with this run alone is its outcome."""
    try:
        return train(job)
    except OSError as error:
        raise WorldError(
            f"{error.filename or job.places.folder}: {error.strerror or error}", "check the disk"
        ) from None
    except (WorldError, Abandoned):
        raise
    except Exception as error:  # out of memory, or a bug that one run meets: the others go on
        said = error.message if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        outcome = Outcome(job.run_id, Ending.FAILED, reason=" ".join(said.split())[:500])
        job.places.write_outcome(outcome)
        return outcome


def last_words(path: Path) -> str:
    """The last line of what a process printed, as one short line."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        lines = file.read().decode("utf-8", errors="replace").strip().splitlines()
    return " ".join(lines[-1].split())[:300] if lines else ""


def serve(train: Trainer, source: TextIO, sink: TextIO) -> None:
    """Answer each line of `source` with a line on `sink` until there are no more."""
    _say({"ready": True}, sink)
    for line in source:
        asked = json.loads(line)
        job = Job(
            asked["row"], Places(Path(asked["folder"])), tuple(asked["branch_steps"]), asked["checkpoint_seconds"]
        )
        _say(done(job, train), sink)


def _say(answer: dict[str, object], sink: TextIO) -> None:
    sink.write(to_json(answer, indent=None) + "\n")
    sink.flush()


def quiet_stdout() -> TextIO:
    """The standard output as it was, for answers; whatever else prints goes to standard error from now on."""
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return sink


def main() -> None:
    """Train for the launcher whose process id is the first argument, and stop when it is gone."""
    from planner.lab.local.training import trainer

    launcher = int(sys.argv[1])
    sink = quiet_stdout()
    try:
        serve(trainer(lambda: os.getppid() == launcher), sys.stdin, sink)
    except (Abandoned, BrokenPipeError):
        os._exit(0)  # nobody listens any more


if __name__ == "__main__":
    main()
