"""Their names become our columns: which of them, in which unit, and what nobody asked for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from planner.logs.names import NATS, POINT, Name, meaning

# What stays as it is in a setting: never read as a number.
TEXTS = frozenset({
    "run_id", "study", "group", "variant", "stage", "status", "model", "purpose", "loss_unit", "loss_name", "schedule",
    "optimizer", "precision", "hyperparameter_source", "hyperparameters_extrapolated", "accelerator", "gpu_hours_source",
    "flops_rule", "is_final", "name", "owner", "month", "currency", "rerun_of",
})  # fmt: skip
# Settings that are numbers and are known under our own names; others come from `names.py`.
NUMBERS = frozenset({
    "params", "params_total", "params_active", "params_non_embedding", "params_active_non_embedding", "params_embedding",
    "tokens_unique", "tokens_per_param", "seed", "lr_peak", "batch_tokens", "warmup_tokens", "weight_decay",
    "context_length", "steps", "tokens_planned", "n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff",
    "vocab_size", "n_experts", "experts_per_token", "n_shared_experts", "expert_d_ff", "n_dense_layers", "n_accelerators",
    "gpu_hours", "usd", "energy_kwh", "co2_kg", "bytes_per_token", "attempt", "started", "ended", "seconds",
})  # fmt: skip
SHAPES = NUMBERS - {"params", "attempt", "started", "ended", "seconds", "gpu_hours", "usd", "energy_kwh", "co2_kg"}
GROUPED = r"\s*[+-]?\d{1,3}(,\d{3})+(\.\d*)?\s*"  # 1,234,567.8, and never a decimal comma
PREFIXES = ("config.", "config/", "hparams.", "hparams/", "args.", "params/")  # that tools put before every setting


@dataclass(frozen=True)
class Column:
    """One of their columns and what it means."""

    theirs: str
    name: Name


@dataclass(frozen=True)
class Columns:
    """Their columns by ours: `points` change with the step, `settings` belong to the run; `evals` are other evaluation sets.

    `others` are columns that nothing here knows. `row_id` is the one that says on every row of a table whose it is, where one
    does; the run's id is then no setting.
    """

    points: Mapping[str, Column]
    settings: Mapping[str, Column]
    evals: tuple[Column, ...]
    others: tuple[str, ...]
    row_id: Column | None = None

    @property
    def mapped(self) -> dict[str, str]:
        """Their names that became others of ours; "config.seed" is no other name than `seed`."""
        both = {**self.points, **self.settings} | ({} if self.row_id is None else {"run_id": self.row_id})
        return {column.theirs: ours for ours, column in both.items() if re.split(r"[./]", column.theirs)[-1] != ours}


def columns_of(names: Iterable[str], *, dialect: str = "", given: Mapping[str, str], steps: bool = True) -> Columns:
    """What the columns of a table or the metrics of a segment mean.

    `given` maps their names to ours before anything else. Without `steps` the table has one row per run: a rate is its
    peak. Of several names for one column the one of lowest priority is taken; further evaluation losses are `evals`.
    """
    known: dict[str, list[Column]] = {}
    others: list[str] = []
    for theirs in names:
        name = _named(theirs, dialect, given, steps)
        if name is None:
            others.append(theirs)
        else:
            known.setdefault(name.ours, []).append(Column(theirs, name))
    for columns in known.values():
        columns.sort(key=lambda column: (column.name.priority, len(column.theirs)))
    if steps:
        _tell_training_from_evaluation(known)
    points = {ours: columns[0] for ours, columns in known.items() if ours in POINT}
    settings = {ours: columns[0] for ours, columns in known.items() if ours not in POINT}
    evals = tuple(known.get("loss", [])[1:])
    rest = [column.theirs for ours, columns in known.items() if ours != "loss" for column in columns[1:]]
    return Columns(points, settings, evals, tuple(others + rest))


def _named(theirs: str, dialect: str, given: Mapping[str, str], steps: bool) -> Name | None:
    if theirs in given:
        ours = given[theirs]
        return replace(meaning(theirs, dialect) or Name(ours, unit=NATS), ours=ours, priority=-2)
    low = theirs.strip().lower()
    for prefix in PREFIXES:
        if low.startswith(prefix):
            setting = _named(theirs.strip()[len(prefix) :], dialect, {}, steps=False)
            return None if setting is None or setting.ours in POINT else setting
    if low in TEXTS or low in NUMBERS or low in ("tokens", "train_loss", "step"):
        return Name(low, unit=NATS, priority=-1)
    name = meaning(theirs, dialect)
    last = low.rpartition(".")[2]
    if name is None and last in SHAPES:
        return Name(last, priority=4)  # "model.n_layers"
    if name is not None and name.ours == "lr" and not steps:
        return replace(name, ours="lr_peak", priority=name.priority + 1)
    return name


def _tell_training_from_evaluation(known: dict[str, list[Column]]) -> None:
    """A bare "loss" beside a named evaluation loss is the training loss (LitGPT, torchtitan, Hugging Face)."""
    losses = known.get("loss", [])
    bare = [column for column in losses if column.theirs.strip().lower() == "loss" and column.name.priority == 3]
    if bare and len(losses) > len(bare):
        known["loss"] = [column for column in losses if column not in bare]
        if "train_loss" not in known:
            known["train_loss"] = [replace(column, name=replace(column.name, ours="train_loss")) for column in bare]


def settings_of(flat: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """A run's settings by our names from a flat config: numbers as numbers, text as text, nonsense left out."""
    found: dict[str, Any] = {}
    for ours, column in {**columns.points, **columns.settings}.items():
        value = cell(flat.get(column.theirs), text=ours in TEXTS)
        if value is None:
            continue
        found[ours] = value * column.name.factor if isinstance(value, float) else value
    for ours, column in {**columns.points, **columns.settings}.items():
        times = column.name.times
        if times and isinstance(found.get(ours), float):
            other = found.get(times)
            if isinstance(other, float):
                found[ours] = found[ours] * other
            elif ours in found:
                del found[ours]
    return found


def ungrouped(text: str) -> str:
    """A number without the commas that group its digits by thousands."""
    return text.replace(",", "") if re.fullmatch(GROUPED, text) else text


def cell(value: object, *, text: bool) -> float | str | None:
    """One setting: a finite number, or a text where one is meant; None for what is missing."""
    if value is None or isinstance(value, (list, tuple, dict)):
        return None
    if text:
        shown = str(value).strip() if not isinstance(value, bool) else str(value).lower()
        return shown or None
    try:
        number = float(value) if isinstance(value, (int, float)) else float(ungrouped(str(value)))
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
