"""What the names in people's logs mean: one table, each with its unit and where it was seen.

A name that means one thing wherever it appears stands under the dialect ""; what depends on the tool that wrote it stands under
that tool's dialect and is looked up first. Names are compared in lower case.
"""

from __future__ import annotations

from dataclasses import dataclass

# Columns of a point (one step of a segment), in raw units.
POINT = ("step", "tokens", "loss", "train_loss", "lr", "time", "tokens_per_second", "step_seconds", "flops", "mfu")  # fmt: skip
NATS, BITS_PER_BYTE, BITS_PER_TOKEN, PERPLEXITY = "nats_per_token", "bits_per_byte", "bits_per_token", "perplexity"


@dataclass(frozen=True)
class Name:
    """What a logged name means: `ours` = theirs x `factor` x the run's column `times`.

    `unit` is a loss's unit as logged; `priority` chooses between two names of one column (the lower wins); `source` says
    where it was seen.
    """

    ours: str
    factor: float = 1.0
    times: str = ""
    unit: str = ""
    priority: int = 0
    source: str = ""


_LEVANTER = "levanter 9263f81e callbacks/_metrics.py:103-145"
_OLMO = "OLMo olmo/train.py:899, olmo/eval/evaluator.py:61; OLMo-ladder download_wandb_logs.py"
_OLMO_CORE = "OLMo-core train/callbacks/speed_monitor.py, train/common.py"
_TITAN = "torchtitan b5bcd76c6 components/metrics.py:502-533"
_MEGATRON = "Megatron-LM megatron/training/training.py, training_log"
_NEMO = "NeMo documentation"
_MAXTEXT = "MaxText e591f30cb metric_logger.py"
_NANO = "nanochat runs/scaling_laws.sh:27"
_LITGPT = "litgpt litgpt/pretrain.py:374-402"
_FOUNDRY = "llm-foundry scripts/train/README.md"
_GEMSTONES = "gemstones wandb_data_extraction.py"
_HF = "transformers trainer.py, trainer_state.json"
_PUBLIC = "public tables of runs"

