"""The fastest layout that fits, and why the others are not it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from planner.costs.accelerators import Accelerator, Precision
from planner.costs.calibration import AttentionKernel, calibration_with
from planner.costs.layout import Layout, Layouts, candidate_layouts
from planner.costs.memory import Memory, memory_of, usable_bytes
from planner.costs.step import Step, step_of
from planner.costs.workload import Workload, workload_of
from planner.errors import InputError
from planner.models.architecture import Architecture

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cluster:
    """`count` accelerators of one kind, the precision of matrix products on them, and the attention kernel."""

    chip: Accelerator
    count: int
    precision: Precision = Precision.BF16
    kernel: AttentionKernel = AttentionKernel.FLASH_3


@dataclass(frozen=True)
class Fastest:
    """The fastest layout for one global batch: seconds of a step, and seconds and bytes by part."""

    layout: Layout
    batch_tokens: int
    seconds: float
    seconds_by_part: dict[str, float]
    bytes_by_part: dict[str, float]


@dataclass(frozen=True)
class Alternative:
    """Another way to split the model: `seconds` of a step if it fits and divides the batch, and what speaks against it."""

    layout: Layout
    seconds: float | None
    against: str


@dataclass(frozen=True)
class _Search:
    """All candidates of one workload on one cluster: what fits comes first-hand, the batch is left open."""

    layouts: Layouts
    memory: Memory
    fits: NDArray[np.bool_]
    step: Step


@dataclass(frozen=True)
class _Fitting:
    """Of the layouts that fit: index, sequences and seconds of one pass, passes to fill the pipeline, seconds once."""

    index: NDArray[np.int64]
    sequences: NDArray[np.int64]
    seconds: Floats
    fill: Floats
    once: Floats


@lru_cache(maxsize=256)
def _search(work: Workload, cluster: Cluster) -> _Search:
    every = candidate_layouts(work, cluster.chip, cluster.count)
    memory = memory_of(work, every, cluster.precision, scores_kept=cluster.kernel is AttentionKernel.UNFUSED)
    calibration = calibration_with(cluster.kernel)
    return _Search(
        every,
        memory,
        memory.fits(cluster.chip),
        step_of(work, cluster.chip, every, precision=cluster.precision, calibration=calibration),
    )


@lru_cache(maxsize=256)
def _fitting(work: Workload, cluster: Cluster) -> _Fitting:
    found = _search(work, cluster)
    fits = np.flatnonzero(found.fits).astype(np.int64)
    if not len(fits):
        raise InputError(_too_small(work, cluster, found), "use more accelerators, or ones with more memory")
    step = found.step
    return _Fitting(
        index=fits,
        sequences=(found.layouts.data * found.layouts.micro_batch)[fits],
        seconds=step.micro.total[fits],
        fill=step.pipeline_fill[fits],
        once=step.once[fits],
    )


def _too_small(work: Workload, cluster: Cluster, found: _Search) -> str:
    least = float(found.memory.total.min())
    return (
        f"{cluster.count} x {cluster.chip.name} cannot hold a model of {work.params:.4g} parameters: the leanest layout "
        f"needs {least / 1e9:.4g} of {usable_bytes(cluster.chip) / 1e9:.4g} GB on each"
    )


def step_seconds(
    model: Architecture, cluster: Cluster, batch_tokens: ArrayLike, context_length: int
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Seconds of one step with the fastest layout that fits, that layout's index, and the batch's tokens as rounded, for
    each of many global batches.

    Batches are rounded as `whole_batch` does. Raises InputError when nothing fits, or what
    fits divides none of them.
    """
    work = workload_of(model, context_length)
    fitting = _fitting(work, cluster)
    tokens = whole_batch(batch_tokens, context_length, cluster.count)
    batches = tokens // context_length
    passes, rest = np.divmod(batches[:, None], fitting.sequences[None, :])
    every = np.where(rest == 0, (passes + fitting.fill) * fitting.seconds + fitting.once, np.inf)
    best = np.argmin(every, axis=1)
    if not np.isfinite(every[np.arange(len(best)), best]).all():
        raise InputError(
            f"no layout of {model.name} on {cluster.count} x {cluster.chip.name} divides a batch of {int(batches.min())} "
            f"sequences of {context_length}",
            "use a larger batch, or a count with more powers of two",
        )
    return every[np.arange(len(best)), best], fitting.index[best], tokens


