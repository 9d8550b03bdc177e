"""An architecture of a given family for a given number of parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum

from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.parameters import count_parameters

WIDTH_STEP = 128  # divides over a tensor-parallel degree of 8 in tiles of 16
NARROW_STEP = 64  # the same for models too small to be split
NARROW = 200e6  # parameters
HEAD_STEP = 8  # heads divide over a tensor-parallel degree of 8
MLP_STEP = 16
SMALL_MLP_STEP = 8  # the same for models that are trained on one device
TOLERANCE = 0.01  # of the target count: any shape this close will do, the best-proportioned one is taken
LIMIT = 0.02  # of the target count: beyond it the family has no such size
WIDEST = 32_768
STRETCH = 1.5  # of the reference's width/depth ratio, either way
LONG_STRETCH = 8.0  # the same where a large vocabulary leaves a small model no width


class SizeCount(StrEnum):
    """Which count a size speaks of."""

    ACTIVE = "params_active"
    TOTAL = "params_total"

    def of(self, shape: Architecture) -> int:
        """That count of `shape`."""
        count = count_parameters(shape)
        return count.active if self is SizeCount.ACTIVE else count.total


def shape_for(
    reference: Architecture, params: float, *, count: SizeCount = SizeCount.ACTIVE, sparsity: float | None = None
) -> Architecture:
    """The reference family's shape with `params` parameters of the kind `count`, embeddings included.

    Width, heads, MLP and latent ranks keep their ratio to the reference; so do depth to width and, for a mixture of
    experts, the number of experts, of routed and of shared ones. `sparsity` asks for another ratio of routed experts to
    those a token uses. The vocabulary is the reference's; where it is too large for the size the embeddings are tied, as
    in the small models of Llama 3.2 and Qwen3, and if need be the model gets deeper. Among shapes within 1 % of the
    target the one nearest the reference's width/depth ratio is taken. Raises InputError when no shape comes within 2 %,
    or for a sparsity without experts.
    """
    target = _sparser(reference, sparsity)
    named = f"{reference.name}-{params / 1e9:.3g}b"
    tied = replace(target, tied_embeddings=True)
    tries = [(target, STRETCH), (tied, STRETCH), (tied, LONG_STRETCH)]
    for family, stretch in tries if params <= NARROW else tries[:2]:
        best = _nearest(family, params, count, stretch)
        if best:
            return replace(best, name=named)
    kind = count.removeprefix("params_")
    small = params < count.of(target)
    raise InputError(
        f"the family of {reference.name} has no shape with {params:.4g} {kind} parameters",
        f"its vocabulary alone needs {reference.vocab_size} parameters per channel: ask for a larger size"
        if small
        else f"ask for a size nearer the {count.of(target):.4g} of {reference.name}",
    )


def shape_of(reference: Architecture, n_layers: int, d_model: int, n_heads: int | None = None) -> Architecture:
    """The reference family's shape with so many layers and channels; all else keeps its ratio to the width.

    Without `n_heads` the heads keep their width and their number follows; with it they share the width among them. Raises
    InputError where that leaves no whole number of heads, or of channels in one (two at least, an even number).
    """
    ratio = d_model / reference.d_model
    heads = n_heads or reference.n_heads * ratio
    head_dim = reference.n_heads * reference.head_dim * ratio / heads
    if heads != int(heads) or head_dim != int(head_dim) or head_dim % 2:
        raise InputError(
            f"layers, width = {n_layers}, {d_model}: {heads:.4g} heads of {head_dim:.4g} channels in the family of "
            f"{reference.name}",
            "give a width that its heads divide, or the number of heads as a third value",
        )
    n_heads = int(heads)
    shape = replace(
        _scaled(reference, d_model, n_layers),
        name=f"{reference.name}-{n_layers}x{d_model}",
        n_heads=n_heads,
        n_kv_heads=_divisor(n_heads, max(1, n_heads * reference.n_kv_heads // reference.n_heads)),
        head_dim=int(head_dim),
    )
    if shape.experts:
        return shape
    return replace(shape, d_ff=_multiple(reference.d_ff * ratio, SMALL_MLP_STEP))


def _sparser(reference: Architecture, sparsity: float | None) -> Architecture:
    """The reference with as many routed experts as `sparsity` asks for."""
    if sparsity is None:
        return reference
    if reference.experts is None or not sparsity >= 1 or math.isinf(sparsity):
        raise InputError(
            f"sparsity = {sparsity:g} for {reference.name}",
            "give a ratio of experts to experts per token, at least 1, and a mixture-of-experts family",
        )
    n_experts = max(1, round(sparsity * reference.experts.experts_per_token))
    return replace(reference, experts=replace(reference.experts, n_experts=n_experts))


def _nearest(reference: Architecture, params: float, count: SizeCount, stretch: float) -> Architecture | None:
    """The best-proportioned shape within 1 % of the target, else one within 2 %, else none.

    Shapes that keep the reference's MLP ratio come first; then those whose MLP is fitted to the target.
    """

    def miss(shape: Architecture) -> float:
        return abs(count.of(shape) / params - 1)

    def plain() -> Iterator[Architecture]:
        return (_scaled(reference, width, depth) for width, depth in proportions)

    def stretched(proportion: tuple[int, int]) -> float:
        """How far the width/depth ratio is from the reference's, in nats."""
        width, depth = proportion
        return abs(math.log(width / depth * reference.n_layers / reference.d_model))

    proportions = sorted(_proportions(reference, params, stretch), key=stretched)
    for tolerance, shapes in ((TOLERANCE, plain()), (TOLERANCE, _fitted(plain(), params, count)), (LIMIT, plain())):
        for shape in shapes:
            if miss(shape) <= tolerance:
                return shape
    return None


