"""Electrical energy at the wall and its emissions."""

from __future__ import annotations

from planner.costs.accelerators import Accelerator
from planner.costs.prices import Grid
from planner.errors import InputError

AVERAGE_DRAW = (
    0.75  # average over maximum server power while training (Cottier et al., arXiv 2405.21015, cost model code)
)
PUE = 1.1  # hyperscale data centre (same source)
EMBODIED_KG_PER_GPU_HOUR = 0.013  # 463 kg CO2e a GPU over four years (Morrison et al., arXiv 2503.05804)


def server_watts(accelerator: Accelerator) -> float:
    """Maximum server power per chip; raises InputError where its TDP is not known."""
    if accelerator.tdp_watts is None:
        raise InputError(f"the power of {accelerator.name} is not known", "give tdp_watts in an accelerator file")
    return accelerator.tdp_watts * accelerator.server_power_factor


def energy_kwh(
    gpu_hours: float, accelerator: Accelerator, *, average_draw: float = AVERAGE_DRAW, pue: float = PUE
) -> float:
    """kWh at the wall: TDP x server factor x average draw x PUE; 1.05 kWh per H100-hour."""
    return gpu_hours * server_watts(accelerator) * average_draw * pue / 1000.0


def co2_kg(kwh: float, grid: Grid) -> float:
    """kg CO2e of the electricity, what building the chips emitted left out."""
    return kwh * grid.kg_co2_per_kwh
