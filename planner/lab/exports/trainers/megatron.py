"""Megatron-LM: flags of pretrain_gpt.py (megatron/training/arguments.py and training/config/training_config.py)."""

from __future__ import annotations

import math

from planner.lab.exports.run import Run
from planner.lab.exports.settings import Settings
from planner.lab.exports.trainers.choice import choice, variant
from planner.lab.exports.trainers.flag import Flag, Trainer, holds, plain
from planner.lab.exports.trainers.steps import branch_steps, cooldown_fraction, in_steps, sequences, steps, uneven_batch

OPTIONS = {
    "n_layers": "--num-layers", "d_model": "--hidden-size", "n_heads": "--num-attention-heads", "head_dim": "--kv-channels",
    "d_ff": "--ffn-hidden-size", "vocab_size": "--vocab-size", "lr_peak": "--lr", "weight_decay": "--weight-decay",
    "seed": "--seed", "tensor_parallel": "--tensor-model-parallel-size", "context_parallel": "--context-parallel-size",
    "pipeline_parallel": "--pipeline-model-parallel-size", "expert_parallel": "--expert-model-parallel-size",
}  # fmt: skip
OPTIMIZERS = {"adamw": "adam", "adam": "adam", "sgd": "sgd"}  # its adam decouples the weight decay
PRECISIONS = {"bf16": "--bf16", "fp16": "--fp16", "fp32": ""}


def _flags(run: Run, settings: Settings) -> list[Flag]:
    return [
        *plain(run, OPTIONS),
        *_attention(run),
        *_length(run, settings),
        *_schedule(run),
        *_experts(run),
        *choice(run, "optimizer", {name: f"--optimizer={theirs}" for name, theirs in OPTIMIZERS.items()}),
        *choice(run, "precision", PRECISIONS),
        *variant(run),
        *holds(run, "data_parallel"),
        *uneven_batch(run, settings),
        *_checkpoints(run),
        Flag((), f"--wandb-exp-name={run.run_id}"),
        Flag((), "--wandb-save-dir=", folder=run.name),
        Flag((), "--tensorboard-dir=", folder=f"{run.name}/tensorboard"),
    ]


def _attention(run: Run) -> list[Flag]:
    groups = run.whole("n_kv_heads")
    if groups is None or groups == run.whole("n_heads"):
        return holds(run, "n_kv_heads")
    return [Flag((), "--group-query-attention"), Flag(("n_kv_heads",), f"--num-query-groups={groups}")]


def _length(run: Run, settings: Settings) -> list[Flag]:
    found = []
    if context := run.whole("context_length"):
        found += [
            Flag(("context_length",), f"--seq-length={context}"),
            Flag((), f"--max-position-embeddings={context}"),
        ]
    if count := sequences(run):
        found += [
            Flag(("batch_tokens",), f"--global-batch-size={count}"),
            Flag((), f"--micro-batch-size={settings.micro_batch}"),
        ]
    if total := steps(run):
        found.append(Flag(("steps", "tokens"), f"--train-iters={total}"))
    return found


def _schedule(run: Run) -> list[Flag]:
    warmup, fraction, total = in_steps(run, "warmup_tokens"), cooldown_fraction(run), steps(run)
    found = [Flag((), "--min-lr=0.0")]
    found += [] if warmup is None else [Flag(("warmup_tokens",), f"--lr-warmup-iters={warmup}")]
    match run.text("schedule"):
        case "":
            return found
        case "cosine" | "linear" | "constant" as style:
            return [*found, Flag(("schedule",), f"--lr-decay-style={style}")]
        case "wsd" if fraction is not None and total:
            return [
                *found,
                Flag(("schedule",), "--lr-decay-style=WSD"),
                Flag((), "--lr-wsd-decay-style=linear"),
                Flag(("cooldown_fraction",), f"--lr-wsd-decay-iters={max(1, round(fraction * total))}"),
            ]
        case "wsd":
            return [
                *found,
                Flag(("schedule",), why="wsd without cooldown_fraction: how long the rate falls is not planned"),
            ]
        case style:
            return [*found, Flag(("schedule",), why=f"no schedule {style!r}")]


def _experts(run: Run) -> list[Flag]:
    columns = ("n_experts", "experts_per_token", "n_shared_experts", "expert_d_ff", "n_dense_layers")
    count, width, layers = run.whole("n_experts"), run.whole("expert_d_ff"), run.whole("n_layers")
    if not count:
        return holds(run, *columns)
    found = [Flag(("n_experts",), f"--num-experts={count}")]
    if chosen := run.whole("experts_per_token"):
        found.append(Flag(("experts_per_token",), f"--moe-router-topk={chosen}"))
    if width:
        found.append(Flag(("expert_d_ff",), f"--moe-ffn-hidden-size={width}"))
    if (shared := run.whole("n_shared_experts")) and width:
        found.append(Flag(("n_shared_experts",), f"--moe-shared-expert-intermediate-size={shared * width}"))
    elif shared == 0:
        found += holds(run, "n_shared_experts")
    if (dense := run.whole("n_dense_layers")) is not None and layers:
        pattern = f"([0]*{dense}+[1]*{layers - dense})" if dense else "1"
        found.append(Flag(("n_dense_layers",), f"--moe-layer-freq={pattern}"))
    return found


def _checkpoints(run: Run) -> list[Flag]:
    folder = f"{run.name}/checkpoints"
    found = [Flag((), "--save=", folder=folder)]
    if kept := branch_steps(run):
        found.append(Flag((), f"--save-interval={math.gcd(*kept)}"))
    if not run.trunk:
        return [*found, Flag((), "--load=", folder=folder)]  # a requeued run goes on; a new one finds nothing there
    step = in_steps(run, "resumed_tokens")
    found.append(Flag(("trunk_id",), "--load=", folder=f"{run.trunk}/checkpoints"))
    if step is not None:
        found.append(Flag(("resumed_tokens",), f"--ckpt-step={step}"))
    return [
        *found,
        Flag((), "--override-opt_param-scheduler"),
        Flag((), why="a requeued branch starts at its trunk again"),
    ]


MEGATRON = Trainer("megatron", "Megatron-LM, main of 2026", "pretrain_gpt.py", _flags)
