"""One planned run as a row of the table of runs: what is trained and how, where, what it costs, under which id."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import pandas as pd

from planner.costs.energy import energy_kwh
from planner.costs.planned import PlannedRun
from planner.models.architecture import Architecture
from planner.models.flops import RULE_6ND_ACTIVE, training_flops
from planner.quantities import human
from planner.sweep.file.studies import Study
from planner.sweep.request import Cell, Request
from planner.sweep.setting import Setting
from planner.sweep.size import Size

# What makes two runs the same run, with variant and seed: all that is trained, nothing of what it costs or why it was asked for.
IDENTITY = (
    "tokens", "resumed_tokens", "batch_tokens", "lr_peak", "warmup_tokens", "weight_decay", "schedule", "cooldown_fraction",
    "optimizer", "precision", "context_length", "n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff",
    "vocab_size", "n_experts", "experts_per_token", "n_shared_experts", "expert_d_ff", "n_dense_layers", "params_total",
    "params_active",
)  # fmt: skip
# The order in which answers are needed: noise and settings before the law, the law before ideas are judged at the target.
PRIORITY = {
    "replicates": 1, "hyperparameters": 1, "mixture": 2, "vocabulary": 2, "context": 2, "sparsity": 2, "scaling": 2, "ideas": 3,
    "holdout": 9,
}  # fmt: skip
SEEDS = 1_000_000  # of each study: no two pay for the same training
KINDS = ("scaling", "hyperparameters", "mixture", "vocabulary", "context", "sparsity", "ideas", "replicates")
NAMES = 1000  # places for studies with a name of their own, after those of the kinds; then come the held-out runs


def rows(setting: Setting, study: Study, requests: Sequence[Request]) -> pd.DataFrame:
    """The runs of one study, one row each; what seeds and variants share is worked out once."""
    name, first = study.name or study.kind, first_seed(study)
    cells = list(dict.fromkeys(request.cell for request in requests))
    place = {cell: index for index, cell in enumerate(cells)}
    done = [completed(cell, setting) for cell in cells]
    shared = pd.DataFrame(done).take([place[request.cell] for request in requests]).reset_index(drop=True)
    own = [
        (
            run_id(name, done[place[request.cell]], request.variant, first + request.seed),
            trunk_id(name, request, setting, first),
            request.variant,
            (study.priority or PRIORITY[study.kind]) + request.stage - 1,
            request.stage,
            request.chance,
            first + request.seed,
            request.purpose,
        )
        for request in requests
    ]
    columns = ["run_id", "trunk_id", "variant", "priority", "stage", "chance", "seed", "purpose"]
    table = pd.concat([pd.DataFrame(own, columns=columns), shared], axis=1)
    return table.assign(study=name, kind=study.kind, status="planned").drop(columns="identity")


def first_seed(study: Study) -> int:
    """Where a study's seeds start: by its kind, or by its name where it has one, whatever other studies there are."""
    if study.name is None or study.name == study.kind:
        return (KINDS.index(study.kind) if study.kind in KINDS else len(KINDS) + NAMES) * SEEDS
    return (len(KINDS) + zlib.crc32(study.name.encode("utf-8")) % NAMES) * SEEDS


def run_id(study: str, row: dict[str, object], variant: str, seed: int) -> str:
    """Study, size, tokens and a hash of what is trained: the same content gives the same id, whatever else is planned."""
    text = json.dumps([row["identity"], variant, seed])
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:10]
    size, tokens = (human(float(str(row[key]))).lower() for key in ("params_active", "tokens"))
    return f"{study}-{size}-{tokens}t-{digest}"


def trunk_id(study: str, request: Request, setting: Setting, first: int) -> str:
    """The id of the trunk that a branch starts from; empty for a run of its own and for a trunk."""
    cell = request.cell
    if cell.trunk is None or cell.is_trunk:
        return ""
    trunk = replace(cell, tokens=cell.trunk.tokens, is_trunk=True)
    return run_id(study, completed(trunk, setting), request.variant, first + request.seed)


