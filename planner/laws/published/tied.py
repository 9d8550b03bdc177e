"""The additive law with one exponent for size and data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, crossed, spaced


@dataclass(frozen=True)
class TiedChinchilla(FromFormula):
    """L = E + A / params^alpha + B / tokens^alpha: the same exponent, so one best ratio of tokens to params at any budget.

    L, E in nats per token; A, B in nats x count^alpha; alpha without unit. The best ratio is (B/A)^(1/alpha) whatever
    the budget, with 6 x params x tokens = flops. With endless params and tokens the loss falls to E.
    Source: Muennighoff et al. 2023, arXiv 2305.16264, appendix on the base law; the form is Hoffmann et al.,
    arXiv 2203.15556, eq. 2, with alpha = beta.
    """

    E: float
    A: float
    B: float
    alpha: float

    name: ClassVar[str] = "chinchilla-tied"
    formula: ClassVar[str] = "E + A/params^alpha + B/tokens^alpha"
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens")
    source: ClassVar[str] = "Muennighoff et al. 2023, arXiv 2305.16264; form: arXiv 2203.15556, eq. 2, alpha = beta"
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Muennighoff et al. 2023, arXiv 2305.16264, huggingface/datablations utils/parametric_fit.ipynb (C4, single epoch)",
            {"E": 1.8691, "A": 520.8, "B": 1487.7, "alpha": 0.3526596},
        ),
    )
    example: ClassVar[Example] = Example(
        letters={"E": 1.87, "A": 521.0, "B": 1488.0, "alpha": 0.353},
        columns=crossed(params=spaced(1e7, 1e10, 6), tokens=spaced(1e9, 1e12, 6)),
        limits=(
            Limit({"params": 1e80, "tokens": 1e80}, "E"),
            Limit({"tokens": 1e80}, "E + A/params^alpha"),
            Limit({"params": 1e80}, "E + B/tokens^alpha"),
        ),
        falls=("params", "tokens"),
    )
