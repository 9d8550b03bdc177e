"""The joint law of Kaplan et al."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, crossed, spaced


@dataclass(frozen=True)
class KaplanJoint(FromFormula):
    """L = ((N_c / params)^(alpha_N / alpha_D) + D_c / tokens)^alpha_D.

    L in nats per token; N_c in params, D_c in tokens; alpha_N, alpha_D without unit. With endless tokens it is
    (N_c / params)^alpha_N, with endless params (D_c / tokens)^alpha_D; with both the loss goes to zero.
    Source: Kaplan et al. 2020, arXiv 2001.08361, eq. 1.5 (params without embeddings, dropout, early stopping).
    """

    N_c: float
    D_c: float
    alpha_N: float
    alpha_D: float

    name: ClassVar[str] = "kaplan"
    formula: ClassVar[str] = "((N_c/params)^(alpha_N/alpha_D) + D_c/tokens)^alpha_D"
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens")
    source: ClassVar[str] = "Kaplan et al. 2020, arXiv 2001.08361, eq. 1.5"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"N_c": (1.0, 1e30), "D_c": (1.0, 1e30)}
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Kaplan et al. 2020, arXiv 2001.08361, table 2 (read in notes that quote it)",
            {"N_c": 6.4e13, "D_c": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103},
        ),
    )
    example: ClassVar[Example] = Example(
        letters={"N_c": 6.4e13, "D_c": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103},
        columns=crossed(params=spaced(1e6, 1e9, 6), tokens=spaced(2e7, 2e10, 6)),
        limits=(
            Limit({"tokens": 1e60}, "(N_c/params)^alpha_N"),
            Limit({"params": 1e60}, "(D_c/tokens)^alpha_D"),
        ),
        falls=("params", "tokens"),
    )
