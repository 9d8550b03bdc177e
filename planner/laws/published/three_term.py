"""Size, batch and steps as three terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.published.example import Example, Limit, crossed, spaced


@dataclass(frozen=True)
class ThreeTerm(FromFormula):
    """L = E + A / params^alpha + B / batch_tokens^beta + C / steps^gamma, with tokens = batch_tokens x steps.

    L, E in nats per token; A, B, C in nats x count^exponent; the exponents without unit. For fixed tokens the best batch
    is (beta B / (gamma C))^(1/(beta+gamma)) tokens^(gamma/(beta+gamma)), whatever the size. With endless steps the batch
    still leaves B / batch_tokens^beta.
    Source: Schaipp 2026, arXiv 2607.01487. The form was read in notes that quote it, and a best batch of .667
    tokens^.566; the coefficients were not, so none are given.
    """

    E: float
    A: float
    B: float
    C: float
    alpha: float
    beta: float
    gamma: float

    name: ClassVar[str] = "three-term"
    formula: ClassVar[str] = "E + A/params^alpha + B/batch_tokens^beta + C/steps^gamma"
    variables: ClassVar[tuple[str, ...]] = ("params", "batch_tokens", "steps")
    source: ClassVar[str] = "Schaipp 2026, arXiv 2607.01487"
    example: ClassVar[Example] = Example(
        letters={"E": 1.7, "A": 300.0, "B": 60.0, "C": 60.0, "alpha": 0.33, "beta": 0.4, "gamma": 0.52},
        columns=crossed(params=spaced(5e7, 5e9, 5), batch_tokens=spaced(3e4, 1e7, 5), steps=spaced(3e3, 3e5, 5)),
        limits=(
            Limit({"params": 1e80, "batch_tokens": 1e80, "steps": 1e80}, "E"),
            Limit({"steps": 1e80}, "E + A/params^alpha + B/batch_tokens^beta"),
        ),
        falls=("params", "batch_tokens", "steps"),
    )