@lru_cache(maxsize=65_536)
def completed(cell: Cell, setting: Setting) -> dict[str, object]:
    """The columns that do not depend on seed and variant: counts, recipe, shape, layout and cost."""
    planned, prescribed = setting.planned(cell), setting.prescribed(cell)
    batch = planned.batch_tokens
    steps = max(1, round(cell.tokens / batch))
    branch = cell.trunk is not None and not cell.is_trunk
    cooldown = cell.trunk.cooldown if cell.trunk else setting.sweep.file.hyperparameters.cooldown
    resumed = round((1 - cooldown) * steps) * batch if branch else 0
    schedule = "constant" if cell.is_trunk else "wsd" if branch else setting.sweep.file.hyperparameters.schedule
    tokens, all_steps = steps * batch, round((cell.trunk.tokens if cell.trunk else cell.tokens) / batch)
    unique = setting.sweep.file.exploration.unique_tokens
    row: dict[str, object] = {
        "group": setting.sweep.file.name + (f": {cell.group}" if cell.group else ""),
        **_counts(cell.size, tokens, tokens - resumed),
        "tokens_unique": min(tokens, unique) if unique else tokens,
        "resumed_tokens": resumed,
        "steps": steps,
        "batch_tokens": batch,
        "lr_peak": float(f"{prescribed.lr_peak:.6g}"),
        "warmup_tokens": min(prescribed.warmup_steps, all_steps // 10 + 1) * batch,
        "weight_decay": float(f"{prescribed.weight_decay:.6g}"),
        "schedule": schedule,
        "cooldown_fraction": (tokens - resumed) / tokens if branch else cooldown if schedule == "wsd" else 0.0,
        "optimizer": "adamw",
        "precision": setting.sweep.file.hyperparameters.precision,
        "context_length": cell.context_length,
        "hyperparameter_source": prescribed.source,
        "hyperparameters_extrapolated": prescribed.extrapolated,
        **_shape(cell.size.model),
        **{f"share_{domain}": share for domain, share in cell.mixture},
        **_layout(planned),
        **_cost(planned, tokens - resumed, setting),
    }
    return {**row, "identity": [*(str(row[key]) for key in IDENTITY), *(f"{d}={share!r}" for d, share in cell.mixture)]}


def _counts(size: Size, tokens: int, trained: int) -> dict[str, object]:
    return {
        "model": size.model.name,
        "params_total": size.count.total,
        "params_active": size.count.active,
        "params_non_embedding": size.count.non_embedding,
        "params_active_non_embedding": int(size.active_non_embedding),
        "tokens": tokens,
        "tokens_per_param": tokens / size.active,
        "flops": training_flops(size.active, trained),
        "flops_rule": RULE_6ND_ACTIVE,
    }


def _shape(model: Architecture) -> dict[str, object]:
    experts = model.experts
    return {
        "n_layers": model.n_layers,
        "d_model": model.d_model,
        "n_heads": model.n_heads,
        "n_kv_heads": model.n_kv_heads,
        "head_dim": model.head_dim,
        "d_ff": model.d_ff,
        "vocab_size": model.vocab_size,
        "n_experts": experts.n_experts if experts else 0,
        "experts_per_token": experts.experts_per_token if experts else 0,
        "n_shared_experts": experts.n_shared if experts else 0,
        "expert_d_ff": experts.d_ff if experts else 0,
        "n_dense_layers": experts.n_dense_layers if experts else model.n_layers,
    }


def _layout(planned: PlannedRun) -> dict[str, object]:
    layout = planned.layout
    return {
        "tensor_parallel": layout.tensor,
        "pipeline_parallel": layout.pipeline,
        "context_parallel": layout.context,
        "data_parallel": layout.data,
        "expert_parallel": layout.expert,
        "zero_stage": layout.zero,
        "micro_batch_sequences": layout.micro_batch,
        "recomputation": str(layout.recomputation),
        "memory_bytes": planned.memory_bytes,
        "memory_fraction": planned.memory_fraction,
    }


def _cost(planned: PlannedRun, trained: int, setting: Setting) -> dict[str, object]:
    hours = planned.gpu_hours_per_token * trained
    return {
        "accelerator": setting.accelerator.name,
        "n_accelerators": planned.count,
        "nodes": -(-planned.count // setting.accelerator.per_node),
        "days": hours / planned.count / 24,
        "gpu_hours": hours,
        "gpu_hours_source": "modelled",
        "usd": hours * setting.usd_per_gpu_hour,
        "energy_kwh": energy_kwh(hours, setting.accelerator),
    }
