"""The Skaling law: Chinchilla's exponents inside, one coupling exponent outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.published.example import Example, Limit, crossed, spaced


@dataclass(frozen=True)
class Skaling(FromFormula):
    """L = (A / params^alpha + B / tokens^beta)^k + E; k = 1 is the additive law, k < 1 makes size and data help each other.

    L, E in nats per token; A in nats^(1/k) x params^alpha, B likewise with tokens; alpha, beta, k without unit. It is the
    coupled law with A^k, B^k, k alpha, k beta for its A, B, alpha, beta. With endless tokens (A / params^alpha)^k + E is
    left, and with endless params (B / tokens^beta)^k + E.
    Source: Videau et al. 2026, arXiv 2608.07222 (the form read in reviews that quote it). The paper reports k from .31 to
    .45; its other coefficients were not read, so none are given.
    """

    A: float
    B: float
    alpha: float
    beta: float
    k: float
    E: float

    name: ClassVar[str] = "skaling"
    formula: ClassVar[str] = "(A/params^alpha + B/tokens^beta)^k + E"
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens")
    source: ClassVar[str] = "Videau et al. 2026, arXiv 2608.07222"
    example: ClassVar[Example] = Example(
        letters={"A": 4e4, "B": 3e6, "alpha": 0.5, "beta": 0.6, "k": 0.4, "E": 1.2},
        columns=crossed(params=spaced(1e7, 1e10, 8), tokens=spaced(1e9, 1e12, 8)),
        limits=(
            Limit({"params": 1e120, "tokens": 1e120}, "E"),
            Limit({"tokens": 1e120}, "(A/params^alpha)^k + E"),
            Limit({"params": 1e120}, "(B/tokens^beta)^k + E"),
        ),
        falls=("params", "tokens"),
    )
