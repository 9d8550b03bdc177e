"""OLMo-core 3.0.0: overrides of src/examples/llm/train.py; their values are YAML."""

from __future__ import annotations

import json

from planner.lab.exports.run import Run
from planner.lab.exports.settings import Settings
from planner.lab.exports.trainers.choice import choice, variant
from planner.lab.exports.trainers.flag import Flag, Trainer, cannot, holds, plain
from planner.lab.exports.trainers.steps import branch_steps, cooldown_fraction, in_steps, steps, uneven_batch
from planner.lab.exports.yaml import quoted

OPTIONS = {
    "n_layers": "--model.n_layers", "d_model": "--model.d_model", "vocab_size": "--model.vocab_size",
    "n_heads": "--model.block.sequence_mixer.n_heads", "n_kv_heads": "--model.block.sequence_mixer.n_kv_heads",
    "head_dim": "--model.block.sequence_mixer.head_dim", "context_length": "--sequence-length",
    "batch_tokens": "--data_loader.global_batch_size", "lr_peak": "--train_module.optim.lr",
    "weight_decay": "--train_module.optim.weight_decay", "seed": "--init_seed",
}  # fmt: skip
PRECISIONS = {
    "bf16": "--train_module.dp_config.param_dtype=bfloat16",
    "fp32": "--train_module.dp_config.param_dtype=float32",
}
LAYOUTS = {
    "tensor_parallel": ("tp_config", "TransformerTensorParallelConfig"),
    "pipeline_parallel": ("pp_config", "TransformerPipelineParallelConfig"),
    "expert_parallel": ("ep_config", "TransformerExpertParallelConfig"),
}


def _flags(run: Run, settings: Settings) -> list[Flag]:
    total, context, seed = steps(run), run.whole("context_length"), run.whole("seed")
    return [
        Flag((), run.name),
        Flag((), "--save-folder=", folder=run.name),
        *plain(run, OPTIONS),
        *([Flag((), f"--data_loader.seed={seed}")] if seed is not None else []),
        *([Flag((), f"--train_module.max_sequence_length={context}")] if context else []),
        *([Flag((), f"--train_module.rank_microbatch_size={settings.micro_batch * context}")] if context else []),
        *([Flag(("steps", "tokens"), f"--trainer.max_duration.value={total}")] if total else []),
        *([Flag((), "--trainer.max_duration.unit=steps")] if total else []),
        *_experts(run),
        *_schedule(run),
        *_layout(run),
        *choice(run, "optimizer", {"adamw": ""}),
        *choice(run, "precision", PRECISIONS),
        *variant(run),
        *uneven_batch(run, settings),
        *_kept(run),
        *_trunk(run),
        Flag((), f"--trainer.callbacks.wandb.name={quoted(run.run_id)}"),
        Flag((), f'--trainer.callbacks.wandb.tags=["{run.name}"]'),
    ]


def _experts(run: Run) -> list[Flag]:
    columns = ("n_experts", "experts_per_token", "n_shared_experts", "expert_d_ff", "n_dense_layers")
    count, chosen, width = (run.whole(name) for name in ("n_experts", "experts_per_token", "expert_d_ff"))
    if not count:
        return [*plain(run, {"d_ff": "--model.block.feed_forward.hidden_size"}), *holds(run, *columns)]
    if not (chosen and width):
        return cannot(run, (*columns, "d_ff"), "experts without experts_per_token and expert_d_ff")
    shared = (run.whole("n_shared_experts") or 0) * width
    moe: dict[str, object] = {
        "_CLASS_": "olmo_core.nn.moe.moe.MoEConfig",
        "num_experts": count,
        "hidden_size": width,
        "router": {"_CLASS_": "olmo_core.nn.moe.router.MoERouterConfig", "top_k": chosen},
    }
    if shared:
        moe["shared_mlp"] = {
            "_CLASS_": "olmo_core.nn.feed_forward.FeedForwardConfig",
            "hidden_size": shared,
            "bias": False,
        }
    dense = run.whole("n_dense_layers")
    return [
        Flag((), "--model.name=moe"),
        Flag((), "--model.block.name=moe"),
        Flag((), "--model.block.feed_forward=null"),
        Flag(columns[:4], f"--model.block.feed_forward_moe={json.dumps(moe)}"),
        *(
            cannot(run, ("n_dense_layers", "d_ff"), "every block has experts")
            if dense
            else holds(run, "n_dense_layers", "d_ff")
        ),
    ]


def _schedule(run: Run) -> list[Flag]:
    warmup, known = (
        in_steps(run, "warmup_tokens"),
        {"cosine": "CosWithWarmup", "constant": "ConstantWithWarmup", "wsd": "WSD"},
    )
    name, fraction = run.text("schedule"), cooldown_fraction(run)
    if name not in known:
        return cannot(run, ("schedule", "warmup_tokens"), f"no schedule {name!r}")
    if name == "wsd" and fraction is None:
        return cannot(
            run, ("schedule", "warmup_tokens"), "wsd without cooldown_fraction: how long the rate falls is not planned"
        )
    scheduler: dict[str, object] = {"_CLASS_": f"olmo_core.optim.scheduler.{known[name]}", "warmup": warmup or 0}
    if name == "cosine":
        scheduler["alpha_f"] = 0.0
    if name == "wsd":
        scheduler["decay_fraction"] = fraction
    covered = ("schedule", "warmup_tokens", *(("cooldown_fraction",) if name == "wsd" else ()))
    return [Flag(covered, f"--train_module.scheduler={json.dumps(scheduler)}")]


def _layout(run: Run) -> list[Flag]:
    found = holds(run, "data_parallel")
    for column, (config, name) in LAYOUTS.items():
        degree = run.whole(column) or 1
        kind = f"olmo_core.train.train_module.transformer.config.{name}"
        value = json.dumps({"_CLASS_": kind, "degree": degree})
        found += [Flag((column,), f"--train_module.{config}={value}")] if degree > 1 else holds(run, column)
    if (run.whole("context_parallel") or 1) > 1:
        return found + cannot(run, ("context_parallel",), "a choice between ring and Ulysses attention")
    return found + holds(run, "context_parallel")


def _kept(run: Run) -> list[Flag]:
    kept, callback = branch_steps(run), "--trainer.callbacks.checkpointer"
    return [Flag((), f"{callback}.fixed_steps={kept}"), Flag((), f"{callback}.max_checkpoints=null")] if kept else []


def _trunk(run: Run) -> list[Flag]:
    step = in_steps(run, "resumed_tokens")
    if not run.trunk or step is None:
        return []
    place = Flag(("trunk_id", "resumed_tokens"), "--load_path=", folder=f"{run.trunk}/step{step}")
    return [place, Flag((), "--load_trainer_state=true")]


OLMO_CORE = Trainer("olmo-core", "OLMo-core 3.0.0", "src/examples/llm/train.py", _flags)
