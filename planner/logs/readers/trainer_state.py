"""Hugging Face's trainer_state.json: the whole log of a run, written again into every checkpoint.

`TrainerState` of transformers/trainer_callback.py: `log_history` is a list of {"step", "epoch", "loss", "learning_rate", ...} and
{"step", "eval_loss", ...}; `loss` is the training loss since the last line. The config.json beside it describes the model;
training_args.bin is a pickle and is never opened.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.logs.curves import Curves, number, travelled
from planner.logs.keys import name_of
from planner.logs.segment import Log, Segment
from planner.logs.source import Part, Source, head
from planner.logs.texts import document

_FILE = "trainer_state.json"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_STATE = ("max_steps", "num_train_epochs", "train_batch_size", "num_input_tokens_seen", "total_flos", "global_step")
_MARKS = (b'"log_history"', b'"best_metric"', b'"epoch"', b'"best_global_step"')


class TrainerState:
    """Each folder that holds a trainer_state.json, itself or in its checkpoints, is one run."""

    name = "trainer_state"
    reads = "trainer_state.json of Hugging Face trainers"

    def claim(self, source: Source) -> list[Part]:
        """One part per run: its states, newest checkpoint first, the model's config.json, and event files that repeat them."""
        runs: dict[Path, list[Path]] = defaultdict(list)
        for file in source.files:
            if file.name == _FILE or (file.suffix == ".json" and _is_state(file)):
                runs[file.parent.parent if _CHECKPOINT.fullmatch(file.parent.name) else file.parent].append(file)
        beside = defaultdict(list)
        for file in source.files if runs else ():
            for folder in list(file.parents)[:3]:
                if folder in runs and (file.name == "config.json" or ".tfevents." in file.name):
                    beside[folder].append(file)
                    break
        return [
            Part(source, (*sorted(states, key=_steps, reverse=True), *beside[folder]), str(folder))
            for folder, states in runs.items()
        ]

    def read(self, parts: Sequence[Part]) -> Log:
        """One segment per run, from its newest state."""
        skipped: Counter[str] = Counter()
        return Log((_run(part, skipped) for part in parts), skipped=skipped)


def _run(part: Part, skipped: Counter[str]) -> Segment:
    newest = part.files[0]
    states = sum(file.name == newest.name for file in part.files)
    skipped["a state of an earlier checkpoint, whose log the last one holds too"] += states - 1
    skipped["an event file that repeats trainer_state.json"] += sum(".tfevents." in file.name for file in part.files)
    state = document(part, newest)
    if not isinstance(state, dict) or not isinstance(state.get("log_history"), list):
        raise InputError(f"{part.place}: no log_history in it", "give the trainer_state.json of a training run")
    curves = Curves()
    for row in state["log_history"]:
        step = number(row.get("step")) if isinstance(row, dict) else None
        if step is None:
            skipped["a log entry without a step"] += 1
            continue
        for name, value in row.items():
            found = number(value)
            # What starts with "train_" is logged once, at the end, for the whole run: `train_loss` is its mean.
            if found is not None and name != "step" and not name.startswith("train_"):
                curves.add(name, step, found)
    config = {**_model(part), **{name: state[name] for name in _STATE if name in state}}
    return Segment(
        key=part.key,
        place=part.place,
        dialect="trainer_state",
        name=name_of(part.source, Path(part.key)),
        run_id=travelled(config, _parameters(state)),
        config=config,
        status=_status(state),
        history=curves.series(),
    )


def _model(part: Part) -> dict[str, Any]:
    """The model's config.json nearest to the newest state, where there is one."""
    for file in part.files:
        if file.name == "config.json":
            found = document(part, file)
            return dict(found) if isinstance(found, dict) else {}
    return {}


def _parameters(state: dict[str, Any]) -> dict[str, Any]:
    found = state.get("trial_params")
    return {**(found if isinstance(found, dict) else {}), "planner_run_id": state.get("trial_name")}


def _status(state: dict[str, Any]) -> str:
    done, planned = number(state.get("global_step")), number(state.get("max_steps"))
    return "finished" if done and planned and done >= planned else ""


def _is_state(file: Path) -> bool:
    start = head(file)
    return start.lstrip()[:1] == b"{" and sum(mark in start for mark in _MARKS) >= 2 and b'"log_history"' in start


def _steps(file: Path) -> int:
    found = _CHECKPOINT.fullmatch(file.parent.name)
    return int(found[1][:18]) if found else 1 << 62


__all__ = ["TrainerState"]
