"""Electrical energy at the wall."""

from __future__ import annotations

from planner.costs.accelerators import Accelerator

AVERAGE_DRAW = (
    0.75  # average over maximum server power while training (Cottier et al., arXiv 2405.21015, cost model code)
)
PUE = 1.1  # hyperscale data centre (same source)


def energy_kwh(gpu_hours: float, accelerator: Accelerator) -> float:
    """kWh at the wall: TDP x server factor x average draw x PUE; 1.05 kWh per H100-hour."""
    watts = accelerator.tdp_watts * accelerator.server_power_factor * AVERAGE_DRAW * PUE
    return gpu_hours * watts / 1000.0
