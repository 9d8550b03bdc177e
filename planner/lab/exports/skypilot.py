"""SkyPilot: one task file a run, and a script that launches them as managed jobs."""

from __future__ import annotations

from collections.abc import Sequence

from planner.lab.exports.run import Run, waves
from planner.lab.exports.script import script
from planner.lab.exports.settings import Settings
from planner.lab.exports.trainers import TRAINERS
from planner.lab.exports.yaml import dump

# The chips that SkyPilot's catalog calls otherwise than ours in upper case.
ACCELERATORS = {
    "a100": "A100-80GB", "a100-40gb": "A100", "mi300x": "MI300X", "tpu-v3": "tpu-v3-8", "tpu-v4": "tpu-v4-8",
    "tpu-v5e": "tpu-v5litepod-8", "tpu-v5p": "tpu-v5p-8", "tpu-v6e": "tpu-v6e-8", "trainium2": "Trainium2",
}  # fmt: skip

_HEAD = """#!/usr/bin/env bash
# Launches runs as managed jobs, from the folder of the training code; what is given goes to sky: launch.sh --use-spot
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
"""
_LOOP = """while IFS= read -r name <&3; do
  sky jobs launch --yes --detach-run "$@" "$here/tasks/$name.yaml"
done 3<"$here/@LIST@"
"""
_MASTER = 'export PLANNER_MASTER_ADDR="$(echo "$SKYPILOT_NODE_IPS" | sed -n 1p)"\n'


def skypilot(runs: Sequence[Run], settings: Settings) -> dict[str, str]:
    """tasks/NAME.yaml, launch.sh (launch-2.sh for branches, to start when their trunks are done), runs.txt."""
    found = {f"tasks/{run.name}.yaml": dump(_task(run, settings)) for run in runs}
    for depth, wave in enumerate(waves(runs)):
        end = f"-{depth + 1}" if depth else ""
        found[f"runs{end}.txt"] = "".join(f"{run.name}\n" for run in wave)
        found[f"launch{end}.sh"] = _HEAD + _LOOP.replace("@LIST@", f"runs{end}.txt")
    return found | TRAINERS[settings.trainer].files(runs)


def _task(run: Run, settings: Settings) -> dict[str, object]:
    resources = {"accelerators": f"{_chip(run)}:{run.gpus_per_node}"} if run.text("accelerator") else {}
    return {
        "name": run.name if run.name[0].isalpha() else f"run-{run.name}",
        "num_nodes": run.nodes,
        "resources": resources,
        "workdir": ".",
        "envs": {"PLANNER_RUN_ID": run.run_id},
        "run": _MASTER + script(run, settings, home='"$PWD"').partition("\n")[2],
    }


def _chip(run: Run) -> str:
    name = run.text("accelerator").lower()
    return ACCELERATORS.get(name, name.upper())
