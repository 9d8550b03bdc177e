"""An architecture of a given family for a given number of active parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.parameters import count_parameters

WIDTH_STEP = 128  # divides over a tensor-parallel degree of 8 in tiles of 16
HEAD_STEP = 8  # heads divide over a tensor-parallel degree of 8
TOLERANCE = 0.01  # of the target count: any shape this close will do, the best-proportioned one is taken
LIMIT = 0.02  # of the target count: beyond it the family has no such size


def shape_for(reference: Architecture, params_active: float) -> Architecture:
    """The reference family's shape with `params_active` active parameters (embeddings included).

    Width, heads, MLP and latent ranks keep their ratio to the reference; so do depth to width and, for a mixture of
    experts, the number of experts, of routed and of shared ones (matched sparsity). The vocabulary is the reference's.
    Among shapes within 1 % of the target the one nearest the reference's width/depth ratio is taken.
    Raises InputError when no shape comes within 2 %.
    """

    def miss(shape: Architecture) -> float:
        return abs(count_parameters(shape).active / params_active - 1)

    shapes = list(_shapes(reference, params_active))
    if shapes:
        close = [shape for shape in shapes if miss(shape) <= TOLERANCE]
        best = min(close, key=lambda s: _stretch(reference, s)) if close else min(shapes, key=miss)
        if miss(best) <= LIMIT:
            return replace(best, name=f"{reference.name}-{params_active / 1e9:.3g}b")
    small = params_active < count_parameters(reference).active
    raise InputError(
        f"the family of {reference.name} has no shape with {params_active:.4g} active parameters",
        f"its vocabulary alone needs {2 * reference.vocab_size} parameters per channel: ask for a larger size"
        if small
        else f"ask for a size nearer the {count_parameters(reference).active:.4g} of {reference.name}",
    )


def _stretch(reference: Architecture, shape: Architecture) -> float:
    """How far the width/depth ratio is from the reference's, in nats."""
    return abs(math.log(shape.d_model / shape.n_layers * reference.n_layers / reference.d_model))


def _shapes(reference: Architecture, params_active: float) -> Iterator[Architecture]:
    """Candidates on both sides of the target: every width, depths within 1.5x of the proportional one."""
    for width in range(WIDTH_STEP, 2 * reference.d_model + 1, WIDTH_STEP):
        proportional = width * reference.n_layers / reference.d_model
        if 6 * width * width * proportional > 8 * params_active:
            return
        for depth in range(max(2, math.floor(proportional / 1.5)), math.ceil(proportional * 1.5) + 1):
            yield _scaled(reference, width, depth)


def _scaled(reference: Architecture, width: int, depth: int) -> Architecture:
    ratio = width / reference.d_model
    heads = _multiple(reference.n_heads * ratio, HEAD_STEP)
    latent, experts = reference.latent, reference.experts
    if latent:
        q_rank = _multiple(latent.q_lora_rank * ratio, 64) if latent.q_lora_rank else 0
        latent = replace(latent, q_lora_rank=q_rank, kv_lora_rank=_multiple(latent.kv_lora_rank * ratio, 64))
    if experts:
        dense_layers = (
            max(1, round(experts.n_dense_layers * depth / reference.n_layers)) if experts.n_dense_layers else 0
        )
        experts = replace(experts, d_ff=_multiple(experts.d_ff * ratio, 64), n_dense_layers=dense_layers)
    return replace(
        reference,
        n_layers=depth,
        d_model=width,
        n_heads=heads,
        n_kv_heads=_divisor(heads, heads * reference.n_kv_heads // reference.n_heads),
        d_ff=_multiple(reference.d_ff * ratio, 64),
        latent=latent,
        experts=experts,
    )


def _divisor(of: int, at_most: int) -> int:
    """The largest divisor not above `at_most`: query heads share key heads evenly."""
    return next(value for value in range(max(1, at_most), 0, -1) if of % value == 0)


def _multiple(value: float, step: int) -> int:
    return max(step, step * round(value / step))
