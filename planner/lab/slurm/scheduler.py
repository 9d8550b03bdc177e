"""Slurm's own commands: what is asked of them, and what their answers mean."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from planner.errors import InputError, PlannerError, WorldError
from planner.text import short

SECONDS = 30.0  # that a command may take
MOST_ARGUMENTS = 200  # of one scancel
# What Slurm's commands say when it is not the request that is at fault (src/common/slurm_errno.c and plugins).
_WORLD = re.compile(
    r"(?i)unable to contact|timed out|connection (refused|reset)|communication|zero bytes|unexpected message|munge|"
    r"authentication|protocol|temporarily unable|unknown host|configuration source|insane message|no such host|"
    r"slurm_receive|slurm backup controller|controller not"
)
_ROW = re.compile(r"(\d+)\|(N/A|\d+)\|([A-Z_]+)\|([^|]*)\|(.*)")
_JOB = re.compile(r"(\d+)(;[\w.-]+)?")
_RECORD = re.compile(r"(\d+)_(\d+)\|([A-Z_]+)(?: by \d+)?")


class Refused(Exception):  # noqa: N818 - what became of a request
    """Slurm does not take the request; its text is Slurm's own."""


@dataclass(frozen=True)
class Task:
    """One task of an array as the queue has it: Slurm's word for its state, and why it waits."""

    state: str
    reason: str


@dataclass(frozen=True)
class Queue:
    """What Slurm knows of arrays with a comment: their job ids, and their tasks by comment and index."""

    jobs: Mapping[str, int] = field(default_factory=dict)
    tasks: Mapping[tuple[str, int], Task] = field(default_factory=dict)


@dataclass(frozen=True)
class Partition:
    """A partition: nodes that one job may have, and its longest time limit in hours (None: no limit)."""

    name: str
    nodes: int
    hours: float | None
    default: bool


def require_commands() -> None:
    """Refuse a machine without Slurm's commands."""
    lost = next(
        (name for name in ("sbatch", "squeue", "scontrol", "scancel", "sinfo") if shutil.which(name) is None), None
    )
    if lost:
        raise InputError(
            f"{lost}: not found: --on slurm needs Slurm's commands on this machine", "log in to a node of the cluster"
        )


def submit(name: str, script: str, options: Sequence[str], *, keep: int) -> int:
    """Submit an array under `name`, which is its comment too; its job id.

    sbatch inherits the file `keep`, so that its lock is held until the submission is made, even if we die. Raises Refused with
    Slurm's words, and WorldError when it is not known whether the array was taken: look for its comment in the queue.
    """
    said = _run(["sbatch", "--parsable", *options, f"--job-name={name}", f"--comment={name}", script], keep=(keep,))
    if not (found := _JOB.fullmatch(said.strip())):
        raise _nonsense("sbatch", said)
    return int(found[1])


def check(script: str, options: Sequence[str]) -> None:
    """Have sbatch judge a script without submitting it. Raises Refused with its words."""
    _run(["sbatch", "--test-only", *options], text=script)


def queue(prefix: str) -> Queue:
    """The arrays of this user whose comment begins so, ended ones included for as long as Slurm remembers them."""
    jobs, tasks = {}, {}
    said = _run(["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%F|%K|%T|%r|%k"])
    for line in said.splitlines():
        found = _ROW.fullmatch(line.strip())
        if found is None:
            raise _nonsense("squeue", line)
        job, index, state, reason, comment = found.groups()
        if comment.startswith(prefix):
            jobs[comment] = int(job)
            if index != "N/A":  # the row of an array whose waiting tasks were all cancelled has no index
                tasks[comment, int(index)] = Task(state, reason)
    return Queue(jobs, tasks)


def remembered(jobs: Mapping[str, int]) -> dict[tuple[str, int], Task]:
    """What Slurm's accounting knows of the tasks of these arrays (job ids by comment), by comment and index.

    The queue forgets a task MinJobAge seconds after its end; a database, where the cluster has one, does not. Nothing where it has
    none, or where that does not answer. Waiting tasks have no record of their own, and one that was cancelled then never gets any.
    """
    names = {str(job): name for name, job in jobs.items()}
    try:
        said = _run(
            ["sacct", "--allocations", "--noheader", "--parsable2", "--format=JobID,State", f"--jobs={','.join(names)}"]
        )
    except (Refused, PlannerError):
        return {}
    found = (_RECORD.fullmatch(line) for line in said.splitlines())
    return {(names[one[1]], int(one[2])): Task(one[3], "") for one in found if one and one[1] in names}


