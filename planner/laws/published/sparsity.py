"""Mixtures of experts by their sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, crossed, spaced


@dataclass(frozen=True)
class Sparsity(FromFormula):
    """L = a / N^alpha + b / D^beta + c / (1-S)^lam + d / ((1-S)^delta N^gamma) + e, 1-S = experts_per_token / n_experts.

    N = params_total, D = tokens, S the share of idle experts. L, c, e in nats per token; a, d in nats x params^exponent,
    b in nats x tokens^beta; the exponents without unit, lam (the paper's lambda) negative. A dense model has S = 0; with
    endless params and tokens c (1-S)^-lam + e is left.
    Source: Abnar et al. 2025, arXiv 2501.12370, eq. 6. On sparsities left out the paper's own fit explains 68 %.
    """

    a: float
    alpha: float
    b: float
    beta: float
    c: float
    lam: float
    d: float
    delta: float
    gamma: float
    e: float

    name: ClassVar[str] = "sparsity"
    formula: ClassVar[str] = (
        "a/params_total^alpha + b/tokens^beta + c/(experts_per_token/n_experts)^lam"
        " + d/((experts_per_token/n_experts)^delta*params_total^gamma) + e"
    )
    variables: ClassVar[tuple[str, ...]] = ("params_total", "tokens", "n_experts", "experts_per_token")
    source: ClassVar[str] = "Abnar et al. 2025, arXiv 2501.12370, eq. 6"
    plain: ClassVar[frozenset[str]] = frozenset({"alpha", "beta", "lam", "delta", "gamma"})
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "alpha": (0.3, 1.5), "beta": (0.02, 1.5), "lam": (-1.0, -0.01), "delta": (0.01, 1.0), "gamma": (0.02, 0.3),
    }  # fmt: skip
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Abnar et al. 2025, arXiv 2501.12370, table 3 (read in notes and code that quote it)",
            {
                "a": 16612.50, "alpha": 0.5962, "b": 5455.67, "beta": 0.3954, "c": 0.4598, "lam": -0.1666, "d": 17.26,
                "delta": 0.1603, "gamma": 0.1595, "e": 0.94,
            },
        ),
    )  # fmt: skip
    example: ClassVar[Example] = Example(
        letters={
            "a": 16612.0, "alpha": 0.6, "b": 5456.0, "beta": 0.4, "c": 0.46, "lam": -0.17, "d": 17.0, "delta": 0.16,
            "gamma": 0.16, "e": 0.94,
        },
        columns=crossed(
            params_total=spaced(1e7, 1e12, 8), tokens=spaced(1e9, 1e12, 4), n_experts=(1.0, 4.0, 16.0, 64.0, 256.0),
            experts_per_token=(1.0,),
        ),
        limits=(
            Limit({"n_experts": 1.0}, "a/params_total^alpha + b/tokens^beta + c + d/params_total^gamma + e"),
            Limit({"params_total": 1e180, "tokens": 1e100, "n_experts": 8.0}, "c*8^lam + e"),
        ),
        falls=("params_total", "tokens"),
    )  # fmt: skip
