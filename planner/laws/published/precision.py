"""Training in few bits: precision as a share of the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.published.example import Example, Limit, crossed, spaced


@dataclass(frozen=True)
class Precision(FromFormula):
    """L = E + A / N'^alpha + B / tokens^beta, N' = params x product over weights, activations, cache of (1 - exp(-bits/gamma)).

    L, E in nats per token; A, B in nats x count^exponent; gamma_w, gamma_a, gamma_kv in bits; alpha, beta without unit.
    With many bits it is the additive law; with none N' is zero and the loss has no limit.
    Source: Kumar et al. 2024, arXiv 2411.04330, eq. 4, for training in low precision (nothing quantised afterwards). Its
    table 2 holds for alpha = beta and for exponents with offsets whose sign is not written, so none are given.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    gamma_w: float
    gamma_a: float
    gamma_kv: float

    name: ClassVar[str] = "precision"
    formula: ClassVar[str] = (
        "E + A/(params*(1 - exp(-weight_bits/gamma_w))*(1 - exp(-activation_bits/gamma_a))*(1 - exp(-cache_bits/gamma_kv)))^alpha"
        " + B/tokens^beta"
    )
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens", "weight_bits", "activation_bits", "cache_bits")
    source: ClassVar[str] = "Kumar et al. 2024, arXiv 2411.04330, eq. 4"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "gamma_w": (0.2, 20.0), "gamma_a": (0.2, 20.0), "gamma_kv": (0.2, 20.0),
    }  # fmt: skip
    example: ClassVar[Example] = Example(
        letters={
            "E": 2.5, "A": 4300.0, "B": 18000.0, "alpha": 0.48, "beta": 0.5, "gamma_w": 2.7, "gamma_a": 2.2, "gamma_kv": 1.4,
        },
        columns=crossed(
            params=spaced(3e7, 2e9, 4), tokens=spaced(1e9, 3e10, 4), weight_bits=(3.0, 5.0, 16.0),
            activation_bits=(3.0, 5.0, 16.0), cache_bits=(3.0, 5.0, 16.0),
        ),
        limits=(
            Limit(
                {"weight_bits": 1e3, "activation_bits": 1e3, "cache_bits": 1e3}, "E + A/params^alpha + B/tokens^beta"
            ),
            Limit({"params": 1e80, "tokens": 1e80}, "E"),
        ),
        falls=("params", "tokens", "weight_bits", "activation_bits", "cache_bits"),
    )  # fmt: skip
