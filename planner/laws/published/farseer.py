"""The Farseer law: the data term's size and exponent depend on model size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.published.example import Example, Limit, crossed, spaced


@dataclass(frozen=True)
class Farseer(FromFormula):
    """L = exp(a3 N^gamma + b3) + exp(a2 N^beta + b2) D^-exp(a1 N^alpha + b1), with N = params, D = tokens.

    L in the paper's unit (bits per character); a1, a2, a3 in N^-exponent, the others without unit; a1, a3, beta negative.
    With endless tokens the loss is exp(a3 N^gamma + b3), which falls with size; on few tokens a larger model can be worse.
    Source: Li et al. 2025, arXiv 2506.10972, eq. 3 (params without embeddings and head). The form was read in notes that
    quote it; its coefficients are known from memory only, so none are given.
    """

    a1: float
    b1: float
    alpha: float
    a2: float
    b2: float
    beta: float
    a3: float
    b3: float
    gamma: float

    name: ClassVar[str] = "farseer"
    formula: ClassVar[str] = "exp(a3*params^gamma + b3) + exp(a2*params^beta + b2)*tokens^(-exp(a1*params^alpha + b1))"
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens")
    source: ClassVar[str] = "Li et al. 2025, arXiv 2506.10972, eq. 3"
    plain: ClassVar[frozenset[str]] = frozenset({"b1", "alpha", "b2", "beta", "b3", "gamma"})
    negative: ClassVar[frozenset[str]] = frozenset({"a1", "a3"})
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "a1": (-1.0, 0.0),
        "b1": (-2.0, 2.0),
        "alpha": (0.02, 0.3),
        "a2": (1.0, 1e4),
        "b2": (-15.0, 10.0),
        "beta": (-0.4, -0.02),
        "a3": (-0.5, 0.0),
        "b3": (-2.0, 2.0),
        "gamma": (0.02, 0.4),
    }
    example: ClassVar[Example] = Example(
        letters={
            "a1": -0.12, "b1": 0.42, "alpha": 0.12, "a2": 88.0, "b2": -5.3, "beta": -0.1, "a3": -0.02, "b3": -0.09,
            "gamma": 0.17,
        },
        columns=crossed(params=spaced(1e7, 3e10, 9), tokens=spaced(1e9, 1e12, 8)),
        limits=(Limit({"tokens": 1e250}, "exp(a3*params^gamma + b3)"),),
        falls=("tokens",),
    )  # fmt: skip
