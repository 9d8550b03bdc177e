"""Names of the design under their old place."""

from planner.decisions.power import run_noise
from planner.laws.centre import Array
from planner.sweep.design import SEED_NOISE, Design, optimal_design

__all__ = ["Design", "optimal_design", "seed_noise"]


def seed_noise(params: Array, at_1b: float = SEED_NOISE) -> Array:
    """Sd of ln loss between seeds, falling as params^-0.22 from `at_1b` at 1B (an assumption, not a measurement)."""
    return run_noise(params, at_1b)
