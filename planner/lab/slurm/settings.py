"""How a launch on Slurm is to go, and how it says where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.lab.exports.settings import Settings as Export


@dataclass(frozen=True)
class Settings:
    """How to launch on Slurm.

    `attempts` at a run that fails by itself, `preemptions` of one whose node or place is taken away (what Slurm requeues by
    itself is not counted, nor what came after a new checkpoint); seconds between looks at the queue, that Slurm may be silent,
    and that an outcome may take from a node's disk to ours. `options` go to sbatch, `export` groups runs into arrays; with
    `scripts` (a path by run name) runs are trained by these, else by the planner's own trainer. Without `wait` it submits what
    can be and returns.
    """

    export: Export
    options: tuple[str, ...] = ()
    scripts: Mapping[str, str] | None = None
    command: tuple[str, ...] = ()
    attempts: int = 3
    preemptions: int = 20
    poll_seconds: float = 10.0
    patience: float = 120.0
    grace: float = 30.0
    checkpoint_seconds: float = 30.0
    wait: bool = True


@dataclass(frozen=True)
class Progress:
    """Where a launch stands, in runs: all that it was asked for, ended, running, queued (why most of them), still to submit.

    `again` counts submissions of a run after its first; `note` is what else there is to say.
    """

    n_runs: int
    ended: int
    running: int
    queued: int
    reason: str
    waiting: int
    again: int
    note: str
