"""A plan in the formats that clusters, trackers and trainers read: add one as a file with a function, and a line in FORMATS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from planner.encode import FORMATS as TABLES
from planner.errors import InputError
from planner.lab.exports.hydra import hydra
from planner.lab.exports.kubernetes import kubernetes
from planner.lab.exports.run import Run, runs_of, typed, waves
from planner.lab.exports.script import told
from planner.lab.exports.settings import Settings
from planner.lab.exports.shell import shell
from planner.lab.exports.skypilot import skypilot
from planner.lab.exports.slurm import slurm
from planner.lab.exports.tables import table
from planner.lab.exports.trainers import TRAINERS
from planner.lab.exports.wandb import wandb


@dataclass(frozen=True)
class Launcher:
    """What writes the files that start runs, and the command that starts them, with {folder} for where they lie."""

    write: Callable[[Sequence[Run], Settings], dict[str, str]]
    start: str


LAUNCHERS = MappingProxyType(
    {
        "shell": Launcher(shell, "bash {folder}/run-all.sh"),
        "slurm": Launcher(slurm, "bash {folder}/submit.sh"),
        "wandb": Launcher(wandb, "wandb sweep {folder}/sweep.yaml, then the agent that it names"),
        "hydra": Launcher(hydra, "bash {folder}/multirun.sh"),
        "skypilot": Launcher(skypilot, "bash {folder}/launch.sh"),
        "kubernetes": Launcher(kubernetes, "kubectl apply -f {folder}/jobs"),
    }
)
FORMATS = (*TABLES, *LAUNCHERS)


@dataclass(frozen=True)
class Export:
    """The files of an export by name, how many runs they hold, and how many runs miss what: `{sentence: runs}`."""

    files: dict[str, bytes]
    n_runs: int
    missing: dict[str, int]


def export(plan: pd.DataFrame, kind: str, settings: Settings | None = None) -> Export:
    """A plan in one of FORMATS.

    Raises InputError for an unknown format or trainer, and for a plan that cannot be started as it is: a run without an id
    or twice, a cell with a NUL, a trunk that is not planned, a batch that is no whole number of sequences.
    """
    settings = settings or Settings()
    if kind not in FORMATS:
        raise InputError(f"--to {kind!r} is unknown", f"one of: {', '.join(FORMATS)}")
    if settings.trainer not in TRAINERS:
        raise InputError(f"--trainer {settings.trainer!r} is unknown", f"one of: {', '.join(TRAINERS)}")
    frame = typed(plan)
    runs = runs_of(frame, settings)
    waves(runs)
    if kind in TABLES:
        return Export({f"plan.{kind}": table(frame, kind)}, len(runs), {})
    files = {name: text.encode("utf-8") for name, text in LAUNCHERS[kind].write(runs, settings).items()}
    missing = Counter(why for run in runs for why in told(run, settings).missing) if kind != "hydra" else Counter()
    return Export(files, len(runs), dict(missing))


__all__ = ["FORMATS", "LAUNCHERS", "TRAINERS", "Export", "Launcher", "Settings", "export"]
