"""One run as a bash script: its name in the environment, where its output goes, the command that trains it."""

from __future__ import annotations

import shlex

from planner.lab.exports.quote import ROOT, comment, lines, word
from planner.lab.exports.run import Run
from planner.lab.exports.settings import Settings
from planner.lab.exports.trainers import TRAINERS, Trainer
from planner.lab.exports.trainers.flag import Told, tell

TORCHRUN = (
    'torchrun --nnodes="$PLANNER_NODES" --nproc-per-node="$PLANNER_GPUS_PER_NODE" --node-rank="$PLANNER_NODE_RANK" '
    '--master-addr="$PLANNER_MASTER_ADDR" --master-port="$PLANNER_MASTER_PORT"'
)
BESIDE = '"$(cd -- "$(dirname -- "${BASH_SOURCE[0]:-$0}")/.." && pwd)"'  # the folder that holds runs/


def told(run: Run, settings: Settings) -> Told:
    """The run in the words of the trainer that was chosen."""
    return tell(TRAINERS[settings.trainer], run, settings)


def script(run: Run, settings: Settings, home: str = BESIDE) -> str:
    """The script of a run. It works where the training code is; `home` is shell for the folder with a trainer's own files."""
    said, trainer = told(run, settings), TRAINERS[settings.trainer]
    size = f"{run.nodes} x {run.gpus_per_node} {run.text('accelerator') or 'accelerators'}"
    heading = [f"{run.run_id}: {size}" + (f", about {run.hours:.3g} h" if run.hours else ""), run.text("purpose")]
    for why, detail in said.missing.items():
        heading.append(f"not expressible in {trainer.name}: {why}" + (f" ({detail})" if detail else ""))
    command = settings.command or f"{TORCHRUN} {trainer.command}"
    # One command takes the shell's place, so that signals reach it; of several the first would, and no other be run.
    start = command if any(mark in command for mark in ";&|\n") else f"exec {command}"
    return "\n".join(
        (
            "#!/usr/bin/env bash",
            *(comment(line) for line in heading if line),
            "set -euo pipefail",
            *_environment(run),
            *_files(run, trainer, home),
            *_trunk(run),
            f'mkdir -p -- "${ROOT}/{run.name}"',
            lines(start, [word(flag) for flag in said.arguments]),
            "",
        )
    )


def _environment(run: Run) -> list[str]:
    names = {
        "PLANNER_RUN_ID": run.run_id,
        "PLANNER_VARIANT": run.text("variant"),
        "WANDB_NAME": run.run_id,
        "WANDB_RUN_GROUP": run.text("study"),
        "WANDB_TAGS": run.name,
    }
    rank = "${PLANNER_NODE_RANK:-${SLURM_NODEID:-${SKYPILOT_NODE_RANK:-${JOB_COMPLETION_INDEX:-0}}}}"
    return [
        *(f"export {name}={shlex.quote(value)}" for name, value in names.items()),
        'export WANDB_RUN_NAME="$WANDB_NAME" WANDB_RUN_TAGS="$WANDB_TAGS"  # as torchtitan calls them',
        # an agent of a sweep numbers its runs itself; else a run that is started again goes on in the same one
        f'[ -n "${{WANDB_SWEEP_ID:-}}" ] || export WANDB_RUN_ID={run.name} WANDB_RESUME=allow',
        f'export {ROOT}="${{{ROOT}:-$PWD/output}}"',
        f"export PLANNER_NODES={run.nodes} PLANNER_GPUS_PER_NODE={run.gpus_per_node} PLANNER_NODE_RANK={rank}",
        'export PLANNER_MASTER_ADDR="${PLANNER_MASTER_ADDR:-localhost}" PLANNER_MASTER_PORT="${PLANNER_MASTER_PORT:-29500}"',
    ]


def _files(run: Run, trainer: Trainer, home: str) -> list[str]:
    """Where the files that the trainer needs lie: Python modules, and the run's own settings."""
    names = trainer.files([run])
    config = f"runs/{run.name}.json"
    modules = [f'export PYTHONPATH={home}"${{PYTHONPATH:+:$PYTHONPATH}}"'] if names.keys() - {config} else []
    return modules + ([f"export PLANNER_CONFIG={home}/{config}"] if config in names else [])


def _trunk(run: Run) -> list[str]:
    if not run.trunk:
        return []
    place = f'"${ROOT}/{run.trunk}"'
    return [f'[ -d {place} ] || {{ echo "its trunk has not run: no folder ${ROOT}/{run.trunk}" >&2; exit 1; }}']
