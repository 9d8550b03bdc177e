"""Loss as a power of model size alone, with and without a floor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, spaced


@dataclass(frozen=True)
class SizePower(FromFormula):
    """L = (N_c / params)^alpha_N: no floor.

    L in nats per token; N_c the size at which the loss would be one nat; alpha_N without unit. It holds while neither
    data nor steps are short; as params grow the loss goes to zero, so it must end before the entropy of text.
    Source: Kaplan et al. 2020, arXiv 2001.08361, eq. 1.1 (params without embeddings).
    """

    N_c: float
    alpha_N: float

    name: ClassVar[str] = "size-power"
    formula: ClassVar[str] = "(N_c/params)^alpha_N"
    variables: ClassVar[tuple[str, ...]] = ("params",)
    source: ClassVar[str] = "Kaplan et al. 2020, arXiv 2001.08361, eq. 1.1"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"N_c": (1.0, 1e30)}
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Kaplan et al. 2020, arXiv 2001.08361, eq. 1.1 (WebText2, params without embeddings)",
            {"N_c": 8.8e13, "alpha_N": 0.076},
        ),
    )
    example: ClassVar[Example] = Example(
        letters={"N_c": 8.8e13, "alpha_N": 0.076},
        columns={"params": spaced(1e6, 1e10, 12)},
        limits=(Limit({"params": 8.8e13}, "1"),),
        falls=("params",),
    )


@dataclass(frozen=True)
class SizePowerFloor(FromFormula):
    """L = E + A / params^alpha: the loss of runs with data to spare.

    L, E in nats per token; A in nats x params^alpha; alpha without unit. As params grow the loss falls to E.
    Source: Henighan et al. 2020, arXiv 2010.14701, eq. 1.1, with A = N_0^alpha. Its fits to language have no floor, so none
    are given.
    """

    E: float
    A: float
    alpha: float

    name: ClassVar[str] = "size-power-floor"
    formula: ClassVar[str] = "E + A/params^alpha"
    variables: ClassVar[tuple[str, ...]] = ("params",)
    source: ClassVar[str] = "Henighan et al. 2020, arXiv 2010.14701, eq. 1.1"
    example: ClassVar[Example] = Example(
        letters={"E": 2.0, "A": 300.0, "alpha": 0.33},
        columns={"params": spaced(1e7, 1e10, 12)},
        limits=(Limit({"params": 1e80}, "E"),),
        falls=("params",),
    )
