"""What the end of a task means for its run."""

from __future__ import annotations

from dataclasses import dataclass

from planner.errors import WorldError
from planner.lab.local.places import Outcome
from planner.lab.slurm.book import FAILED, PREEMPTED
from planner.lab.slurm.scheduler import Task

# Slurm's states (squeue(1), JOB STATE CODES), by what they mean for a run that has no outcome.
ACTIVE = frozenset(
    ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESIZING",
     "RESV_DEL_HOLD", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT", "STOPPED", "UPDATE_DB", "POWER_UP_NODE")
)  # fmt: skip
OWN_FAULT = {
    "FAILED": "failed", "TIMEOUT": "reached its time limit", "OUT_OF_MEMORY": "out of memory",
    "DEADLINE": "reached its deadline", "COMPLETED": "ended without an outcome",
}  # fmt: skip
ITS_FATE = {
    "PREEMPTED": "preempted", "NODE_FAIL": "its node failed", "BOOT_FAIL": "its node did not boot",
    "REVOKED": "revoked", "LAUNCH_FAILED": "its node could not start it",
}  # fmt: skip
ENDED = frozenset((*OWN_FAULT, *ITS_FATE, "CANCELLED"))
NOT_STARTED = "launch failed requeued held"  # a task that waits for ever: its node could not start it (squeue's reason)
OUT_OF_TIME = "time limit"  # a failure where the run got no further
BY_HAND = "cancelled"  # by a person or an administrator: not submitted again in this round


@dataclass(frozen=True)
class Ended:
    """How a task ended without finishing its run: FAILED, OUT_OF_TIME, PREEMPTED or BY_HAND, and why in words.

    `sure` is whether Slurm says so; otherwise an outcome may still be on its way from the node's disk.
    """

    kind: str
    why: str
    sure: bool


def active(task: Task | None) -> bool:
    """Whether a task is in the queue or runs. Raises WorldError for a state that Slurm does not have."""
    if task is None or task.reason == NOT_STARTED or task.state in ENDED:
        return False
    if task.state in ACTIVE:
        return True
    raise WorldError(
        f"squeue says {task.state!r}, which is no state of Slurm's", "see what `squeue` is on this machine"
    )


def ended(task: Task | None, outcome: Outcome | None, *, known: bool, started: bool) -> Ended:
    """How a task that is not active ended, its run's outcome being none or failed.

    `known` is whether Slurm still knows anything of its array, `started` whether the task has ever run. Slurm forgets waiting
    tasks as soon as they are cancelled, and all others MinJobAge after their end, though others of the array go on.
    """
    if outcome is not None:
        return Ended(FAILED, outcome.reason or "failed", sure=True)
    if task is None and known and not started:
        return Ended(BY_HAND, "cancelled in the queue", sure=False)
    if task is None:
        return Ended(PREEMPTED, "Slurm no longer knows its job", sure=False)
    if task.reason == NOT_STARTED:
        return Ended(PREEMPTED, "its node could not start it", sure=True)
    if task.state == "CANCELLED":
        return Ended(BY_HAND, "cancelled in the queue", sure=True)
    if task.state in ITS_FATE:
        return Ended(PREEMPTED, ITS_FATE[task.state], sure=True)
    kind = OUT_OF_TIME if task.state == "TIMEOUT" else FAILED
    return Ended(kind, OWN_FAULT[task.state], sure=task.state != "COMPLETED")
