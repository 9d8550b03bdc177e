"""Bytes that one accelerator holds while training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.costs.accelerators import Accelerator, Precision
from planner.costs.layout import Layouts
from planner.costs.workload import BF16_BYTES, Workload

Floats = NDArray[np.float64]

# Bytes a parameter in mixed precision (Rajbhandari et al., arXiv 1910.02054, section 3.1), gradients summed in FP32.
WEIGHT_BYTES = 2
GRADIENT_BYTES = 4
OPTIMIZER_BYTES = 12  # Adam: FP32 weight and two moments
LOGIT_BYTES = 4  # a BF16 logit and its gradient, with a fused cross-entropy
SCORE_BYTES = 5  # a head, query and key, with softmax and dropout (Korthikanti et al., arXiv 2205.05198, eq. 1)
# Of the memory a vendor prints: an 80 GB card has 85e9 bytes, of which context, buffers and fragmentation take their
# part. All 216 layouts that llm-foundry ran fit (tests/benchmarks/throughput.py); the fullest takes 0.97.
USABLE = 0.98


@dataclass(frozen=True)
class Memory:
    """Bytes of the fullest accelerator by part, one entry per layout; `working` is what is gathered or computed for a
    moment."""

    weights: Floats
    gradients: Floats
    optimizer: Floats
    activations: Floats
    working: Floats

    @property
    def total(self) -> Floats:
        """All parts."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.working

    def fits(self, chip: Accelerator) -> NDArray[np.bool_]:
        """Which layouts fit."""
        return self.total <= usable_bytes(chip)


def usable_bytes(chip: Accelerator) -> float:
    """What training may fill of one accelerator's memory."""
    return USABLE * chip.memory_bytes


def memory_of(
    work: Workload, layouts: Layouts, precision: Precision = Precision.BF16, *, scores_kept: bool = False
) -> Memory:
    """Memory of each layout with Adam in mixed precision.

    Tensor parallelism splits weights and, as sequence parallelism, every activation (Korthikanti et al., arXiv
    2205.05198, eq. 4); the pipeline splits layers, its first stage keeping one micro-batch per stage in flight (1F1B;
    Narayanan et al., arXiv 2104.04473, section 2.2). ZeRO-1 splits the optimizer over data and context ranks, ZeRO-2
    gradients too, ZeRO-3 weights too: there the optimizer's copy is the stored one, and two layers are gathered at a
    time. `scores_kept` is attention without a fused kernel. With FP8, what the backward pass keeps is one byte a value
    (DeepSeek-V3, arXiv 2412.19437, section 3.3.3).
    """
    stage = np.ceil(work.n_layers / layouts.pipeline)
    share = stage / work.n_layers / layouts.tensor
    tables = np.where(layouts.pipeline > 1, 1, work.n_tables) * work.table_params / layouts.tensor
    dense = work.layer_params * share + tables
    experts = work.expert_params * share / layouts.expert
    ranks = layouts.data * layouts.context
    expert_ranks = np.maximum(ranks / layouts.expert, 1.0)

    def held(bytes_each: int, from_stage: int) -> Floats:
        split = layouts.zero >= from_stage
        return bytes_each * (dense / np.where(split, ranks, 1) + experts / np.where(split, expert_ranks, 1))

    a_layer = dense / stage + experts / stage
    gathered = np.where(layouts.zero == 3, 2.0 * BF16_BYTES * a_layer, 0.0)
    tokens = layouts.micro_batch * work.context_length / layouts.context
    logits = LOGIT_BYTES * work.vocab_size * tokens / layouts.tensor
    one_layer = work.activation_bytes / work.n_layers * tokens / layouts.tensor
    narrow = 0.5 if precision is not Precision.BF16 else 1.0
    scores = SCORE_BYTES * work.n_heads * work.context_length if scores_kept else 0.0
    selective = (narrow * work.kept_bytes / work.n_layers + scores) * tokens / layouts.tensor
    kept = np.where(layouts.full, BF16_BYTES * work.d_model * tokens / layouts.tensor, selective)
    return Memory(
        weights=np.where(layouts.zero == 3, 0.0, WEIGHT_BYTES * (dense + experts)),
        gradients=held(GRADIENT_BYTES, 2),
        optimizer=held(OPTIMIZER_BYTES, 1),
        activations=kept * stage * in_flight(layouts),
        working=gathered + np.maximum(logits, one_layer),
    )


def in_flight(layouts: Layouts) -> Floats:
    """Micro-batches whose activations the first stage holds: one a stage, and more with interleaved chunks."""
    chunks = layouts.interleave
    more = np.where(chunks > 1, (layouts.pipeline - 1) / (layouts.pipeline * chunks), 0.0)
    return layouts.pipeline * (1.0 + more)
