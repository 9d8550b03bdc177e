"""Fine-grained mixtures of experts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, crossed, spaced


@dataclass(frozen=True)
class Granularity(FromFormula):
    """L = c + (g / G^gamma + a) / N^alpha + b / D^beta, N = params_total, D = tokens, G = granularity.

    G is the width of a dense feed-forward layer over that of one expert, with as many more experts per token; 64 times
    as many parameters as the dense model's. L, c in nats per token; a, g in nats x params^alpha, b in nats x
    tokens^beta; the exponents without unit. With endless granularity a / N^alpha is left of the size term, with endless
    params and tokens c.
    Source: Krajewski et al. 2024, arXiv 2402.07871, eq. 9. That N counts all params is inferred: the paper's range of
    sizes (.129B to 3.7B) and losses fit no smaller count.
    """

    c: float
    g: float
    gamma: float
    a: float
    alpha: float
    b: float
    beta: float

    name: ClassVar[str] = "granularity"
    formula: ClassVar[str] = "c + (g/granularity^gamma + a)/params_total^alpha + b/tokens^beta"
    variables: ClassVar[tuple[str, ...]] = ("params_total", "tokens", "granularity")
    source: ClassVar[str] = "Krajewski et al. 2024, arXiv 2402.07871, eq. 9"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"gamma": (0.02, 2.5)}
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Krajewski et al. 2024, arXiv 2402.07871, table 1 (64 x expansion; read in notes that quote it)",
            {"c": 0.47, "g": 2.1, "gamma": 0.58, "a": 18.1, "alpha": 0.115, "b": 30.8, "beta": 0.147},
        ),
    )
    example: ClassVar[Example] = Example(
        letters={"c": 0.9, "g": 2.1, "gamma": 0.58, "a": 18.1, "alpha": 0.115, "b": 30.8, "beta": 0.147},
        columns=crossed(
            params_total=spaced(1e7, 1e11, 6), tokens=spaced(1e9, 1e13, 6), granularity=(1.0, 2.0, 4.0, 8.0, 16.0)
        ),
        limits=(
            Limit({"granularity": 1.0}, "c + (g + a)/params_total^alpha + b/tokens^beta"),
            Limit({"granularity": 1e60}, "c + a/params_total^alpha + b/tokens^beta"),
            Limit({"params_total": 1e150, "tokens": 1e150}, "c"),
        ),
        falls=("params_total", "tokens", "granularity"),
    )
