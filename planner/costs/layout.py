"""How a model is split over a cluster: one layout, and every one worth trying."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from planner.costs.accelerators import Accelerator
from planner.costs.workload import Workload
from planner.errors import InputError
from planner.models.flops import Recomputation

LONGEST_WITHOUT_CONTEXT_PARALLELISM = 32_768  # tokens of a sequence that one chip's attention is left to
LARGEST_MICRO_BATCH_TOKENS = 131_072
WIDEST_TENSOR = 8  # divides the heads and widths of every shape the planner proposes

Counts = NDArray[np.int64]
_DEGREES = ("tensor", "pipeline", "context", "data", "expert", "zero", "micro_batch", "interleave")


@dataclass(frozen=True)
class Layout:
    """Degrees of parallelism: `tensor` x `pipeline` x `context` x `data` accelerators.

    `zero` is the ZeRO stage over data and context ranks (Rajbhandari et al., arXiv 1910.02054; 3 is FSDP), `expert` the
    data ranks that the experts of a layer are spread over, `micro_batch` the sequences of one forward pass of one
    replica, `interleave` the model chunks of one pipeline stage (Narayanan et al., arXiv 2104.04473).
    """

    tensor: int
    pipeline: int
    context: int
    data: int
    expert: int
    zero: int
    micro_batch: int
    interleave: int
    recomputation: Recomputation

    @property
    def count(self) -> int:
        """Accelerators."""
        return self.tensor * self.pipeline * self.context * self.data

    def __str__(self) -> str:
        """In words, degrees of one left out."""
        degrees = [
            ("tensor", self.tensor),
            ("pipeline", self.pipeline),
            ("context", self.context),
            ("data", self.data),
            ("expert", self.expert),
        ]
        parts = [f"{name} {degree}" for name, degree in degrees if degree > 1 or name == "data"]
        if self.interleave > 1:
            parts.append(f"{self.interleave} chunks a stage")
        parts += [f"ZeRO-{self.zero}", f"micro-batch {self.micro_batch}", f"{self.recomputation} recomputation"]
        return ", ".join(parts)


@dataclass(frozen=True)
class Layouts:
    """Many layouts, one array entry each; `full` marks full recomputation."""

    tensor: Counts
    pipeline: Counts
    context: Counts
    data: Counts
    expert: Counts
    zero: Counts
    micro_batch: Counts
    interleave: Counts
    full: NDArray[np.bool_]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.tensor)

    def __getitem__(self, index: int) -> Layout:
        """One of them."""
        degrees = {name: int(getattr(self, name)[index]) for name in _DEGREES}
        return Layout(**degrees, recomputation=Recomputation.FULL if self.full[index] else Recomputation.SELECTIVE)

    def where(self, keep: NDArray[np.bool_]) -> Layouts:
        """Those marked in `keep`."""
        return Layouts(**{name: column[keep] for name, column in vars(self).items()})


def layouts_of(given: list[Layout]) -> Layouts:
    """The given layouts as arrays; each recomputation is full or selective."""
    columns = {name: np.array([getattr(layout, name) for layout in given]) for name in _DEGREES}
    return Layouts(**columns, full=np.array([layout.recomputation is Recomputation.FULL for layout in given]))


@lru_cache(maxsize=256)
def candidate_layouts(work: Workload, chip: Accelerator, count: int) -> Layouts:
    """Every layout of `work` over `count` accelerators whose degrees divide what they split, powers of two each.

    Raises InputError when `count` is not whole nodes, or less than one node and not a divisor of it.
    """
    check_nodes(chip, count)
    choices = (_tensor(work, chip), _powers(work.n_layers), _context(work), _powers(max(1, work.n_experts)))
    tensor, pipeline, context, expert, zero, micro, chunks, full = (
        axis.ravel() for axis in np.meshgrid(*choices, (1, 2, 3), _micro(work), (1, 2, 4), (0, 1), indexing="ij")
    )
    data, rest = np.divmod(count, tensor * pipeline * context)
    possible = (data >= 1) & (rest == 0) & (np.maximum(data, 1) % expert == 0)
    possible &= (max(1, work.n_experts) % expert == 0) & ((zero == 1) | (data * context > 1))
    possible &= (chunks == 1) | ((pipeline > 1) & (chunks * pipeline <= work.n_layers))
    every = Layouts(tensor, pipeline, context, data, expert, zero, micro, chunks, full.astype(bool))
    return every.where(possible)


def check_nodes(chip: Accelerator, count: int) -> None:
    """Raise InputError unless `count` accelerators are whole nodes, or divide one."""
    if count >= 1 and (count % chip.per_node == 0 or chip.per_node % count == 0):
        return
    whole = max(1, count // chip.per_node) * chip.per_node
    raise InputError(
        f"{count} x {chip.name} is not a whole number of nodes of {chip.per_node}",
        f"use {whole} or {whole + chip.per_node}",
    )


def _powers(largest: int) -> list[int]:
    return [1 << power for power in range(largest.bit_length()) if 1 << power <= largest]


def _tensor(work: Workload, chip: Accelerator) -> list[int]:
    widest = min(WIDEST_TENSOR, chip.scaleup_domain)
    return [degree for degree in _powers(widest) if work.n_heads % degree == 0]


def _context(work: Workload) -> list[int]:
    """Context parallelism only where sequences are long."""
    return _powers(max(1, 4 * work.context_length // LONGEST_WITHOUT_CONTEXT_PARALLELISM))


def _micro(work: Workload) -> list[int]:
    return _powers(max(1, LARGEST_MICRO_BATCH_TOKENS // work.context_length))
