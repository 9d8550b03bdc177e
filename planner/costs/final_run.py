"""What the final run costs, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass

from planner.costs.accelerators import Accelerator
from planner.costs.energy import energy_kwh
from planner.costs.throughput import Utilisation, utilisation_of
from planner.models.flops import training_flops


@dataclass(frozen=True)
class FinalCost:
    """The final run: pretraining FLOPs; hours of each stage on `count` accelerators; dollars at `usd_per_gpu_hour`.

    `gpu_hours_source` is "measured" when hours per trillion tokens were given, else "modelled".
    """

    flops: float
    tokens: float
    pretraining_gpu_hours: float
    context_extension_gpu_hours: float
    post_training_gpu_hours: float
    gpu_hours_source: str
    count: int
    usd_per_gpu_hour: float
    energy_kwh: float
    utilisation: Utilisation

    @property
    def gpu_hours(self) -> float:
        """All stages."""
        return self.pretraining_gpu_hours + self.context_extension_gpu_hours + self.post_training_gpu_hours

    @property
    def usd(self) -> float:
        """All stages, rented."""
        return self.gpu_hours * self.usd_per_gpu_hour

    @property
    def gpu_hours_per_trillion_tokens(self) -> float:
        """Pretraining hours per 1e12 tokens."""
        return self.pretraining_gpu_hours / self.tokens * 1e12

    @property
    def days_per_trillion_tokens(self) -> float:
        """Pretraining days per 1e12 tokens on the whole cluster."""
        return self.gpu_hours_per_trillion_tokens / self.count / 24.0

    @property
    def days(self) -> float:
        """Pretraining days on the whole cluster."""
        return self.pretraining_gpu_hours / self.count / 24.0


def final_cost(
    params_active: float,
    tokens: float,
    accelerator: Accelerator,
    *,
    count: int,
    usd_per_gpu_hour: float,
    modelled_gpu_hours: float,
    gpu_hours_per_trillion_tokens: float | None = None,
    context_extension_gpu_hours: float = 0.0,
    post_training_gpu_hours: float = 0.0,
) -> FinalCost:
    """Hours measured per trillion tokens where given, else the modelled ones."""
    flops = training_flops(params_active, tokens)
    measured = gpu_hours_per_trillion_tokens is not None
    hours = gpu_hours_per_trillion_tokens * tokens / 1e12 if gpu_hours_per_trillion_tokens else modelled_gpu_hours
    source = "measured" if measured else "modelled"
    every_hour = hours + context_extension_gpu_hours + post_training_gpu_hours
    return FinalCost(
        flops=flops,
        tokens=tokens,
        pretraining_gpu_hours=hours,
        context_extension_gpu_hours=context_extension_gpu_hours,
        post_training_gpu_hours=post_training_gpu_hours,
        gpu_hours_source=source,
        count=count,
        usd_per_gpu_hour=usd_per_gpu_hour,
        energy_kwh=energy_kwh(every_hour, accelerator),
        utilisation=utilisation_of(flops, hours, accelerator, source),
    )
