"""The batch script of an array, and what is asked of Slurm for the runs in it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from planner.errors import InputError
from planner.lab.exports.run import Run
from planner.lab.exports.settings import Settings
from planner.lab.exports.slurm import MASTER, Array, directives
from planner.lab.slurm import scheduler

TASK = "planner.lab.slurm.task"
OURS = (
    "array",
    "job-name",
    "comment",
    "output",
    "parsable",
    "wrap",
    "test-only",
    "wait",
    "hold",
    "chdir",
    "nodes",
    "quiet",
)
UNAVAILABLE = "Requested node configuration is not available"  # ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE

_BODY = """
set -euo pipefail
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
"""


def own(run: Run) -> Run:
    """A run as the planner's own trainer does it: one process, and no accelerator but what --sbatch asks for."""
    return replace(run, nodes=1, gpus_per_node=0)


def script(array: Array, settings: Settings, folder: Path, command: Sequence[str] = ()) -> str:
    """The script of an array named as its submission in `folder`; `command` is what a node runs, left out the planner's task."""
    words = [*(command or (sys.executable, "-m", TASK)), str(folder.resolve()), array.name]
    limit = f", at most {array.hours} h" if array.hours else ""
    where = f"on {array.nodes} node{'s' * (array.nodes != 1)}" + (
        f" x {array.gpus_per_node} GPUs" if array.gpus_per_node else ""
    )
    master = MASTER if array.nodes > 1 else ""
    return (
        f"#!/usr/bin/env bash\n# {len(array.runs):,} runs {where}{limit}; task k does entry k of {array.name}.json\n"
        + directives(array, settings) + _BODY + master + f"exec {shlex.join(words)}\n"
    )  # fmt: skip


def checked_options(options: Sequence[str]) -> list[str]:
    """Further options of sbatch as a user gives them, each `--name` or `--name=value`. InputError for those that are ours."""
    for option in options:
        name = option.removeprefix("--").partition("=")[0]
        if not option.startswith("--") or not name or not option.isprintable():
            raise InputError(f"--sbatch {option!r}: an option of sbatch is wanted", "write --sbatch=--partition=NAME")
        if name in OURS:
            raise InputError(f"--sbatch {option!r}: the launcher sets --{name} itself", "leave it out")
    return list(options)


def check(arrays: Sequence[Array], settings: Settings, options: Sequence[str], folder: Path) -> None:
    """Refuse what the cluster will never run: too many nodes, too long a limit, an unknown partition, all in Slurm's words.

    Slurm itself takes some of these and lets them wait for ever.
    """
    place = _partition(options)
    for array in arrays:
        who = f"run {array.runs[0].run_id!r}" + (f" and {len(array.runs) - 1:,} more" if len(array.runs) > 1 else "")
        if place is not None:
            _require_fits(array, place, who, _hours(array, options))
        try:
            scheduler.check(script(array, settings, folder), options)
        except scheduler.Refused as refused:
            if UNAVAILABLE in str(refused) and not scheduler.all_up():
                continue  # sbatch judges by the nodes that answer now
            raise InputError(f"{who}: sbatch says: {refused}", "see `sinfo`; more options go to --sbatch") from None


def _require_fits(array: Array, place: scheduler.Partition, who: str, hours: float) -> None:
    if array.nodes > place.nodes:
        raise InputError(
            f"{who}: {array.nodes} nodes are wanted, partition {place.name} gives {place.nodes}",
            "choose another with --sbatch=--partition=NAME, or plan smaller layouts",
        )
    if place.hours is not None and hours > place.hours:
        raise InputError(
            f"{who}: a time limit of {hours:g} h is over the {place.hours:g} h of partition {place.name}",
            "choose another with --sbatch=--partition=NAME, or set --sbatch=--time=HH:MM:SS: runs go on from checkpoints",
        )


def _hours(array: Array, options: Sequence[str]) -> float:
    asked = _option(options, "time")
    return array.hours if asked is None else scheduler.hours_of(asked) or 0.0


def _partition(options: Sequence[str]) -> scheduler.Partition | None:
    """The partition that jobs go to; None when it is not one that is known, which sbatch will say."""
    there = scheduler.partitions()
    asked = _option(options, "partition")
    return next((one for one in there if (one.default if asked is None else one.name == asked)), None)


def _option(options: Sequence[str], name: str) -> str | None:
    found = [option.partition("=")[2] for option in options if option.startswith(f"--{name}=")]
    return found[-1] if found else None
