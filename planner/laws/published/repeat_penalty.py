"""Repeated data counted in full, with a penalty for learning it by heart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.published.data_constrained import epochs_design
from planner.laws.published.example import Example, Limit, spaced


@dataclass(frozen=True)
class RepeatPenalty(FromFormula):
    """L = E + A / params^alpha + B / tokens^beta + P R^delta (params / U)^kappa, R = tokens/U - 1, U = tokens_unique.

    L, E, P in nats per token; A, B in nats x count^exponent; the exponents without unit. Seen once (R = 0) it is the
    additive law; with endless repeats, or endless params on the same unique tokens, the penalty grows without limit, so
    more of either can hurt. (1e-30 repeats are added so that R = 0 has a logarithm.)
    Source: Lovelace et al. 2026, arXiv 2605.01640, as quoted by Weng, "Scaling Laws, Carefully" (June 2026). The
    coefficients were not read, so none are given.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    P: float
    delta: float
    kappa: float

    name: ClassVar[str] = "repeat-penalty"
    formula: ClassVar[str] = (
        "E + A/params^alpha + B/tokens^beta + P*(tokens/tokens_unique - 1 + 1e-30)^delta*(params/tokens_unique)^kappa"
    )
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens", "tokens_unique")
    source: ClassVar[str] = "Lovelace et al. 2026, arXiv 2605.01640"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"delta": (0.05, 2.5)}
    example: ClassVar[Example] = Example(
        letters={
            "E": 1.9, "A": 480.0, "B": 1500.0, "alpha": 0.34, "beta": 0.36, "P": 0.05, "delta": 0.8, "kappa": 0.5,
        },
        columns=epochs_design(spaced(1e7, 1e9, 5), spaced(1e8, 1e10, 4), (1.0, 2.0, 5.0, 15.0, 50.0)),
        limits=(
            Limit({"tokens": 1e10, "tokens_unique": 1e10}, "E + A/params^alpha + B/1e10^beta"),
            Limit(
                {"params": 1e60, "tokens": 3e60, "tokens_unique": 1e60}, "E + P*2^delta",
            ),
        ),
    )  # fmt: skip
