"""Loss on the best frontier as a power of compute, with and without a floor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, spaced

PF_DAY = 8.64e19  # FLOP: 1e15 per second for 86,400 seconds, the unit of arXiv 2001.08361


@dataclass(frozen=True)
class ComputePower(FromFormula):
    """L = (C_c / flops)^alpha_C: the lowest loss that a budget buys, no floor.

    L in nats per token; C_c the FLOPs at which it would be one nat; alpha_C without unit. Only runs on the frontier
    follow it; as flops grow the loss goes to zero.
    Source: Kaplan et al. 2020, arXiv 2001.08361, eq. 1.3, there in PF-days (8.64e19 FLOP) without embeddings.
    """

    C_c: float
    alpha_C: float

    name: ClassVar[str] = "compute-power"
    formula: ClassVar[str] = "(C_c/flops)^alpha_C"
    variables: ClassVar[tuple[str, ...]] = ("flops",)
    source: ClassVar[str] = "Kaplan et al. 2020, arXiv 2001.08361, eq. 1.3"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"C_c": (1.0, 1e60)}
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Kaplan et al. 2020, arXiv 2001.08361, eq. 1.3 (at the critical batch, without embeddings)",
            {"C_c": 3.1e8 * PF_DAY, "alpha_C": 0.050},
        ),
        Published(
            "Kaplan et al. 2020, arXiv 2001.08361 (at one batch size, without embeddings)",
            {"C_c": 1.6e7 * PF_DAY, "alpha_C": 0.057},
        ),
    )
    example: ClassVar[Example] = Example(
        letters={"C_c": 2.7e28, "alpha_C": 0.05},
        columns={"flops": spaced(1e17, 1e23, 12)},
        limits=(Limit({"flops": 2.7e28}, "1"),),
        falls=("flops",),
    )


@dataclass(frozen=True)
class ComputePowerFloor(FromFormula):
    """L = E + K / flops^gamma: the lowest loss that a budget buys.

    L, E in nats per token; K in nats x FLOP^gamma; gamma without unit. On a Chinchilla frontier gamma is
    alpha beta / (alpha + beta); as flops grow the loss falls to E.
    Source: Henighan et al. 2020, arXiv 2010.14701, eq. 1.1, with K = C_0^gamma; the frontier of Hoffmann et al.,
    arXiv 2203.15556, eq. 4 has this form. Its coefficients follow from theirs, so none are given.
    """

    E: float
    K: float
    gamma: float

    name: ClassVar[str] = "compute-power-floor"
    formula: ClassVar[str] = "E + K/flops^gamma"
    variables: ClassVar[tuple[str, ...]] = ("flops",)
    source: ClassVar[str] = "Henighan et al. 2020, arXiv 2010.14701, eq. 1.1"
    example: ClassVar[Example] = Example(
        letters={"E": 1.8, "K": 1600.0, "gamma": 0.17},
        columns={"flops": spaced(1e18, 1e23, 12)},
        limits=(Limit({"flops": 1e150}, "E"),),
        falls=("flops",),
    )