def whole_batch(batch_tokens: ArrayLike, context_length: int, count: int) -> NDArray[np.int64]:
    """Global batches as whole sequences that spread evenly, tokens in and tokens out.

    The nearest multiple of `count` sequences; for fewer, of the most ranks that `count` leaves when powers of two are
    taken from it for other degrees. Raises InputError for a batch of less than half a sequence for each of those.
    """
    sequences = np.maximum(1, np.rint(np.atleast_1d(np.asarray(batch_tokens, float)) / context_length)).astype(np.int64)
    odd = count // (count & -count)  # what powers of two cannot split goes to the data ranks
    if 2 * sequences.min() < odd:
        raise InputError(
            f"a batch of {int(sequences.min())} sequences is too small for {count} accelerators: powers of two leave {odd} "
            "replicas",
            "use a larger batch, or a count with more powers of two",
        )
    units = odd * 2 ** np.arange((count // odd).bit_length())
    unit = units[np.maximum(0, np.searchsorted(units, sequences, side="right") - 1)]
    whole: NDArray[np.int64] = np.maximum(1, np.rint(sequences / unit)).astype(np.int64) * unit * context_length
    return whole


def fastest_layout(model: Architecture, cluster: Cluster, batch_tokens: float, context_length: int) -> Fastest:
    """The fastest layout that fits for one global batch, rounded as `whole_batch` does."""
    seconds, index, tokens = step_seconds(model, cluster, [batch_tokens], context_length)
    found = _search(workload_of(model, context_length), cluster)
    best, batch = int(index[0]), int(tokens[0])
    return Fastest(
        layout=found.layouts[best],
        batch_tokens=batch,
        seconds=float(seconds[0]),
        seconds_by_part=_parts(found, best, batch // context_length),
        bytes_by_part={part: float(held[best]) for part, held in vars(found.memory).items()},
    )


def _parts(found: _Search, best: int, sequences: int) -> dict[str, float]:
    """Seconds of a step by part; they add up to the step."""
    layout, step = found.layouts[best], found.step
    passes = sequences // (layout.data * layout.micro_batch)
    parts = {part: passes * float(seconds[best]) for part, seconds in vars(step.micro).items()}
    bubble = float(step.pipeline_fill[best] * step.micro.total[best])
    return {**parts, "bubble": bubble, "step": float(step.once[best])}


def alternatives(model: Architecture, cluster: Cluster, batch_tokens: float, context_length: int) -> list[Alternative]:
    """The best layout of every other kind (degrees, ZeRO stage and recomputation), fastest first, then those that
    do not fit, nearest first."""
    found = _search(workload_of(model, context_length), cluster)
    best = fastest_layout(model, cluster, batch_tokens, context_length)
    batch = best.batch_tokens // context_length
    layouts = found.layouts
    passes, rest = np.divmod(batch, layouts.data * layouts.micro_batch)
    divides = rest == 0
    seconds = np.where(found.fits & divides, found.step.seconds(passes), np.inf)
    room, needs = usable_bytes(cluster.chip), found.memory.total
    kinds: dict[tuple[int, ...], int] = {}
    for index in np.lexsort((needs, seconds)):
        kind = (layouts.tensor[index], layouts.pipeline[index], layouts.context[index], layouts.zero[index])
        kinds.setdefault((*kind, layouts.full[index]), int(index))
    others = [index for index in kinds.values() if layouts[index] != best.layout]
    return [
        Alternative(
            layouts[index],
            float(seconds[index]) if np.isfinite(seconds[index]) else None,
            _against(float(seconds[index]), best.seconds, float(needs[index]), room),
        )
        for index in others
    ]


def _against(seconds: float, fastest: float, needs: float, room: float) -> str:
    if np.isfinite(seconds):
        return f"{seconds / fastest - 1:.1%} slower"
    return f"needs {needs / 1e9:.1f} of {room / 1e9:.1f} GB" if needs > room else "does not divide the global batch"
