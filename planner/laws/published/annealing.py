"""A whole loss curve from the areas under its learning-rate schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from planner.laws.centre import Array
from planner.laws.formula.from_formula import FromFormula
from planner.laws.published.example import Example, Limit
from planner.laws.schedules import annealing_areas, cosine, stable_decay


def _two_curves() -> dict[str, Array]:
    """Points every 500 steps of a cosine and of a warmup-stable-decay schedule."""
    areas = [annealing_areas(rates) for rates in (cosine(3e-4, 20_000), stable_decay(3e-4, 20_000, 4_000))]
    lr_area = [area.forward[999::500] for area in areas]
    anneal_area = [area.annealing[999::500] for area in areas]
    return {"lr_area": np.concatenate(lr_area), "anneal_area": np.concatenate(anneal_area)}


@dataclass(frozen=True)
class Annealing(FromFormula):
    """L(step) = L_0 + A / S1^alpha - C S2, S1 = lr_area, S2 = anneal_area of the schedule up to that step.

    S1 is the sum of the learning rates, S2 the sum of a momentum of their decreases: planner.laws.schedules computes both.
    L, L_0 in nats per token; A in nats x rate^alpha, C in nats per rate; alpha without unit. At a constant rate S2 is
    zero; with endless steps at it the loss falls to L_0.
    Source: Tissue et al. 2024, arXiv 2408.11029; the law was read in its abstract, the definition of S2 is from
    memory, and the coefficients belong to one model, so none are given.
    """

    L_0: float
    A: float
    C: float
    alpha: float

    name: ClassVar[str] = "annealing"
    formula: ClassVar[str] = "L_0 + A/lr_area^alpha - C*anneal_area"
    variables: ClassVar[tuple[str, ...]] = ("lr_area", "anneal_area")
    source: ClassVar[str] = "Tissue et al. 2024, arXiv 2408.11029"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"A": (1e-3, 1e3), "C": (1e-6, 1e6)}
    example: ClassVar[Example] = Example(
        letters={"L_0": 2.6, "A": 0.43, "C": 0.4, "alpha": 0.5},
        columns=_two_curves(),
        limits=(
            Limit({"lr_area": 1e60, "anneal_area": 0.0}, "L_0"),
            Limit({"lr_area": 1.0, "anneal_area": 1.0}, "L_0 + A - C"),
        ),
        falls=("lr_area", "anneal_area"),
    )
