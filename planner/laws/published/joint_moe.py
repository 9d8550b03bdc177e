"""Mixtures of experts and dense models in one law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.published.example import Example, Limit, crossed, spaced
from planner.laws.published.routed import SATURATED


@dataclass(frozen=True)
class JointMoe(FromFormula):
    """L = a E'^delta N^(alpha + gamma ln E') + b E'^omega D^(beta + zeta ln E') + c, N = params_active, D = tokens.

    E' is the saturating number of experts of the routed law, E_start for one and E_max for endless ones. L, c in nats per
    token; a, b in nats x count^-exponent; the others without unit, alpha and beta negative. With endless active params
    and tokens c is left.
    Source: Ludziejewski et al. 2025, arXiv 2502.05172. The form was read in notes that quote it; the signs in the quoted
    coefficients contradict its claims, so none are given.
    """

    a: float
    delta: float
    alpha: float
    gamma: float
    b: float
    omega: float
    beta: float
    zeta: float
    c: float
    E_start: float
    E_max: float

    name: ClassVar[str] = "joint-moe"
    formula: ClassVar[str] = (
        f"a*exp(delta*log{SATURATED} + (alpha + gamma*log{SATURATED})*log(params_active))"
        f" + b*exp(omega*log{SATURATED} + (beta + zeta*log{SATURATED})*log(tokens)) + c"
    )
    variables: ClassVar[tuple[str, ...]] = ("params_active", "tokens", "n_experts")
    source: ClassVar[str] = "Ludziejewski et al. 2025, arXiv 2502.05172"
    plain: ClassVar[frozenset[str]] = frozenset({"delta", "alpha", "gamma", "omega", "beta", "zeta"})
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "delta": (-1.0, 1.0), "alpha": (-1.0, -0.02), "gamma": (-0.05, 0.05), "omega": (-1.0, 1.0), "beta": (-1.0, -0.02),
        "zeta": (-0.05, 0.05), "E_start": (1.0, 30.0), "E_max": (40.0, 1e5),
    }  # fmt: skip
    example: ClassVar[Example] = Example(
        letters={
            "a": 60.0, "delta": -0.25, "alpha": -0.2, "gamma": 0.005, "b": 90.0, "omega": -0.15, "beta": -0.21, "zeta": 0.004,
            "c": 1.3, "E_start": 2.0, "E_max": 300.0,
        },
        columns=crossed(
            params_active=spaced(1e7, 1e10, 6), tokens=spaced(1e9, 1e12, 6),
            n_experts=(1.0, 2.0, 4.0, 8.0, 32.0, 128.0, 512.0),
        ),
        limits=(
            Limit({"params_active": 1e150, "tokens": 1e150}, "c"),
            Limit(
                {"n_experts": 1.0},
                "a*E_start^delta*params_active^(alpha + gamma*log(E_start))"
                " + b*E_start^omega*tokens^(beta + zeta*log(E_start)) + c",
            ),
        ),
        falls=("params_active", "tokens", "n_experts"),
    )  # fmt: skip
