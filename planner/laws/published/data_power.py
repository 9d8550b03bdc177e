"""Loss as a power of data alone, with and without a floor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, spaced


@dataclass(frozen=True)
class DataPower(FromFormula):
    """L = (D_c / tokens)^alpha_D: no floor.

    L in nats per token; D_c the tokens at which the loss would be one nat; alpha_D without unit. It holds for large
    models stopped early; as tokens grow the loss goes to zero, so it must end before the entropy of text.
    Source: Kaplan et al. 2020, arXiv 2001.08361, eq. 1.2.
    """

    D_c: float
    alpha_D: float

    name: ClassVar[str] = "data-power"
    formula: ClassVar[str] = "(D_c/tokens)^alpha_D"
    variables: ClassVar[tuple[str, ...]] = ("tokens",)
    source: ClassVar[str] = "Kaplan et al. 2020, arXiv 2001.08361, eq. 1.2"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"D_c": (1.0, 1e30)}
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Kaplan et al. 2020, arXiv 2001.08361, eq. 1.2 (WebText2, early stopping)",
            {"D_c": 5.4e13, "alpha_D": 0.095},
        ),
    )
    example: ClassVar[Example] = Example(
        letters={"D_c": 5.4e13, "alpha_D": 0.095},
        columns={"tokens": spaced(2e7, 2e11, 12)},
        limits=(Limit({"tokens": 5.4e13}, "1"),),
        falls=("tokens",),
    )


@dataclass(frozen=True)
class DataPowerFloor(FromFormula):
    """L = E + B / tokens^beta: the loss of one model size over its tokens.

    L, E in nats per token; B in nats x tokens^beta; beta without unit. As tokens grow the loss falls to E, the loss of
    that size with endless data.
    Source: Henighan et al. 2020, arXiv 2010.14701, eq. 1.1, with B = D_0^beta. Its fits to language have no
    floor, so none are given.
    """

    E: float
    B: float
    beta: float

    name: ClassVar[str] = "data-power-floor"
    formula: ClassVar[str] = "E + B/tokens^beta"
    variables: ClassVar[tuple[str, ...]] = ("tokens",)
    source: ClassVar[str] = "Henighan et al. 2020, arXiv 2010.14701, eq. 1.1"
    example: ClassVar[Example] = Example(
        letters={"E": 2.1, "B": 900.0, "beta": 0.33},
        columns={"tokens": spaced(1e9, 1e12, 12)},
        limits=(Limit({"tokens": 1e80}, "E"),),
        falls=("tokens",),
    )
