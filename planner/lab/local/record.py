"""The lines of a run's log, under the names that `planner import` knows."""

from __future__ import annotations

import time

from planner.lab.local.places import Outcome
from planner.lab.local.task import SHAPE, Task
from planner.models.flops import FlopsRule
from planner.models.parameters import count_parameters
from planner.runs.columns import DEFAULT_LOSS_UNIT


def settings_line(task: Task, loss_name: str, *, device: str, precision: str) -> dict[str, object]:
    """What was trained and how: counts and shape of the model as it was built, recipe, seed, evaluation set.

    Losses are nats per token, and a token is a byte; FLOPs are by the exact rule of `planner.models.flops`.
    """
    count = count_parameters(task.model)
    return {
        "study": task.study,
        "variant": task.variant,
        "seed": task.seed,
        "model": task.model.name,
        "params_total": count.total,
        "params_active": count.active,
        "params_non_embedding": count.non_embedding,
        "params_active_non_embedding": count.active_non_embedding,
        **{name: getattr(task.model, name) for name in SHAPE},
        "vocab_size": task.model.vocab_size,
        "tied_embeddings": task.model.tied_embeddings,
        "gated_mlp": task.model.gated_mlp,
        "qk_norm": task.model.qk_norm.value,
        "tokens_planned": task.tokens,
        "resumed_tokens": task.resumed_steps * task.batch_tokens,
        "steps": task.steps,
        "batch_tokens": task.batch_tokens,
        "context_length": task.context_length,
        "lr_peak": task.lr_peak,
        "warmup_tokens": task.warmup_steps * task.batch_tokens,
        "weight_decay": task.weight_decay,
        "schedule": task.schedule.value,
        "optimizer": "adamw",
        "precision": precision,
        "accelerator": device,
        "n_accelerators": 1,
        "loss_name": loss_name,
        "loss_unit": DEFAULT_LOSS_UNIT,
        "flops_rule": FlopsRule.EXACT.value,
    }


def point_line(task: Task, step: int, loss: float, rate: float, step_seconds: float, flops: float) -> dict[str, object]:
    """A point: the mean training loss since the point before, and the rate of the last step; `flops` are this row's own."""
    return {
        "step": step,
        "tokens": step * task.batch_tokens,
        "train_loss": loss,
        "lr": rate,
        "step_seconds": step_seconds,
        "flops": flops,
        "time": round(time.time(), 3),
    }


def end_line(task: Task, outcome: Outcome) -> dict[str, object]:
    """The end: the loss on the fixed validation set, where there is one."""
    return {
        "step": outcome.steps,
        "tokens": outcome.steps * task.batch_tokens,
        "loss": outcome.loss,
        "flops": outcome.flops,
        "status": outcome.status.value,
        "reason": outcome.reason,
    }
