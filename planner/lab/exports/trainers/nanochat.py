"""nanochat: flags of scripts/base_train.py, whose one dial is depth; much of a plan is fixed there."""

from __future__ import annotations

import math

from planner.lab.exports.run import Run
from planner.lab.exports.settings import Settings
from planner.lab.exports.trainers.choice import choice, variant
from planner.lab.exports.trainers.flag import Flag, Trainer, cannot, holds, plain
from planner.lab.exports.trainers.steps import branch_steps, cooldown_fraction, in_steps, steps, uneven_batch

OPTIONS = {"batch_tokens": "--total-batch-size", "context_length": "--max-seq-len"}


def _flags(run: Run, settings: Settings) -> list[Flag]:
    total, warmup = steps(run), in_steps(run, "warmup_tokens")
    return [
        Flag((), f"--run={run.run_id}"),
        Flag((), f"--model-tag={run.name}"),
        *plain(run, OPTIONS),
        *([Flag(("steps", "tokens"), f"--num-iterations={total}")] if total else []),
        *([Flag(("warmup_tokens",), f"--warmup-steps={warmup}")] if warmup is not None else []),
        Flag((), f"--device-batch-size={settings.micro_batch}"),
        Flag((), "--window-pattern=L"),  # a plan's context is full attention
        *([Flag((), f"--save-every={math.gcd(*kept)}")] if (kept := branch_steps(run)) else []),
        *_shape(run),
        *_schedule(run),
        *uneven_batch(run, settings),
        *choice(run, "precision", {"bf16": ""}),
        *variant(run),
        *holds(run, "data_parallel"),
        *_serial(run),
        *cannot(
            run,
            ("lr_peak", "weight_decay", "optimizer"),
            "Muon for matrices and AdamW for the rest, rates of their own",
        ),
        *cannot(run, ("vocab_size",), "the tokenizer's"),
        *cannot(run, ("seed",), "fixed in nanochat/common.py"),
        *cannot(
            run,
            ("trunk_id", "resumed_tokens"),
            "copy the trunk's checkpoint under this --model-tag, --resume-from-step",
        ),
    ]


def _shape(run: Run) -> list[Flag]:
    """Depth, and the whole aspect ratio that gives the width: width = depth x ratio, rounded up to whole heads."""
    depth, width, heads, head = (run.whole(name) for name in ("n_layers", "d_model", "n_heads", "head_dim"))
    columns = ("n_layers", "d_model", "n_heads", "head_dim", "n_kv_heads", "d_ff", "n_dense_layers")
    if run.whole("n_experts"):
        why = "dense models only"
        return cannot(run, (*columns, "n_experts", "experts_per_token", "n_shared_experts", "expert_d_ff"), why)
    found = holds(run, "n_experts", "experts_per_token", "n_shared_experts", "expert_d_ff", "n_dense_layers")
    if not (depth and width and heads):
        return found
    head = head or width // heads
    ratio = width // depth
    if heads * head != width or -(-depth * ratio // head) * head != width:
        why = f"its width is depth x a whole ratio, its heads {head} wide; {depth} x {width} with {heads} heads is not"
        return [*found, *cannot(run, ("n_layers", "d_model", "n_heads", "head_dim"), why)]
    found += [Flag(("n_layers",), f"--depth={depth}"), Flag(("d_model", "n_heads"), f"--aspect-ratio={ratio}")]
    found.append(Flag(("head_dim",), f"--head-dim={head}"))
    same = run.whole("n_kv_heads") in (None, heads)
    found += holds(run, "n_kv_heads") if same else cannot(run, ("n_kv_heads",), "as many as heads")
    return found + (
        holds(run, "d_ff") if run.whole("d_ff") in (None, 4 * width) else cannot(run, ("d_ff",), "4 x d_model")
    )


def _schedule(run: Run) -> list[Flag]:
    match run.text("schedule"), cooldown_fraction(run):
        case "constant", _:
            return [Flag(("schedule",), "--warmdown-ratio=0.0")]
        case "wsd", float() as fraction:
            return [Flag(("schedule", "cooldown_fraction"), f"--warmdown-ratio={fraction:.6g}")]
    return cannot(run, ("schedule",), f"{run.text('schedule')!r}: warm-up, constant, linear warm-down only")


def _serial(run: Run) -> list[Flag]:
    degrees = ("tensor_parallel", "pipeline_parallel", "expert_parallel", "context_parallel")
    more = [name for name in degrees if (run.whole(name) or 1) > 1]
    return holds(run, *degrees) if not more else cannot(run, more, "data parallel only")


NANOCHAT = Trainer("nanochat", "master of 2026", "-m scripts.base_train --", _flags)
