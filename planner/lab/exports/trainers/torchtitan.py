"""torchtitan 0.3.0: options of its configuration classes, and a module that builds the plan's dense shapes.

A shape is no option there: it is what a Python function returns. `torchtitan_models.txt` is that function for llama3 shapes,
which it reads from the name of the configuration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files

from planner.lab.exports.run import Run
from planner.lab.exports.settings import Settings
from planner.lab.exports.trainers.choice import choice, variant
from planner.lab.exports.trainers.flag import Flag, Trainer, cannot, holds, plain
from planner.lab.exports.trainers.steps import branch_steps, cooldown_fraction, in_steps, sequences, steps, uneven_batch

OPTIONS = {
    "context_length": "--training.seq_len", "seed": "--debug.seed",
    "lr_peak": "--optimizer.param_groups.0.optimizer_kwargs.lr",
    "weight_decay": "--optimizer.param_groups.0.optimizer_kwargs.weight_decay",
    "tensor_parallel": "--parallelism.tensor_parallel_degree", "pipeline_parallel": "--parallelism.pipeline_parallel_degree",
    "expert_parallel": "--parallelism.expert_parallel_degree", "context_parallel": "--parallelism.context_parallel_degree",
}  # fmt: skip
OPTIMIZERS = {name.lower(): f"--optimizer.param_groups.0.optimizer_name={name}" for name in ("AdamW", "Adam")}
PRECISIONS = {"bf16": "--training.mixed_precision_param=bfloat16", "fp32": "--training.mixed_precision_param=float32"}
SHAPE = ("n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff", "vocab_size")
EXPERTS = ("n_experts", "experts_per_token", "n_shared_experts", "expert_d_ff", "n_dense_layers")


def _flags(run: Run, settings: Settings) -> list[Flag]:
    total, warmup, count = steps(run), in_steps(run, "warmup_tokens"), sequences(run)
    return [
        *_shape(run),
        *([Flag(("steps", "tokens"), f"--training.steps={total}")] if total else []),
        *([Flag(("batch_tokens",), f"--training.global_batch_size={count}")] if count else []),
        Flag((), f"--training.local_batch_size={settings.micro_batch}"),
        *([Flag(("warmup_tokens",), f"--lr_scheduler.warmup_steps={warmup}")] if warmup is not None else []),
        *plain(run, OPTIONS),
        *_schedule(run),
        Flag((), "--lr_scheduler.min_lr_factor=0.0"),
        *choice(run, "optimizer", OPTIMIZERS),
        *choice(run, "precision", PRECISIONS),
        *variant(run),
        *holds(run, "data_parallel"),
        *uneven_batch(run, settings),
        Flag((), "--dump_folder=", folder=run.name),
        Flag((), "--checkpoint.enable"),
        Flag((), "--checkpoint.no_last_save_model_only"),  # the last checkpoint can be gone on from
        *_kept(run),
        *_trunk(run),
    ]


def _shape(run: Run) -> list[Flag]:
    found = {name: run.whole(name) for name in SHAPE}
    if run.whole("n_experts"):
        return cannot(
            run, (*SHAPE, *EXPERTS), "a model with experts is Python there: --module and --config in --command"
        )
    dense = holds(run, *EXPERTS)
    width, heads, head = found["d_model"], found["n_heads"], found["head_dim"]
    if any(found[name] is None for name in ("n_layers", "d_model", "n_heads", "d_ff", "vocab_size")):
        return [*dense, *cannot(run, SHAPE, "the plan lacks a part of the shape: --module and --config in --command")]
    if width is not None and heads and head is not None and heads * head != width:
        return [
            *dense,
            *cannot(run, SHAPE, f"llama3 has heads of d_model / n_heads, not {head}: --module, --config in --command"),
        ]
    kv = found["n_kv_heads"] or heads
    name = f"l{found['n_layers']}_d{width}_h{heads}_kv{kv}_ff{found['d_ff']}_v{found['vocab_size']}"
    return [*dense, Flag((), "--module=planner_models"), Flag(SHAPE, f"--config={name}")]


def _schedule(run: Run) -> list[Flag]:
    decay, ratio = "--lr_scheduler.decay_type", "--lr_scheduler.decay_ratio"
    match run.text("schedule"), cooldown_fraction(run):
        case ("cosine" | "linear") as kind, _:
            return [Flag(("schedule",), f"{decay}={kind}"), Flag((), f"{ratio}=None")]
        case "constant", _:
            return [Flag(("schedule",), f"{ratio}=0.0")]
        case "wsd", float() as fraction:
            return [Flag(("schedule",), f"{decay}=linear"), Flag(("cooldown_fraction",), f"{ratio}={fraction:.6g}")]
        case "wsd", None:
            return cannot(run, ("schedule",), "wsd without cooldown_fraction: how long the rate falls is not planned")
    return cannot(run, ("schedule",), f"no schedule {run.text('schedule')!r}")


def _kept(run: Run) -> list[Flag]:
    steps_kept = branch_steps(run)
    if not steps_kept:
        return []
    return [Flag((), f"--checkpoint.interval={math.gcd(*steps_kept)}"), Flag((), "--checkpoint.keep_latest_k=0")]


def _trunk(run: Run) -> list[Flag]:
    step = in_steps(run, "resumed_tokens")
    if not run.trunk or step is None:
        return []
    place = Flag(
        ("trunk_id", "resumed_tokens"),
        "--checkpoint.initial_load_path=",
        folder=f"{run.trunk}/checkpoint/step-{step}",
    )
    return [place, Flag((), "--checkpoint.no_initial_load_model_only")]


def _files(runs: Sequence[Run]) -> dict[str, str]:
    if all(run.whole("n_experts") for run in runs):
        return {}
    text = files("planner.lab.exports.trainers").joinpath("torchtitan_models.txt").read_text(encoding="utf-8")
    return {"planner_models.py": text}


TORCHTITAN = Trainer("torchtitan", "torchtitan 0.3.0", "-m torchtitan.train", _flags, _files)
