"""W&B sweeps: a grid over names of runs, since a sweep holds no list of combinations (wandb issues 1487, 1863)."""

from __future__ import annotations

from collections.abc import Sequence

from planner.lab.exports.run import Run, waves
from planner.lab.exports.settings import Settings
from planner.lab.exports.shell import run_scripts
from planner.lab.exports.yaml import dump

_ONE = """#!/usr/bin/env bash
# Runs the run that a W&B agent names: sweep-run.sh run=NAME
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
name=${1#run=}
case $name in */* | "") echo "no run $1" >&2; exit 1 ;; esac
exec bash "$here/runs/$name.sh"
"""


def wandb(runs: Sequence[Run], settings: Settings) -> dict[str, str]:
    """runs/NAME.sh, sweep.yaml (sweep-2.yaml for branches, to start when their trunks are done), sweep-run.sh."""
    found = {**run_scripts(runs, settings), "sweep-run.sh": _ONE}
    for depth, wave in enumerate(waves(runs)):
        study = wave[0].text("group") or "plan"
        sweep = {
            "name": study,
            "description": f"{len(wave)} planned runs",
            "program": f"{settings.folder}/sweep-run.sh",
            "method": "grid",
            "parameters": {"run": {"values": [run.name for run in wave]}},
            "command": ["${env}", "bash", "${program}", "${args_no_hyphens}"],
        }
        found[f"sweep-{depth + 1}.yaml" if depth else "sweep.yaml"] = dump(sweep)
    return found
