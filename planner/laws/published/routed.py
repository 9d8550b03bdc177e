"""Routed language models: size and number of experts, bilinear in their logarithms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, crossed, spaced

# Experts that count: about E_start for one, never more than E_max (arXiv 2202.01169, eq. 1).
SATURATED = "(1/(1/(n_experts - 1 + 1/(1/E_start - 1/E_max)) + 1/E_max))"
_QUOTED = "Clark et al. 2022, arXiv 2202.01169, table 3 (read in notes that quote it)"


@dataclass(frozen=True)
class Routed(FromFormula):
    """log10 L = a log10 N + b log10 E' + c log10 N log10 E' + d, N = params_active, E' a saturating number of experts.

    1/E' = 1/(n_experts - 1 + 1/(1/E_start - 1/E_max)) + 1/E_max, so E' = E_start for one expert and E_max for endless
    ones. L in nats per token; N is the size of the dense model beneath; E_start, E_max in experts; a, b, c, d without
    unit, a and b negative. No floor: as params grow the loss goes to zero, and with c > 0 experts stop helping at
    log10 N = -b/c.
    Source: Clark et al. 2022, arXiv 2202.01169, eq. 1 (130e9 tokens; the logarithms' base is read off the sizes).
    """

    a: float
    b: float
    c: float
    d: float
    E_start: float
    E_max: float

    name: ClassVar[str] = "routed"
    formula: ClassVar[str] = (
        f"exp(d*log(10) + a*log(params_active) + (b + c*log(params_active)/log(10))*log{SATURATED})"
    )
    variables: ClassVar[tuple[str, ...]] = ("params_active", "n_experts")
    source: ClassVar[str] = "Clark et al. 2022, arXiv 2202.01169, eq. 1"
    plain: ClassVar[frozenset[str]] = frozenset({"a", "b", "c", "d"})
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "a": (-1.0, 0.0), "b": (-1.0, 0.5), "c": (-0.1, 0.1), "d": (-2.0, 5.0), "E_start": (1.0, 30.0), "E_max": (40.0, 1e5),
    }  # fmt: skip
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            f"{_QUOTED}, S-BASE", {"a": -0.082, "b": -0.108, "c": 0.009, "d": 1.104, "E_start": 1.847, "E_max": 314.478}
        ),
        Published(
            f"{_QUOTED}, RL-R", {"a": -0.083, "b": -0.126, "c": 0.012, "d": 1.111, "E_start": 1.880, "E_max": 469.982}
        ),
        Published(
            f"{_QUOTED}, HASH", {"a": -0.087, "b": -0.136, "c": 0.012, "d": 1.157, "E_start": 4.175, "E_max": 477.741}
        ),
    )
    example: ClassVar[Example] = Example(
        letters={"a": -0.082, "b": -0.108, "c": 0.009, "d": 1.104, "E_start": 1.85, "E_max": 314.0},
        columns=crossed(params_active=spaced(1.5e7, 1.3e9, 6), n_experts=(1.0, 2.0, 4.0, 8.0, 32.0, 128.0, 512.0)),
        limits=(
            Limit({"n_experts": 1.0}, "10^d*params_active^a*E_start^(b + c*log(params_active)/log(10))"),
            Limit({"n_experts": 1e15}, "10^d*params_active^a*E_max^(b + c*log(params_active)/log(10))"),
        ),
        falls=("params_active", "n_experts"),
    )
