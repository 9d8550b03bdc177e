"""Hours and dollars on given accelerators as training FLOPs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from planner.costs.accelerators import Accelerator
from planner.costs.cost import CONTEXT_LENGTH, step_law_batch
from planner.costs.memory import WEIGHT_BYTES, usable_bytes
from planner.costs.planned import TYPICAL, Offer, planned_hours
from planner.costs.prices import Rent
from planner.costs.run_cost import PRODUCTION_SPREAD
from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.shape import SizeCount, shape_for
from planner.runs.columns import Count

FIRST_GUESS = 0.35  # utilisation to begin with
ROUNDS, SETTLED = 20, 1e-3  # of size and utilisation in turn; relative change
WEIGHTS_SHARE = 0.8  # of a node's memory when serving; our assumption: the rest holds caches of keys and values


@dataclass(frozen=True)
class Hardware:
    """What hours buy: a share `utilisation` of the BF16 peak over all paid hours, by `source`; `spread` its sd of logs."""

    chip: Accelerator
    utilisation: float
    source: str
    spread: float = 0.0

    def flops(self, gpu_hours: float) -> float:
        """Training FLOPs of so many accelerator-hours."""
        return gpu_hours * self.flops_per_hour

    def gpu_hours(self, flops: float) -> float:
        """Accelerator-hours of so many training FLOPs."""
        return flops / self.flops_per_hour

    @property
    def flops_per_hour(self) -> float:
        """Of one accelerator."""
        return 3600.0 * self.chip.bf16_flops * self.utilisation


def given(chip: Accelerator, utilisation: float) -> Hardware:
    """A utilisation that the user knows."""
    if not 0 < utilisation <= 1:
        raise InputError(
            f"utilisation = {utilisation:g} is not between 0 and 1",
            "the share of the BF16 peak over all paid hours: 0.3 to 0.4 is common",
        )
    return Hardware(chip, utilisation, "given")


@dataclass(frozen=True)
class Modelled:
    """Utilisation by the step-time model: shapes of `family` by `count`, each on the fewest nodes of `offer` that hold it
    and end in time.
    """

    offer: Offer
    family: Architecture
    count: Count

    def __post_init__(self) -> None:
        """Refuse a count that no shape is found by."""
        if self.count is Count.NON_EMBEDDING:
            raise InputError(
                "the fit counts params without embeddings, the cost model counts all", "give the utilisation instead"
            )

    def of_run(self, params: float, tokens: float) -> Hardware:
        """For one run; raises InputError where the model has no answer."""
        kind = SizeCount.ACTIVE if self.count is Count.ACTIVE else SizeCount.TOTAL
        shape = shape_for(self.family, params, count=kind)
        _, hours = planned_hours(shape, tokens, self.offer, step_law_batch(tokens), CONTEXT_LENGTH, TYPICAL)
        return self._made(6 * params * tokens / (hours * 3600 * self.offer.chip.bf16_flops))

    def of_hours(self, gpu_hours: float, choose: Callable[[float], tuple[float, float]]) -> Hardware:
        """For the run that `gpu_hours` buy: `choose` gives params and tokens for FLOPs; found in turn with the utilisation."""
        made, step, before = self._made(FIRST_GUESS), 1.0, 0.0
        for _ in range(ROUNDS):
            found = self.of_run(*choose(made.flops(gpu_hours)))
            change = math.log(found.utilisation / made.utilisation)
            if abs(change) < SETTLED:
                return found
            step = (
                step / 2 if change * before < 0 else step
            )  # nodes change by powers of two: back and forth must die out
            made, before = self._made(made.utilisation * math.exp(step * change)), change
        return made

    def _made(self, utilisation: float) -> Hardware:
        source = f"modelled for the shape of {self.family.name}; {TYPICAL.source}"
        return Hardware(self.offer.chip, utilisation, source, PRODUCTION_SPREAD)


@dataclass(frozen=True)
class Price:
    """Dollars of an accelerator-hour, and what a training FLOP costs then."""

    rent: Rent
    hardware: Hardware

    def gpu_hours(self, usd: float) -> float:
        """Accelerator-hours that so many dollars buy."""
        return usd / self.rent.usd_per_gpu_hour

    @property
    def usd_per_flop(self) -> float:
        """Of training."""
        return self.rent.usd_per_gpu_hour / self.hardware.flops_per_hour


def most_on_one_node(chip: Accelerator) -> float:
    """Params whose BF16 weights leave room for caches on one node when serving."""
    return WEIGHTS_SHARE * usable_bytes(chip) * chip.per_node / WEIGHT_BYTES
