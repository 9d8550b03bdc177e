"""Seconds of one optimizer step: compute, memory traffic, links and the pipeline's bubble."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.costs.accelerators import Accelerator, Precision
from planner.costs.calibration import CALIBRATION, Calibration, generation
from planner.costs.layout import Layouts
from planner.costs.memory import GRADIENT_BYTES, OPTIMIZER_BYTES, WEIGHT_BYTES
from planner.costs.workload import BF16_BYTES, Workload

Floats = NDArray[np.float64]

FLASH_ATTENTION = (
    3.5  # forward and backward over forward: the backward recomputes one of two products (arXiv 2205.14135)
)
FP32_BYTES = 4
GATHERS = 3  # weights twice, gradients once (Zhao et al., arXiv 2304.11277)
REDUCES = 4  # per layer: two forward, two backward (Shoeybi et al., arXiv 1909.08053, section 3)


@dataclass(frozen=True)
class MicroStep:
    """Seconds of one micro-batch's forward and backward pass on the slowest pipeline stage, by part, per layout.

    Nothing overlaps but what the names say: `experts` and `context` hold what is left of the all-to-all and of the ring
    exchange when the layer's compute has hidden all it can. `FITTED` names the parts that measurements are behind.
    """

    matmul: Floats
    attention: Floats
    activations: Floats
    logits: Floats
    sharding: Floats
    latency: Floats
    tensor: Floats
    context: Floats
    experts: Floats
    pipeline: Floats

    @property
    def total(self) -> Floats:
        """All parts."""
        return sum(vars(self).values(), np.zeros_like(self.matmul))


FITTED = ("matmul", "attention", "activations", "logits", "sharding", "latency")


@dataclass(frozen=True)
class Step:
    """Seconds of one optimizer step per layout.

    A step is `micro_batches` + (pipeline - 1) / chunks passes of `micro` and then `once`: reduction and optimizer.
    """

    micro: MicroStep
    once: Floats
    pipeline_fill: Floats

    def seconds(self, micro_batches: NDArray[np.float64]) -> Floats:
        """Seconds with `micro_batches` per replica, broadcast against the layouts."""
        return (micro_batches + self.pipeline_fill) * self.micro.total + self.once


def step_of(
    work: Workload,
    chip: Accelerator,
    layouts: Layouts,
    *,
    precision: Precision = Precision.BF16,
    calibration: Calibration = CALIBRATION,
) -> Step:
    """The roofline of every layout; bandwidths are one way."""
    tokens = layouts.micro_batch * work.context_length / layouts.context
    links = _Links(chip, calibration.link)
    compute = _compute(work, chip, layouts, tokens, precision, calibration)
    hidden = compute["matmul"] + compute["attention"]
    micro = MicroStep(
        **compute,
        sharding=_sharding(work, layouts, links),
        latency=_latency(work, chip, layouts, calibration.ring_latency),
        tensor=_tensor(work, layouts, tokens, links),
        context=np.maximum(0.0, _context(work, layouts, tokens, links) - hidden),
        experts=np.maximum(0.0, _experts(work, layouts, tokens, links) - hidden),
        pipeline=_between_stages(work, layouts, tokens, links),
    )
    return Step(micro, _once(work, chip, layouts, links), (layouts.pipeline - 1) / layouts.interleave)


@dataclass(frozen=True)
class _Links:
    """Bytes a second, one way, that a collective reaches."""

    chip: Accelerator
    efficiency: float

    def between(self, ranks: NDArray[np.int64], stride: NDArray[np.int64]) -> Floats:
        """For groups of `ranks` that are `stride` accelerators apart.

        Inside the scale-up domain its link; beyond, the network cards of all the group's ranks in one node carry the same
        data together.
        """
        inside = ranks * stride <= self.chip.scaleup_domain
        ranks_in_node = np.maximum(1, self.chip.scaleup_domain // stride)
        outside = self.chip.between_nodes * np.minimum(ranks_in_node, ranks)
        fastest = np.minimum(outside, self.chip.scaleup_bandwidth_one_way)
        return self.efficiency * np.where(inside, self.chip.scaleup_bandwidth_one_way, fastest)


def _compute(
    work: Workload,
    chip: Accelerator,
    layouts: Layouts,
    tokens: Floats,
    precision: Precision,
    calibration: Calibration,
) -> dict[str, Floats]:
    """Matrix products, attention and memory traffic of the slowest stage."""
    rate = calibration.matmul * chip.matmul_ceiling * chip.bf16_flops
    faster = calibration.fp8_matmul if precision is not Precision.BF16 else 1.0
    attention_rate = calibration.attention[generation(chip)] * chip.bf16_flops
    stage = np.ceil(work.n_layers / layouts.pipeline) / work.n_layers
    even = 1.0 / layouts.pipeline
    share, again = tokens / layouts.tensor, np.where(layouts.full, 1.0, 0.0)
    layers = (3.0 + again) * work.matmul_flops
    spread = np.maximum(stage * layers, even * (layers + 3.0 * work.head_flops))
    traffic = (1.0 + again / 3.0) * calibration.activation_passes * work.activation_bytes
    logits = calibration.logit_passes * FP32_BYTES * work.vocab_size
    return {
        "matmul": share * faster * spread / rate,
        "attention": share * stage * (FLASH_ATTENTION + again) * work.score_flops / attention_rate,
        "activations": share * stage * traffic / chip.memory_bandwidth,
        "logits": share * even * logits / chip.memory_bandwidth,
    }


def _stage_weights(work: Workload, layouts: Layouts) -> tuple[Floats, Floats]:
    """Weights of one stage on one tensor rank: those all data ranks share, and its experts."""
    each = 1.0 / (layouts.pipeline * layouts.tensor)
    shared = (work.layer_params + work.n_tables * work.table_params) * each
    return shared, work.expert_params * each / layouts.expert


def _reduced(work: Workload, layouts: Layouts, links: _Links) -> tuple[Floats, Floats]:
    """Seconds per byte of parameter to pass a stage's weights once around its ranks."""
    shared, experts = _stage_weights(work, layouts)
    ranks = layouts.data * layouts.context
    wide = shared * (ranks - 1) / ranks / links.between(ranks, layouts.tensor)
    expert_ranks = np.maximum(1, ranks // layouts.expert)
    narrow = experts * (expert_ranks - 1) / expert_ranks
    return wide, narrow / links.between(expert_ranks, layouts.tensor * layouts.expert)


def _sharding(work: Workload, layouts: Layouts, links: _Links) -> Floats:
    """What every pass moves: ZeRO-3 gathers weights and scatters gradients in BF16, as FSDP was measured; ZeRO-2 scatters
    gradients in the FP32 they are summed in."""
    wide, narrow = _reduced(work, layouts, links)
    moved = np.where(layouts.zero == 3, GATHERS * BF16_BYTES, np.where(layouts.zero == 2, GRADIENT_BYTES, 0))
    seconds: Floats = moved * (wide + narrow)
    return seconds


def _latency(work: Workload, chip: Accelerator, layouts: Layouts, ring_latency: float) -> Floats:
    """A ring's latency, for each layer's collectives between nodes."""
    ranks = layouts.data * layouts.context
    outside = ranks * layouts.tensor > chip.scaleup_domain
    layers = work.n_layers / layouts.pipeline
    return np.where(outside & (layouts.zero == 3), GATHERS * layers * ranks * ring_latency, 0.0)


def _tensor(work: Workload, layouts: Layouts, tokens: Floats, links: _Links) -> Floats:
    """All-reduces of activations over the tensor ranks, a gather and a scatter each, in every layer."""
    degree = layouts.tensor
    reduces = np.where(layouts.full, 1.5, 1.0) * REDUCES
    payload = tokens * work.d_model * BF16_BYTES * 2.0 * (degree - 1) / degree
    seconds: Floats = work.n_layers / layouts.pipeline * reduces * payload / links.between(degree, np.ones_like(degree))
    return seconds


def _context(work: Workload, layouts: Layouts, tokens: Floats, links: _Links) -> Floats:
    """Keys and values around the context ranks, and with their gradients back (Liu et al., arXiv 2310.01889)."""
    payload = 3.0 * work.key_value_bytes / layouts.pipeline / layouts.tensor * tokens * (layouts.context - 1)
    return payload / links.between(layouts.context, layouts.tensor)


def _experts(work: Workload, layouts: Layouts, tokens: Floats, links: _Links) -> Floats:
    """Tokens to their experts and back, forward and backward (Lepikhin et al., arXiv 2006.16668).

    No link carries the share that stays; each rank uses its own network card.
    """
    degree = layouts.expert
    payload = 4.0 * work.dispatch_bytes / layouts.pipeline / layouts.tensor * tokens * (degree - 1) / degree
    inside = degree * layouts.tensor <= links.chip.scaleup_domain
    alone = links.efficiency * links.chip.between_nodes
    return payload / np.where(inside, links.between(degree, layouts.tensor), alone)


def _between_stages(work: Workload, layouts: Layouts, tokens: Floats, links: _Links) -> Floats:
    """Activations forward and gradients back, at every chunk's end."""
    payload = 2.0 * tokens * work.d_model * BF16_BYTES / layouts.tensor * layouts.interleave
    sent = payload / (links.efficiency * links.chip.between_nodes)
    return np.where(layouts.pipeline > 1, sent, 0.0)


def _once(work: Workload, chip: Accelerator, layouts: Layouts, links: _Links) -> Floats:
    """Gradients summed and weights handed out once a step unless each pass did it, and the optimizer's traffic."""
    wide, narrow = _reduced(work, layouts, links)
    times = np.where(layouts.zero == 1, GRADIENT_BYTES + WEIGHT_BYTES, np.where(layouts.zero == 2, WEIGHT_BYTES, 0))
    shared, experts = _stage_weights(work, layouts)
    ranks = layouts.data * layouts.context
    owned = shared / ranks + experts / np.maximum(1.0, ranks / layouts.expert)
    traffic = 2.0 * (GRADIENT_BYTES + OPTIMIZER_BYTES) * owned / chip.memory_bandwidth
    return times * (wide + narrow) + traffic
