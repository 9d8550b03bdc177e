"""Slurm: job arrays, one per node count and time limit, that look their run up by index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from planner.lab.exports.run import Run, waves
from planner.lab.exports.settings import Settings
from planner.lab.exports.shell import run_scripts

LIMITS = (1, 2, 4, 8, 12, 24, 48, 72, 96, 120, 144, 168)  # hours; few limits make few arrays

MASTER = """PLANNER_MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)
export PLANNER_MASTER_ADDR PLANNER_MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
"""  # where the processes of a run on several nodes meet

_BODY = """
set -euo pipefail
here=${1:-$SLURM_SUBMIT_DIR}  # submit.sh gives the folder of the export; else sbatch was called in it
name=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" "$here/@LIST@")
[ -n "$name" ] || { echo "no run $SLURM_ARRAY_TASK_ID in $here/@LIST@" >&2; exit 1; }
scontrol update "JobId=$SLURM_JOB_ID" "JobName=$name" || true  # the queue then shows the run, not the array
export PLANNER_ROOT="${PLANNER_ROOT:-$PWD/output}"
@MASTER@mkdir -p -- "$PLANNER_ROOT/$name"
echo "run $name on $SLURM_JOB_NODELIST, log in $PLANNER_ROOT/$name/log.txt"
srun --kill-on-bad-exit=1 bash "$here/runs/$name.sh" >>"$PLANNER_ROOT/$name/log.txt" 2>&1
"""

_SUBMIT = """#!/usr/bin/env bash
# Submits every array, from the folder of the training code; what is given goes to sbatch: submit.sh --partition=h100
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
mkdir -p output/slurm  # Slurm makes no folder for the output of its tasks
after=()
"""


@dataclass(frozen=True)
class Array:
    """Runs of one shape and time limit: nodes, accelerators a node (0: none asked for), whole hours (0: no limit)."""

    name: str
    nodes: int
    gpus_per_node: int
    hours: int
    runs: tuple[Run, ...]


def slurm(runs: Sequence[Run], settings: Settings) -> dict[str, str]:
    """runs/NAME.sh, array-*.sbatch with its array-*.txt of names, submit.sh."""
    found, submit = run_scripts(runs, settings), _SUBMIT
    for depth, wave in enumerate(waves(runs)):
        if depth:
            submit += 'after=(--dependency="afterany:$(IFS=:; echo "${jobs[*]}")")  # branches follow their trunks\n'
        submit += "jobs=()\n"
        for array in arrays(wave, settings, depth):
            name = array.name
            found[f"{name}.txt"] = "".join(f"{run.name}\n" for run in array.runs)
            found[f"{name}.sbatch"] = _script(array, settings)
            submit += f'jobs+=("$(sbatch --parsable "${{after[@]}}" "$@" "$here/{name}.sbatch" "$here")")\n'
            submit += f'echo "{name}: {len(array.runs):,} runs, job ${{jobs[-1]}}"\n'
    return {**found, "submit.sh": submit}


def limit_hours(run: Run, settings: Settings) -> int:
    """The time limit of a run in whole hours, 0 when its hours are not planned: the next of LIMITS, or whole days."""
    if run.hours is None:
        return 0
    wanted = run.hours * settings.time_margin
    return next((limit for limit in LIMITS if limit >= wanted), math.ceil(wanted / 24) * 24)


def arrays(runs: Sequence[Run], settings: Settings, depth: int = 0) -> list[Array]:
    """One array per shape and time limit, split at the largest array; within one the runs keep their order.

    `depth` is how many trunks lie before these runs.
    """

    def shape(run: Run) -> tuple[int, int, int]:
        return run.nodes, run.gpus_per_node, limit_hours(run, settings)

    found, most = [], settings.max_array_size
    for (nodes, gpus, hours), group in groupby(sorted(runs, key=shape), key=shape):
        same = list(group)
        for part, start in enumerate(range(0, len(same), most)):
            name = f"array-{nodes}x{gpus}" + (f"-{hours}h" if hours else "")
            name += f"-wave{depth + 1}" * (depth > 0) + f"-part{part + 1}" * (len(same) > most)
            found.append(Array(name, nodes, gpus, hours, tuple(same[start : start + most])))
    return found


def directives(array: Array, settings: Settings) -> str:
    """The lines in which sbatch reads what an array asks for."""
    most = f"%{settings.at_once}" if settings.at_once else ""
    lines = [
        f"--job-name={array.name}",
        f"--array=0-{len(array.runs) - 1}{most}",
        f"--nodes={array.nodes}",
        "--ntasks-per-node=1",
        *([f"--gpus-per-node={array.gpus_per_node}"] if array.gpus_per_node else []),
        *([f"--time={array.hours}:00:00"] if array.hours else []),
        "--requeue",
        "--open-mode=append",
    ]
    return "".join(f"#SBATCH {line}\n" for line in lines)


def _script(array: Array, settings: Settings) -> str:
    limit = f", at most {array.hours} h" if array.hours else ""
    title = f"# {len(array.runs):,} runs on {array.nodes} x {array.gpus_per_node} accelerators{limit}; task k runs line k + 1 "
    head = f"{directives(array, settings)}#SBATCH --output=output/slurm/%x-%A_%a.txt\n"
    body = _BODY.replace("@LIST@", f"{array.name}.txt").replace("@MASTER@", MASTER)
    return f"#!/usr/bin/env bash\n{title}of {array.name}.txt\n{head}{body}"
