"""A power law that breaks once, smoothly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.published.example import Example, Limit, spaced


@dataclass(frozen=True)
class BrokenPower(FromFormula):
    """y = a + b x^-c0 (1 + (x / d1)^(1 / f1))^(-c1 f1), here with x = tokens.

    y, a in nats per token; b in nats x tokens^c0; d1, the break, in tokens; c0, c1, f1 without unit. Far below the break
    the slope is -c0, far above it -(c0 + c1); a small f1 makes the break sharp. c1 below zero flattens the curve and c0
    below zero lets it rise first. As tokens grow it falls to a while c0 + c1 > 0.
    Source: Caballero et al. 2022, arXiv 2210.14891, with one break; read in the authors' code
    (ethancaballero/broken_neural_scaling_laws). Its coefficients are of other tasks and another x, so none are given.
    """

    a: float
    b: float
    c0: float
    c1: float
    d1: float
    f1: float

    name: ClassVar[str] = "broken-power"
    formula: ClassVar[str] = "a + b*tokens^(-c0)*(1 + (tokens/d1)^(1/f1))^(-c1*f1)"
    variables: ClassVar[tuple[str, ...]] = ("tokens",)
    source: ClassVar[str] = "Caballero et al. 2022, arXiv 2210.14891"
    plain: ClassVar[frozenset[str]] = frozenset({"c0", "c1"})
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "c0": (-1.0, 2.5), "c1": (-2.5, 10.0), "d1": (1e3, 1e15), "f1": (0.05, 5.0),
    }  # fmt: skip
    example: ClassVar[Example] = Example(
        letters={"a": 1.8, "b": 20.0, "c0": 0.1, "c1": 0.25, "d1": 3e10, "f1": 0.4},
        columns={"tokens": spaced(1e8, 1e13, 60)},
        limits=(
            Limit({"tokens": 1e80}, "a"),
            Limit({"tokens": 1e3}, "a + b/1e3^c0"),
        ),
        falls=("tokens",),
    )
