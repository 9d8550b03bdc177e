"""Plain bash: one script a run, and one that runs them all, one after another."""

from __future__ import annotations

from collections.abc import Sequence

from planner.lab.exports.run import Run, waves
from planner.lab.exports.script import script
from planner.lab.exports.settings import Settings
from planner.lab.exports.trainers import TRAINERS

_ALL = """#!/usr/bin/env bash
# Every run of runs.txt, one after another, from the folder of the training code. A run that is done is not run again.
set -uo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=${PLANNER_ROOT:-$PWD/output}
failed=0
while IFS= read -r name <&3; do
  [ -e "$root/$name/done" ] && continue
  mkdir -p -- "$root/$name"
  echo "run $name"
  if bash "$here/runs/$name.sh" </dev/null >>"$root/$name/log.txt" 2>&1; then
    touch -- "$root/$name/done"
  else
    echo "failed: $name, see $root/$name/log.txt" >&2
    failed=$((failed + 1))
  fi
done 3<"$here/runs.txt"
[ "$failed" -eq 0 ] || { echo "$failed runs failed" >&2; exit 1; }
"""


def run_scripts(runs: Sequence[Run], settings: Settings) -> dict[str, str]:
    """A script for every run, and what its trainer needs beside it."""
    found = {f"runs/{run.name}.sh": script(run, settings) for run in runs}
    return found | TRAINERS[settings.trainer].files(runs)


def shell(runs: Sequence[Run], settings: Settings) -> dict[str, str]:
    """runs/NAME.sh, runs.txt with trunks before their branches, run-all.sh."""
    order = [run.name for wave in waves(runs) for run in wave]
    return {**run_scripts(runs, settings), "runs.txt": "".join(f"{name}\n" for name in order), "run-all.sh": _ALL}
