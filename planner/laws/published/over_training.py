"""The over-training law of Gadre et al.: compute and tokens per parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, crossed, spaced

_REPOSITORY = "Gadre et al. 2024, arXiv 2403.08540, eq. 4; the authors' fit run again on their five runs"


def _set(E: float, A: float, b: float, exponent: float) -> dict[str, float]:
    """The authors' code fits E + A / params^exponent + b 6^-(exponent/2) / tokens^exponent; a = A 6^eta, eta = exponent/2."""
    return {"E": E, "a": A * 6 ** (exponent / 2), "b": b, "eta": exponent / 2}


@dataclass(frozen=True)
class OverTraining(FromFormula):
    """L = E + (a M^eta + b M^-eta) C^-eta, with M = tokens / params and C = 6 x params x tokens.

    L, E in nats per token; a, b in nats x FLOP^eta; eta without unit. It is the additive law with both exponents 2 eta,
    written so that equal M gives parallel lines of ln(L - E) in ln C; the best M is (b/a)^(1 / (2 eta)). With endless
    params and tokens the loss falls to E.
    Source: Gadre et al. 2024, arXiv 2403.08540, eq. 4 (params in total).
    """

    E: float
    a: float
    b: float
    eta: float

    name: ClassVar[str] = "over-training"
    formula: ClassVar[str] = "E + (a*(tokens/params)^eta + b*(params/tokens)^eta)/(6*params*tokens)^eta"
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens")
    source: ClassVar[str] = "Gadre et al. 2024, arXiv 2403.08540, eq. 4"
    published: ClassVar[tuple[Published, ...]] = (
        Published(f"{_REPOSITORY} (C4)", _set(1.50826, 113.6926, 189.5155, 0.24247224)),
        Published(f"{_REPOSITORY} (RedPajama)", _set(1.83665, 166.211, 366.6872, 0.27285)),
        Published(f"{_REPOSITORY} (RefinedWeb)", _set(1.73446, 125.0957, 246.2067, 0.25439)),
    )
    example: ClassVar[Example] = Example(
        letters={"E": 1.5, "a": 140.0, "b": 190.0, "eta": 0.12},
        columns=crossed(params=spaced(1e7, 1e10, 6), tokens=spaced(1e9, 1e12, 6)),
        limits=(
            Limit({"params": 1e90, "tokens": 1e90}, "E"),
            Limit({"tokens": 1e120}, "E + a/6^eta/params^(2*eta)"),
            Limit({"params": 1e120}, "E + b/6^eta/tokens^(2*eta)"),
        ),
        falls=("params", "tokens"),
    )
