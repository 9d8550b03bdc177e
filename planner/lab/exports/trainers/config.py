"""Any trainer that reads its settings from a file: no flags, a JSON file a run, its path in $PLANNER_CONFIG."""

from __future__ import annotations

from collections.abc import Sequence

from planner.encode import to_json
from planner.lab.exports.run import Run
from planner.lab.exports.settings import Settings
from planner.lab.exports.trainers.flag import Flag, Trainer, holds


def _flags(run: Run, settings: Settings) -> list[Flag]:
    return holds(run, *run.trained)


def _files(runs: Sequence[Run]) -> dict[str, str]:
    return {f"runs/{run.name}.json": to_json({**run.values, "run_id": run.run_id}) + "\n" for run in runs}


CONFIG = Trainer("config", "any", 'train.py --config "$PLANNER_CONFIG"', _flags, _files)
