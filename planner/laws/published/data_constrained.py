"""Repeated data counted as less than new data, after Muennighoff et al."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.centre import Array
from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, crossed, spaced

# Tokens that count: unique ones, and repeats worth less each time (arXiv 2305.16264, eq. 5).
EFFECTIVE_TOKENS = "tokens_unique*(1 + R_D*(1 - exp(-(tokens/tokens_unique - 1)/R_D)))"
# Params that the unique tokens can use on the tied law's best ratio, N_opt(U_D); and the smaller of it and params.
_USABLE = "tokens_unique*(A/B)^(1/alpha)"
_MATCHED = f"((params + {_USABLE} - sqrt((params - {_USABLE})^2))/2)"
# Size that counts: excess over what the unique tokens can use is worth less and less (arXiv 2305.16264, eq. 6).
EFFECTIVE_PARAMS = f"({_MATCHED}*(1 + R_N*(1 - exp(-(params/{_MATCHED} - 1)/R_N))))"


def epochs_design(params: Array, unique: Array, epochs: tuple[float, ...]) -> dict[str, Array]:
    """Columns of runs that see each set of unique tokens so many times."""
    cells = crossed(params=params, tokens_unique=unique, epochs=epochs)
    return {**cells, "tokens": cells["tokens_unique"] * cells["epochs"]}


@dataclass(frozen=True)
class DataConstrained(FromFormula):
    """L = E + A / params^alpha + B / D'^beta, D' = U (1 + R_D (1 - exp(-(tokens/U - 1) / R_D))), U = tokens_unique.

    L, E in nats per token; A, B in nats x count^exponent; alpha, beta without unit; R_D in repeats: about so many repeats
    are worth something. Seen once, every token counts in full; with endless repeats D' stops at U (1 + R_D). More repeats
    never hurt in this law.
    Source: Muennighoff et al. 2023, arXiv 2305.16264, eq. 5, with the decay of data alone. Its fit gives R_D 2.92 then; the
    letters beside it are fixed ones of another fit, so none are given.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    R_D: float

    name: ClassVar[str] = "data-constrained"
    formula: ClassVar[str] = f"E + A/params^alpha + B/({EFFECTIVE_TOKENS})^beta"
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens", "tokens_unique")
    source: ClassVar[str] = "Muennighoff et al. 2023, arXiv 2305.16264, eq. 5"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"R_D": (0.05, 1e3)}
    example: ClassVar[Example] = Example(
        letters={"E": 1.87, "A": 520.0, "B": 1490.0, "alpha": 0.35, "beta": 0.36, "R_D": 15.0},
        columns=epochs_design(spaced(1e7, 1e10, 5), spaced(1e8, 1e11, 4), (1.0, 3.0, 10.0, 30.0, 100.0)),
        limits=(
            Limit({"tokens": 1e12, "tokens_unique": 1e12}, "E + A/params^alpha + B/1e12^beta"),
            Limit({"tokens": 1e30, "tokens_unique": 1e10}, "E + A/params^alpha + B/(1e10*(1 + R_D))^beta"),
        ),
        falls=("params", "tokens"),
    )


@dataclass(frozen=True)
class DataConstrainedExcess(FromFormula):
    """L = E + A / N'^alpha + B / D'^alpha: repeats of data and size in excess of the unique data both decay.

    D' = U (1 + R_D (1 - exp(-(tokens/U - 1) / R_D))), U = tokens_unique. N' is likewise N_U (1 + R_N (1 - exp(-(params/N_U
    - 1) / R_N))), with N_U the smaller of params and U (A/B)^(1/alpha), the size for which U is the best number of tokens.
    L, E in nats per token; A, B in nats x count^alpha; alpha without unit; R_D in repeats, R_N in multiples of N_U. Seen
    once at the best ratio or above, it is the tied law; with endless repeats D' stops at U (1 + R_D), with endless params
    N' at N_U (1 + R_N). Has a kink at params = N_U.
    Source: Muennighoff et al. 2023, arXiv 2305.16264, eqs. 5-6, 16-17 (C4, params in total).
    """

    E: float
    A: float
    B: float
    alpha: float
    R_D: float
    R_N: float

    name: ClassVar[str] = "data-constrained-excess"
    formula: ClassVar[str] = f"E + A/{EFFECTIVE_PARAMS}^alpha + B/({EFFECTIVE_TOKENS})^alpha"
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens", "tokens_unique")
    source: ClassVar[str] = "Muennighoff et al. 2023, arXiv 2305.16264, eqs. 5-6"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"R_D": (0.05, 1e3), "R_N": (0.05, 1e3)}
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Muennighoff et al. 2023, arXiv 2305.16264, huggingface/datablations utils/parametric_fit.ipynb",
            {"E": 1.8691, "A": 520.8, "B": 1487.7, "alpha": 0.3526596, "R_D": 15.387756, "R_N": 5.309743},
        ),
    )
    example: ClassVar[Example] = Example(
        letters={"E": 1.87, "A": 520.0, "B": 1490.0, "alpha": 0.35, "R_D": 15.0, "R_N": 5.0},
        columns=epochs_design(spaced(1e7, 1e10, 6), spaced(1e8, 1e11, 4), (1.0, 3.0, 10.0, 30.0, 100.0)),
        limits=(
            Limit({"params": 1e9, "tokens": 1e12, "tokens_unique": 1e12}, "E + A/1e9^alpha + B/1e12^alpha"),
            Limit(
                {"params": 1e5, "tokens": 1e30, "tokens_unique": 1e10},
                "E + A/1e5^alpha + B/(1e10*(1 + R_D))^alpha",
            ),
        ),
        falls=("params", "tokens"),
    )
