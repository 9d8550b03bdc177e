"""Hours of many planned runs, by the step-time model and whatever real runs make of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from planner.costs.accelerators import Accelerator
from planner.costs.layout import Layout
from planner.costs.memory import usable_bytes
from planner.costs.reliability import Reliability
from planner.costs.run_cost import PRODUCTION
from planner.costs.search import Cluster, fastest_layout, step_seconds
from planner.costs.throughput import accelerators_for
from planner.errors import InputError
from planner.models.architecture import Architecture


@dataclass(frozen=True)
class Yardstick:
    """Real hours over those of the fastest layout, interruptions apart, and where the figure comes from."""

    factor: float
    source: str


TYPICAL = Yardstick(1.0 / PRODUCTION, f"what 36 published runs took ({1 / PRODUCTION:.2f} times the fastest layout's)")


@dataclass(frozen=True)
class Offer:
    """What there is to run on: one kind of chip, so many of them, and the days that one run may take."""

    chip: Accelerator
    count: int
    max_days: float


def kept_hours(model: Architecture, tokens: float, cluster: Cluster, batch_tokens: float, context_length: int) -> float:
    """Accelerator-hours of the fastest layout, stretches lost to interruptions included.

    Raises InputError when the model does not fit the cluster.
    """
    count = whole_nodes(cluster.chip, cluster.count)
    if count != cluster.count:
        cluster = Cluster(cluster.chip, count, cluster.precision, cluster.kernel)
    seconds, _, batch = step_seconds(model, cluster, [batch_tokens], context_length)
    ideal = tokens / float(batch[0]) * float(seconds[0]) * count / 3600.0
    return ideal / Reliability().goodput(count)


def whole_nodes(chip: Accelerator, count: int) -> int:
    """The largest number of accelerators up to `count` that fills nodes, or divides one."""
    if count >= chip.per_node:
        return count - count % chip.per_node
    return max(part for part in range(1, count + 1) if chip.per_node % part == 0)


def measured_yardstick(gpu_hours: float, modelled_kept_hours: float) -> Yardstick:
    """What a measured run says of the model: the next ones on the same cluster and software are taken to do the same."""
    factor = gpu_hours / modelled_kept_hours
    return Yardstick(factor, f"what the final run's measured hours are of the model's ({factor:.2f})")


@dataclass(frozen=True)
class PlannedRun:
    """One run as planned: `count` accelerators, hours per training token, the global batch in whole sequences that spread
    over the ranks (tokens), its fastest layout and the memory that takes on each accelerator (bytes, and of what training
    may fill)."""

    count: int
    gpu_hours_per_token: float
    batch_tokens: int
    layout: Layout
    memory_bytes: float
    memory_fraction: float


@lru_cache(maxsize=65_536)
def planned_run(
    model: Architecture, tokens: float, offer: Offer, batch_tokens: float, context_length: int, yardstick: Yardstick
) -> PlannedRun:
    """Accelerators, hours, batch, layout and memory of one run; see `planned_hours`. Raises InputError when it fits on none."""
    count, hours = planned_hours(model, tokens, offer, batch_tokens, context_length, yardstick)
    fastest = fastest_layout(model, Cluster(offer.chip, whole_nodes(offer.chip, count)), batch_tokens, context_length)
    held = sum(fastest.bytes_by_part.values())
    fraction = held / usable_bytes(offer.chip)
    return PlannedRun(count, hours / tokens, fastest.batch_tokens, fastest.layout, held, fraction)


@lru_cache(maxsize=65_536)
def planned_hours(
    model: Architecture, tokens: float, offer: Offer, batch_tokens: float, context_length: int, yardstick: Yardstick
) -> tuple[int, float]:
    """Accelerators and accelerator-hours of one run: the fewest nodes, in powers of two, that hold the model and end in
    time, all there are if none do. Raises InputError when the model fits on none."""
    least, chip = min(chip_or_node(offer), offer.count), offer.chip
    count, hours = 0, 0.0
    while least <= offer.count:
        try:
            hours = yardstick.factor * kept_hours(model, tokens, Cluster(chip, least), batch_tokens, context_length)
            count = least
        except InputError:
            if least * 2 > offer.count:
                raise
        if count and accelerators_for(hours, chip, offer.count, offer.max_days) <= count:
            break
        least *= 2
    return count, hours


def chip_or_node(offer: Offer) -> int:
    """Where counting starts: a node, or the part of one there is."""
    return min(offer.chip.per_node, whole_nodes(offer.chip, offer.count))
