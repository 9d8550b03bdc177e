"""The columns of a table of runs, and the names that people use for them."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What became of a run."""

    PLANNED = "planned"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    DIVERGED = "diverged"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"


class Count(StrEnum):
    """Which parameters a law counts; `params` is "as logged, kind unknown"."""

    PARAMS = "params"
    TOTAL = "params_total"
    ACTIVE = "params_active"
    NON_EMBEDDING = "params_non_embedding"


BASELINE = "baseline"
DEFAULT_LOSS_UNIT = "nats_per_token"

# Columns that laws are fitted to: text in one is an error with its line.
MEASURED = ("params", "params_total", "params_active", "params_non_embedding", "tokens", "loss")
# Columns that are numbers when all of their cells are; else they stay text ("cosine" in a column of rates).
NUMBERS = (
    "params_embedding", "tokens_unique", "resumed_tokens", "flops", "lr_peak", "batch_tokens", "warmup_tokens", "weight_decay",
    "context_length", "cooldown_fraction", "stage", "priority", "chance", "gpu_hours", "usd", "seed",
)  # fmt: skip

# Names seen in public tables and trackers, lower case (PyTorch logs, W&B exports, papers' CSV files).
ALIASES = {
    "n": "params", "model_size": "params", "model size": "params", "n_params": "params", "parameter_count": "params",
    "d": "tokens", "n_tokens": "tokens", "n_tokens_seen": "tokens", "train_tokens": "tokens", "total_tokens": "tokens",
    "throughput/total_tokens": "tokens", "training_tokens": "tokens",
    "c": "flops", "budget": "flops", "training flop": "flops", "training_flops": "flops",
    "val_loss": "loss", "lm_loss": "loss", "eval/loss": "loss", "final_loss": "loss", "test_loss": "loss",
    "lr": "lr_peak", "peak_lr": "lr_peak", "learning_rate": "lr_peak",
    "global_batch_tokens": "batch_tokens",
    "n_no_emb": "params_non_embedding", "params_no_embed": "params_non_embedding",
    "unique_tokens": "tokens_unique", "id": "run_id", "run": "run_id", "state": "status", "eval_set": "loss_name",
}  # fmt: skip
