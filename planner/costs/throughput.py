"""From FLOPs to accelerator-hours, by utilisation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.costs.accelerators import Accelerator


@dataclass(frozen=True)
class Utilisation:
    """The fraction of the dense BF16 peak that training FLOPs reach over all paid hours, and where it comes from."""

    fraction: float
    source: str

    def gpu_hours(self, flops: float, accelerator: Accelerator) -> float:
        """Accelerator-hours for `flops` training FLOPs."""
        return flops / (self.fraction * accelerator.bf16_flops * 3600.0)


def utilisation_of(flops: float, gpu_hours: float, accelerator: Accelerator, source: str) -> Utilisation:
    """What `gpu_hours`, which `source` says where they are from, make of the peak."""
    fraction = flops / (gpu_hours * accelerator.bf16_flops * 3600.0)
    return Utilisation(fraction, f"implied by the final run's {source} hours ({fraction:.3f} of the BF16 peak)")


def accelerators_for(gpu_hours: float, accelerator: Accelerator, cluster: int, max_days: float) -> int:
    """Whole nodes for one run: the smallest power of two of nodes that ends within `max_days`, at most the cluster.

    A cluster of less than one node is used whole.
    """
    wanted = gpu_hours / (24.0 * max_days * accelerator.per_node)
    nodes = 1 << math.ceil(math.log2(max(wanted, 1.0)))
    if cluster < accelerator.per_node:
        return cluster
    return accelerator.per_node * min(nodes, cluster // accelerator.per_node)
