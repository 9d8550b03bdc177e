"""A plan trained by the simulated lab into the files of a real launch: logs/RUN.jsonl and outcomes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from planner import store
from planner.encode import to_json
from planner.errors import InputError
from planner.lab.exports.run import typed
from planner.lab.launch import Launched, Order
from planner.lab.local.places import Ending, Outcome, Places
from planner.lab.simulated import Run, run_plan
from planner.lab.world import World
from planner.runs.columns import BASELINE, DEFAULT_LOSS_UNIT
from planner.sweep.file.tables import Lab

POINTS = 20  # of a log
ENDINGS = {"completed": Ending.COMPLETED, "diverged": Ending.DIVERGED, "failed": Ending.FAILED}
# What a trainer says of itself in its log's first line, where the plan has it.
SETTINGS = (
    "study", "variant", "seed", "model", "params_total", "params_active", "params_non_embedding",
    "params_active_non_embedding", "n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff", "vocab_size",
    "n_experts", "experts_per_token", "batch_tokens", "context_length", "lr_peak", "warmup_tokens", "weight_decay",
    "schedule", "optimizer", "precision", "accelerator", "n_accelerators", "resumed_tokens",
)  # fmt: skip


def simulate(frame: pd.DataFrame, order: Order, world: World, lab: Lab, places: Places) -> Launched:
    """Train what `order` asks for of the plan `frame`; a run's fate and loss depend on its id and the world alone.

    A branch whose trunk did not complete is skipped, as a real launch skips it. Raises InputError for a plan without the
    columns that the lab needs, or with an idea that the world does not know.
    """
    plan = _checked(frame, world)
    wanted = {str(row["run_id"]) for row in order.rows}
    launched = Launched(skipped=dict(order.skipped), left=order.left)
    for row, record in zip(plan.to_dict("records"), run_plan(plan, world, lab), strict=True):
        run, state = str(record["run_id"]), str(record["state"])
        if run not in wanted:
            continue
        if state not in ENDINGS:
            launched.skipped[run] = f"its trunk {row['trunk_id']} did not complete"
            continue
        outcome = _outcome(row, record, ENDINGS[state])
        lines = [{"run_id": run, **line} for line in _lines(row, record, outcome, world)]
        content = "".join(to_json(line, indent=None) + "\n" for line in lines)
        store.write_bytes(places.log(run), content.encode(), wait=False)
        places.write_outcome(outcome, wait=False)
        launched.outcomes[run] = outcome
    return launched


def _checked(frame: pd.DataFrame, world: World) -> pd.DataFrame:
    for name in Run._fields:
        if name not in frame:
            raise InputError(f"the plan has no column {name!r}", "give the plan that `planner propose` wrote")
    unknown = set(frame["variant"].dropna().astype(str)) - world.gains.keys() - {BASELINE}
    if unknown:
        raise InputError(
            f"variant {min(unknown)!r} is no idea of the sweep", "give the sweep that the plan was made of"
        )
    return pd.DataFrame({name: _natural(column) for name, column in typed(frame).items()})


def _natural(column: pd.Series) -> pd.Series:
    """A column as the plan had it before it was a file: numbers, NaN where they are missing; texts, "" where they are."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return pd.Series(column.to_numpy(dtype=float, na_value=math.nan) if column.hasnans else column.to_numpy())
    return column.astype(object).where(column.notna(), "")


def _outcome(row: Mapping[Any, Any], record: Mapping[str, Any], ending: Ending) -> Outcome:
    seen = float(record["n_tokens_seen"]) - float(row.get("resumed_tokens") or 0)
    reasons = {Ending.DIVERGED: "training loss not finite", Ending.FAILED: "the simulated machine failed"}
    batch, active = float(row["batch_tokens"]), float(row["params_active"])
    return Outcome(
        str(record["run_id"]), ending, record["eval/loss"], reasons.get(ending, ""),
        round(float(record["n_tokens_seen"]) / batch), 0.0, 6 * active * max(seen, 0.0),
    )  # fmt: skip


def _lines(
    row: Mapping[Any, Any], record: Mapping[str, Any], outcome: Outcome, world: World
) -> Iterator[dict[str, object]]:
    """Settings, points along the run, its end. Training losses follow the law at the tokens seen: a sketch, no schedule."""
    said = {name: row[name] for name in SETTINGS if name in row and row[name] != "" and row[name] == row[name]}
    yield {**said, "tokens_planned": row["tokens"], "loss_name": record["eval_set"], "loss_unit": DEFAULT_LOSS_UNIT}
    batch, begin = float(row["batch_tokens"]), float(row.get("resumed_tokens") or 0)
    params, variant, end = float(row["params_active"]), str(row["variant"]), float(record["n_tokens_seen"])
    off = 1.0 if outcome.loss is None else outcome.loss / world.mean_loss(variant, params, end)
    for at in _steps(begin / batch, end / batch):
        loss = off * world.mean_loss(variant, params, at * batch)
        ends = outcome.status is Ending.DIVERGED and at == outcome.steps
        yield {"step": at, "tokens": at * batch, "train_loss": math.nan if ends else loss}
    yield {"step": outcome.steps, "tokens": end, "loss": outcome.loss, "gpu_hours": record["gpu_hours"],
           "flops": outcome.flops, "status": outcome.status.value, "reason": outcome.reason}  # fmt: skip


def _steps(begin: float, end: float) -> Sequence[int]:
    """About POINTS steps, evenly spaced, the last one at the end."""
    steps = {round(begin + (end - begin) * point / POINTS) for point in range(1, POINTS + 1)}
    return sorted(step for step in steps if step > begin)