NAMES: dict[str, dict[str, Name]] = {
    "": {
        # Steps and time
        "step": Name("step"),
        "_step": Name("step", priority=1, source="W&B"),
        "global_step": Name("step", source=_NEMO),
        "iteration": Name("step", source=_MEGATRON),
        "iter": Name("step", source=_LITGPT),
        "optimizer_step": Name("step", source=_GEMSTONES),
        "trainer/global_step": Name("step", source="PyTorch Lightning"),
        "current_steps": Name("step", source="(Mis)Fitting data/scaling_results.csv"),
        "_timestamp": Name("time", source="W&B"),
        "timestamp": Name("time"),
        "time": Name("time"),
        "wall time": Name("time", source="TensorBoard csv export"),
        "step_seconds": Name("step_seconds"),
        "seconds/step": Name("step_seconds", source=_GEMSTONES),
        "throughput/duration": Name("step_seconds", source=_LEVANTER),
        "perf/step_time_seconds": Name("step_seconds", source=_MAXTEXT),
        "train_step_timing in s": Name("step_seconds", source=_NEMO),
        "elapsed time per iteration (ms)": Name("step_seconds", factor=1e-3, source=_MEGATRON),
        "time_metrics/end_to_end(s)": Name("step_seconds", source=_TITAN),
        "iter_time": Name("step_seconds", source=_LITGPT),
        # Tokens
        "tokens": Name("tokens"),
        "d": Name("tokens", priority=2, source=_PUBLIC),
        "n_tokens": Name("tokens", source=_PUBLIC),
        "total_tokens": Name("tokens", source=_GEMSTONES),
        "train_tokens": Name("tokens", source=_PUBLIC),
        "tokens_trained": Name("tokens", source=_NANO),
        "training_tokens": Name("tokens", source=_PUBLIC),
        "n_tokens_seen": Name("tokens", source=_TITAN),
        "throughput/total_tokens": Name("tokens", source=_LEVANTER),
        "throughput/total tokens": Name("tokens", source=_OLMO_CORE),
        "num_input_tokens_seen": Name("tokens", source=_HF),
        "consumed_samples": Name("tokens", times="context_length", priority=1, source=_NEMO),
        "consumed samples": Name("tokens", times="context_length", priority=1, source=_MEGATRON),
        "consumed-samples": Name("tokens", times="context_length", priority=1, source=_MEGATRON),
        # Training losses
        "train_loss": Name("train_loss", unit=NATS),
        "train/loss": Name("train_loss", unit=NATS, source=_LEVANTER),
        "training_loss": Name("train_loss", unit=NATS),
        "train/crossentropyloss": Name("train_loss", unit=NATS, source=_OLMO),
        "train/ce loss": Name("train_loss", unit=NATS, source=_OLMO_CORE),
        "train/ppl": Name("train_loss", unit=PERPLEXITY, priority=5, source=_OLMO_CORE),
        "train/perplexity": Name("train_loss", unit=PERPLEXITY, priority=5, source=_OLMO),
        "loss_metrics/global_avg_loss": Name("train_loss", unit=NATS, source=_TITAN),
        "lm loss": Name("train_loss", unit=NATS, source=_MEGATRON),
        "reduced_train_loss": Name("train_loss", unit=NATS, source=_NEMO),
        "learning/loss": Name("train_loss", unit=NATS, priority=1, source=_MAXTEXT),
        "learning/lm_loss": Name("train_loss", unit=NATS, source=_MAXTEXT),
        "learning/perplexity": Name("train_loss", unit=PERPLEXITY, priority=5, source=_MAXTEXT),
        "loss/train/total": Name("train_loss", unit=NATS, source=_FOUNDRY),
        "global_loss": Name("train_loss", unit=NATS, source=_GEMSTONES),
        # Evaluation losses; names that end in one of EVALUATIONS below are found without standing here
        "loss": Name("loss", unit=NATS, priority=3),
        "val_loss": Name("loss", unit=NATS),
        "val/loss": Name("loss", unit=NATS, source="formll data frame"),
        "valid_loss": Name("loss", unit=NATS),
        "validation_loss": Name("loss", unit=NATS),
        "eval_loss": Name("loss", unit=NATS, source=_HF),
        "eval/loss": Name("loss", unit=NATS, source=_LEVANTER),
        "test_loss": Name("loss", unit=NATS, priority=1),
        "final_loss": Name("loss", unit=NATS, priority=1),
        "lm_loss": Name("loss", unit=NATS, priority=2, source=_PUBLIC),
        "c4 eval loss": Name("loss", unit=NATS, source="(Mis)Fitting data/scaling_results.csv"),
        "validation_metrics/loss": Name("loss", unit=NATS, source=_TITAN),
        "lm loss value": Name("loss", unit=NATS, source=_MEGATRON),
        "lm loss validation": Name("loss", unit=NATS, source=_MEGATRON),
        "lm-loss-validation/lm loss validation": Name("loss", unit=NATS, source=_MEGATRON),
        "lm loss ppl": Name("loss", unit=PERPLEXITY, priority=5, source=_MEGATRON),
        "val_bpb": Name("loss", unit=BITS_PER_BYTE, priority=4, source=_NANO),
        "val/bpb": Name("loss", unit=BITS_PER_BYTE, priority=4, source=_NANO),
        "val_ppl": Name("loss", unit=PERPLEXITY, priority=5),
        "eval/perplexity": Name("loss", unit=PERPLEXITY, priority=5),
        # Learning rate as it stood at a step; the peak is a setting
        "lr": Name("lr"),
        "learning_rate": Name("lr", source=_HF),
        "learning rate": Name("lr", source=_MEGATRON),
        "train/lr": Name("lr"),
        "train/learning_rate": Name("lr", source=_HF),
        "optim/learning_rate": Name("lr", source=_LEVANTER),
        "optim/learning_rate_group0": Name("lr", source=_OLMO),
        "optim/lr (group 0)": Name("lr", source=_OLMO_CORE),
        "learning/current_learning_rate": Name("lr", source=_MAXTEXT),
        # Throughput and FLOPs
        "tokens_per_second": Name("tokens_per_second"),
        "throughput/tokens_per_second": Name("tokens_per_second", source=_LEVANTER),
        "throughput/device/tps": Name("tokens_per_second", times="n_accelerators", source=_OLMO_CORE),
        "throughput(tps)": Name("tokens_per_second", times="n_accelerators", source=_TITAN),
        "perf/per_device_tokens_per_sec": Name("tokens_per_second", times="n_accelerators", source=_MAXTEXT),
        "throughput/samples_per_sec": Name("tokens_per_second", times="context_length", source=_FOUNDRY),
        "flops": Name("flops"),
        "c": Name("flops", priority=2, source=_PUBLIC),
        "budget": Name("flops", priority=2, source=_PUBLIC),
        "flops_budget": Name("flops", priority=2, source=_NANO),
        "training flop": Name("flops", source="Epoch data/svg_extracted_data.csv"),
        "training_flops": Name("flops", source=_PUBLIC),
        "total_flos": Name("flops", source=_HF),
        "throughput/total_gflops": Name("flops", factor=1e9, source=_LEVANTER),
        "throughput/total_training_gflops": Name("flops", factor=1e9, source=_OLMO),
        "throughput/total petaflops": Name("flops", factor=1e15, source=_OLMO_CORE),
        "throughput/total flops": Name("flops", source=_OLMO_CORE),
        "mfu": Name("mfu"),
        "mfu(%)": Name("mfu", factor=1e-2, source=_TITAN),
        "throughput/mfu": Name("mfu", factor=1e-2, source=_LEVANTER),
        "throughput/device/mfu": Name("mfu", factor=1e-2, source=_OLMO_CORE),
        # Settings
        "run": Name("run_id", priority=2),
        "id": Name("run_id", priority=3),
        "planner_run_id": Name("run_id"),
        "planner.run_id": Name("run_id"),
        "state": Name("status"),
        "n": Name("params", priority=3, source=_PUBLIC),
        "model_size": Name("params", priority=1, source=_PUBLIC),
        "model size": Name("params", source="Epoch data/svg_extracted_data.csv"),
        "n_params": Name("params", source=_PUBLIC),
        "num_params": Name("params", source=_NANO),
        "parameter_count": Name("params", source=_LEVANTER),
        "n_no_emb": Name("params_non_embedding", source="(Mis)Fitting data/scaling_results.csv"),
        "params_no_embed": Name("params_non_embedding", source="mlfoundations exp_data"),
        "params_active_precise": Name("params_active", source=_GEMSTONES),
        "unique_tokens": Name("tokens_unique", source=_PUBLIC),
        "peak_lr": Name("lr_peak", source="(Mis)Fitting data/scaling_results.csv"),
        "learning_rate_peak": Name("lr_peak", source=_OLMO),
        "max_lr": Name("lr_peak"),
        "optimizer.learning_rate": Name("lr_peak", source=_LEVANTER),
        "optimizer.lr": Name("lr_peak", source=_TITAN),
        "batch_tokens": Name("batch_tokens"),
        "batch_size_in_tokens": Name("batch_tokens", source=_OLMO),
        "global_batch_tokens": Name("batch_tokens"),
        "total_batch_size": Name("batch_tokens", source=_NANO),
        "global_batch_size": Name("batch_tokens", times="context_length", source=_MEGATRON),
        "global batch size": Name("batch_tokens", times="context_length", source=_MEGATRON),
        "trainer.train_batch_size": Name("batch_tokens", times="context_length", source=_LEVANTER),
        "training.global_batch_size": Name("batch_tokens", times="context_length", source=_TITAN),
        "context_length": Name("context_length"),
        "seq_len": Name("context_length", source=_PUBLIC),
        "seq_length": Name("context_length", source=_MEGATRON),
        "sequence_length": Name("context_length", source=_PUBLIC),
        "max_seq_len": Name("context_length", source=_NANO),
        "max_sequence_length": Name("context_length", source=_OLMO),
        "training.seq_len": Name("context_length", source=_TITAN),
        "max_target_length": Name("context_length", source=_MAXTEXT),
        "total_steps": Name("steps", source="(Mis)Fitting data/scaling_results.csv"),
        "max_steps": Name("steps", source=_HF),
        "train_iters": Name("steps", source=_MEGATRON),
        "num_iterations": Name("steps", source=_NANO),
        "trainer.num_train_steps": Name("steps", source=_LEVANTER),
        "training.steps": Name("steps", source=_TITAN),
        "wd": Name("weight_decay", source=_PUBLIC),
        "optimizer.weight_decay": Name("weight_decay", source=_LEVANTER),
        "model.hidden_dim": Name("d_model", source=_LEVANTER),
        "model_dim": Name("d_model", source=_NANO),
        "hidden_size": Name("d_model", source=_MEGATRON),
        "width": Name("d_model", source="formll data frame"),
        "model.num_layers": Name("n_layers", source=_LEVANTER),
        "num_layers": Name("n_layers", source=_MEGATRON),
        "depth": Name("n_layers", source=_NANO),
        "model.num_heads": Name("n_heads", source=_LEVANTER),
        "num_attention_heads": Name("n_heads", source=_MEGATRON),
        "ffn_hidden_size": Name("d_ff", source=_MEGATRON),
        "intermediate_size": Name("d_ff", source=_HF),
        "model.intermediate_dim": Name("d_ff", source=_LEVANTER),
        "padded_vocab_size": Name("vocab_size", source=_MEGATRON),
        "world_size": Name("n_accelerators", source=_MEGATRON),
        "num_gpus": Name("n_accelerators"),
        "gpu_count": Name("n_accelerators"),
        "throughput/device_kind": Name("accelerator", source=_LEVANTER),
        "eval_set": Name("loss_name"),
        "phase": Name("stage", priority=1),
    },
    # What means something else, or is known, in one tool only; read by that tool's reader, which is the source.
    "megatron": {
        "consumed tokens": Name("tokens"),
        "test lm loss value": Name("loss", unit=NATS, priority=4),
        "num_query_groups": Name("n_kv_heads"),
        "kv_channels": Name("head_dim"),
        "num_experts": Name("n_experts"),
        "moe_router_topk": Name("experts_per_token"),
        "lr_decay_style": Name("schedule"),
    },
    "torchtitan": {
        "ntokens_seen": Name("tokens"),
    },
    "nanochat": {
        "n_layer": Name("n_layers"),
        "n_embd": Name("d_model"),
        "n_head": Name("n_heads"),
        "num_heads": Name("n_heads"),
        "n_kv_head": Name("n_kv_heads"),
        "sequence_len": Name("context_length"),
        "train/mfu": Name("mfu", factor=1e-2),
    },
    "maxtext": {
        "learning_rate": Name("lr_peak"),
        "eval/avg_loss": Name("loss", unit=NATS),
        "global_batch_size_to_train_on": Name("batch_tokens", times="context_length"),
        "base_emb_dim": Name("d_model"),
        "base_num_decoder_layers": Name("n_layers"),
        "base_num_query_heads": Name("n_heads"),
        "base_num_kv_heads": Name("n_kv_heads"),
        "base_mlp_dim": Name("d_ff"),
        "num_experts": Name("n_experts"),
        "num_experts_per_tok": Name("experts_per_token"),
        "adam_weight_decay": Name("weight_decay"),
        "num_devices": Name("n_accelerators"),
    },
    "trainer_state": {
        "loss": Name("train_loss", unit=NATS),
        "num_hidden_layers": Name("n_layers"),
        "num_key_value_heads": Name("n_kv_heads"),
    },
    "wandb": {
        "gpu_type": Name("accelerator"),
    },
}
# Endings of names that are one evaluation set each ("eval/paloma/c4_en/loss"): the set is what stands before.
EVALUATIONS: dict[str, tuple[str, int]] = {
    "/crossentropyloss": (NATS, 2), "/ce loss": (NATS, 2), "/loss": (NATS, 2), "/languagecrossentropy": (NATS, 2),
    "/bpb": (BITS_PER_BYTE, 6), "/ppl": (PERPLEXITY, 7), "/perplexity": (PERPLEXITY, 7),
}  # fmt: skip


def meaning(name: str, dialect: str = "") -> Name | None:
    """What a logged name means in a tool's dialect; None when nothing here knows it."""
    low = name.strip().lower()
    found = NAMES.get(dialect, {}).get(low) or NAMES[""].get(low)
    if found is not None:
        return found
    if not low.startswith(("train/", "optim/", "throughput/", "system/")):
        for ending, (unit, priority) in EVALUATIONS.items():
            if low.endswith(ending):
                return Name("loss", unit=unit, priority=priority)
    return None
