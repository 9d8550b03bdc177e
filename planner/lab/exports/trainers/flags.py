"""Any trainer of one's own: every column that changes what is trained, under the plan's own name."""

from __future__ import annotations

from planner.lab.exports.run import Run
from planner.lab.exports.settings import Settings
from planner.lab.exports.trainers.flag import Flag, Trainer, shown


def _flags(run: Run, settings: Settings) -> list[Flag]:
    named = [Flag(("run_id",), f"--run_id={run.run_id}"), Flag((), "--output=", folder=run.name)]
    if run.branches:
        named.append(Flag((), f"--save_at_tokens={','.join(map(str, run.branches))}"))
    return named + [Flag((column,), f"--{column}={shown(value)}") for column, value in run.trained.items()]


FLAGS = Trainer("flags", "any", "train.py", _flags)