def _fitted(shapes: Iterator[Architecture], params: float, count: SizeCount) -> Iterator[Architecture]:
    """The shapes with an MLP up to twice as wide or as narrow, whichever meets the target."""
    return (fitted for shape in shapes if (fitted := _fit_mlp(shape, params, count)) is not None)


def _fit_mlp(shape: Architecture, params: float, count: SizeCount) -> Architecture | None:
    def widened(by: int) -> Architecture:
        experts = shape.experts and replace(shape.experts, d_ff=shape.experts.d_ff + by)
        return replace(shape, experts=experts) if experts else replace(shape, d_ff=shape.d_ff + by)

    width = shape.experts.d_ff if shape.experts else shape.d_ff
    per_channel = (count.of(widened(MLP_STEP)) - count.of(shape)) / MLP_STEP
    by = MLP_STEP * round((params - count.of(shape)) / per_channel / MLP_STEP)
    return widened(by) if width / 2 <= width + by <= 2 * width else None


def _proportions(reference: Architecture, params: float, stretch: float) -> Iterator[tuple[int, int]]:
    """Widths and depths on both sides of the target: every width, depths within `stretch` of the proportional one."""
    step = NARROW_STEP if params <= NARROW else WIDTH_STEP
    for width in range(step, WIDEST + 1, step):
        proportional = width * reference.n_layers / reference.d_model
        if 3 * width * width * proportional > 8 * params:
            return
        for depth in range(max(2, math.floor(proportional / stretch)), math.ceil(proportional * stretch) + 1):
            yield width, depth


def _scaled(reference: Architecture, width: int, depth: int) -> Architecture:
    ratio = width / reference.d_model
    heads = _heads(reference.n_heads * ratio)
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


def _heads(wanted: float) -> int:
    """A multiple of 8, or a power of two below it."""
    return 1 << max(0, round(math.log2(wanted))) if wanted < HEAD_STEP else _multiple(wanted, HEAD_STEP)


def _divisor(of: int, at_most: int) -> int:
    """The largest divisor not above `at_most`: query heads share key heads evenly."""
    return next(value for value in range(max(1, at_most), 0, -1) if of % value == 0)


def _multiple(value: float, step: int) -> int:
    return max(step, step * round(value / step))
