"""Vocabulary as a third size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, crossed, spaced


@dataclass(frozen=True)
class Vocabulary(FromFormula):
    """L = -E + A1 / N^alpha1 + A2 / V^alpha2 + B / D^beta, N = params_non_embedding, V = params_embedding, D = tokens.

    L is the loss less that of a unigram model with the same vocabulary, in nats per token: negative, so it is fitted as
    it is, not by its logarithm. N and V in millions, D in billions; V is vocabulary size x width. E in nats, the
    amplitudes in nats in those units, the exponents without unit. With endless sizes and tokens L is -E.
    Source: Tao et al. 2024, arXiv 2407.13623, approach 3 (the paper ties alpha1 = beta).
    """

    E: float
    A1: float
    alpha1: float
    A2: float
    alpha2: float
    B: float
    beta: float

    name: ClassVar[str] = "vocabulary"
    formula: ClassVar[str] = (
        "-E + A1/(params_non_embedding/1e6)^alpha1 + A2/(params_embedding/1e6)^alpha2 + B/(tokens/1e9)^beta"
    )
    variables: ClassVar[tuple[str, ...]] = ("params_non_embedding", "params_embedding", "tokens")
    source: ClassVar[str] = "Tao et al. 2024, arXiv 2407.13623, approach 3"
    link: ClassVar[str] = "identity"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "alpha1": (0.02, 2.5),
        "alpha2": (0.02, 2.5),
        "beta": (0.02, 2.5),
    }
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Tao et al. 2024, arXiv 2407.13623, sail-sg/scaling-with-vocab optimal_Nv_predict.py",
            {
                "E": 5.5327846803337435, "A1": 1.8313851559554126, "alpha1": 0.44660634152009615,
                "A2": 0.19584238398665638, "alpha2": 0.6707374679896795, "B": 2.1241123120064955,
                "beta": 0.44660634152009615,
            },
        ),
    )  # fmt: skip
    example: ClassVar[Example] = Example(
        letters={"E": 5.5, "A1": 1.8, "alpha1": 0.45, "A2": 0.2, "alpha2": 0.67, "B": 2.1, "beta": 0.44},
        columns=crossed(
            params_non_embedding=spaced(1e6, 3e9, 5), params_embedding=spaced(5e5, 1e9, 5), tokens=spaced(1e8, 1e12, 5)
        ),
        limits=(
            Limit({"params_non_embedding": 1e80, "params_embedding": 1e80, "tokens": 1e80}, "-E"),
            Limit({"params_non_embedding": 1e6, "params_embedding": 1e6, "tokens": 1e9}, "A1 + A2 + B - E"),
        ),
        falls=("params_non_embedding", "params_embedding", "tokens"),
    )