def cancel(tasks: Iterable[tuple[int, int]]) -> None:
    """Cancel tasks, each a job id and an index; those that have ended meanwhile are no error."""
    words = [
        f"{job}_[{_ranges([index for _, index in part])}]" for job, part in groupby(sorted(tasks), lambda one: one[0])
    ]
    for start in range(0, len(words), MOST_ARGUMENTS):
        try:
            _run(["scancel", *words[start : start + MOST_ARGUMENTS]])
        except Refused as refused:
            if not re.search(r"(?i)already complet|invalid job id", str(refused)):
                raise WorldError(f"scancel: {refused}", "cancel by hand what squeue shows") from None


def partitions() -> list[Partition]:
    """The partitions there are."""
    return [
        _partition(line) for line in _asked("scontrol", "show", "partition", "--oneliner").splitlines() if line.strip()
    ]


def all_up() -> bool:
    """Whether every node answers and takes jobs; a node that is down now may be back when a job's turn comes."""
    states = _asked("sinfo", "--noheader", "--format=%T").lower().split()
    return not any(re.search(r"down|unk|drain|fail|maint|boot|\*|reserved|power", state) for state in states)


def largest_array() -> int:
    """How many tasks an array may have (MaxArraySize: indices lie below it)."""
    said = _asked("scontrol", "show", "config")
    found = re.search(r"(?m)^MaxArraySize\s*=\s*(\d+)\s*$", said)
    if found is None or int(found[1]) < 2:
        raise _nonsense("scontrol", said)
    return int(found[1])


def hours_of(limit: str) -> float | None:
    """A time limit as Slurm writes it, in hours; None for none.

    Formats of sbatch(1): minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes[:seconds].
    """
    if limit.upper() in ("UNLIMITED", "INFINITE", "NONE", "NOT_SET", "N/A"):
        return None
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", limit)
    if found is None:
        raise InputError(
            f"--time={short(limit)} is no time limit of Slurm's", "write --sbatch=--time=90 (minutes), or =HH:MM:SS"
        )
    days, *parts = (None if part is None else int(part) for part in found.groups())
    first, second, third = parts
    if days is not None:
        return days * 24 + (first or 0) + (second or 0) / 60 + (third or 0) / 3600
    if third is not None:
        return (first or 0) + (second or 0) / 60 + third / 3600
    return (first or 0) / 60 + (second or 0) / 3600


def _partition(line: str) -> Partition:
    cells = dict(word.split("=", 1) for word in line.split() if "=" in word)
    try:
        total = int(cells["TotalNodes"])
        most = total if cells["MaxNodes"] == "UNLIMITED" else min(total, int(cells["MaxNodes"]))
        return Partition(cells["PartitionName"], most, hours_of(cells["MaxTime"]), cells["Default"] == "YES")
    except (KeyError, ValueError, InputError):
        raise _nonsense("scontrol", line) from None


def _asked(*command: str) -> str:
    """The answer to a question that nothing is wrong with."""
    try:
        return _run(command)
    except Refused as refused:
        raise WorldError(f"{command[0]}: {refused}", "see whether `sinfo` answers") from None


def _run(command: Sequence[str], *, text: str = "", keep: tuple[int, ...] = ()) -> str:
    """What a command prints. Raises Refused with its words, and WorldError when Slurm does not answer."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    try:
        done = subprocess.run(  # noqa: S603 - a list of arguments, no shell
            command, input=text, capture_output=True, encoding="utf-8", errors="replace", timeout=SECONDS, check=False,
            pass_fds=keep, env={**environment, "LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _silent(command[0], f"no answer within {SECONDS:g} s") from None
    except FileNotFoundError:
        raise InputError(f"{command[0]}: not found", "log in to a node of the cluster") from None
    except OSError as error:
        raise WorldError(f"{command[0]}: {error.strerror or error}", "launch again") from None
    if done.returncode == 0:
        return done.stdout
    words = _words(done.stderr) or f"exit status {done.returncode}"
    raise _silent(command[0], words) if done.returncode < 0 or _WORLD.search(words) else Refused(words)


def _words(said: str) -> str:
    """The first lines of what a command complained of, without its own name."""
    lines = [re.sub(r"^\w+: (error: |fatal: )?", "", line.strip()) for line in said.splitlines() if line.strip()]
    return short("; ".join(lines[:2]), 200)


def _silent(command: str, words: str) -> WorldError:
    return WorldError(
        f"Slurm does not answer: {command}: {words}", "what is queued goes on; launch again once `sinfo` answers"
    )


def _nonsense(command: str, said: str) -> WorldError:
    line = next((line for line in said.splitlines() if line.strip()), "nothing")
    return WorldError(
        f"{command} answered what is not Slurm's: {short(line)!r}",
        f"see what `{command}` is on this machine; launch again then",
    )


def _ranges(indices: Sequence[int]) -> str:
    """Indices as sbatch writes them: 1,3-5."""
    found: list[list[int]] = []
    for index in sorted(set(indices)):
        if found and index == found[-1][1] + 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in found)
