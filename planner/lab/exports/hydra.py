"""Hydra: one experiment file a run, a multirun over their names, and every run as overrides in Hydra's own grammar."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from planner.lab.exports.run import Run, Value, waves
from planner.lab.exports.settings import Settings
from planner.lab.exports.yaml import dump

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_AT_A_TIME = 500  # names in one argument: Linux takes 128 KiB
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS = frozenset(("null", "true", "false", "inf", "nan"))
_MULTIRUN = """#!/usr/bin/env bash
# Every run by name, from the folder of a Hydra program; what is given goes to it: multirun.sh hydra/launcher=submitit_slurm
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
"""
_SINGLE = """#!/usr/bin/env bash
# Every run with its values spelled out, one after another, from the folder of a Hydra program.
set -euo pipefail
"""


def hydra(runs: Sequence[Run], settings: Settings) -> dict[str, str]:
    """conf/experiment/NAME.yaml, multirun.sh, overrides.sh (a line a run, its values spelled out)."""
    found = {f"conf/experiment/{run.name}.yaml": _experiment(run) for run in runs}
    command = settings.command or "python train.py"
    multirun, single = _MULTIRUN, _SINGLE
    for wave in waves(runs):
        for start in range(0, len(wave), _AT_A_TIME):
            names = ",".join(quote(run.name) for run in wave[start : start + _AT_A_TIME])
            choice = shlex.quote(f"+experiment={names}")
            multirun += f'{command} --multirun "hydra.searchpath=[file://$here/conf]" {choice} "$@"\n'
        single += "".join(f'{command} {" ".join(map(shlex.quote, overrides(run)))} "$@"\n' for run in wave)
    return {**found, "multirun.sh": multirun, "overrides.sh": single}


def overrides(run: Run) -> list[str]:
    """A run as Hydra overrides, each adding or setting one key."""
    return [f"++{key}={_override(value)}" for key, value in _values(run).items()]


def quote(text: str) -> str:
    """A text in Hydra's single quotes (hydra/grammar/OverrideLexer.g4): \\' for a quote, doubled backslashes before one.

    Text that OmegaConf would take for an interpolation is escaped too; a plain word needs no quotes.
    """
    if _BARE.fullmatch(text) and text.lower() not in _WORDS:
        return text
    plain = re.sub(r"(\\*)\$\{", lambda m: m[1] * 2 + r"\${", text)
    plain = re.sub(r"(\\*)'", lambda m: m[1] * 2 + r"\'", plain)
    return "'" + re.sub(r"(\\+)$", lambda m: m[1] * 2, plain) + "'"


def _override(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return quote(value) if isinstance(value, str) else repr(value)


def _values(run: Run) -> dict[str, Value]:
    named = {"run_id": run.run_id, "output": f"output/{run.name}", "tags": run.name}
    return {**named, **{_name(key): value for key, value in run.trained.items()}}


def _name(column: str) -> str:
    return column if _KEY.fullmatch(column) else re.sub(r"[^A-Za-z0-9_]", "_", f"column_{column}")


def _experiment(run: Run) -> str:
    escaped = {key: _uninterpolated(value) if isinstance(value, str) else value for key, value in _values(run).items()}
    return f"# @package _global_\n{dump(escaped)}"


def _uninterpolated(text: str) -> str:
    """A text that OmegaConf gives back as it is: in its files, \\${ is a plain ${."""
    return re.sub(r"(\\*)\$\{", lambda m: m[1] * 2 + r"\${", text)
