"""Parallel streams through the same parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, crossed, spaced

_REPOSITORY = "Chen et al. 2025, arXiv 2505.10475; QwenLM/ParScale parametric_fit.py run again"


@dataclass(frozen=True)
class ParallelStreams(FromFormula):
    """L = E + (A 1e9 / (params (1 + k ln streams)))^alpha: P streams act like more parameters, by their logarithm.

    L, E in nats per token; A in billions of params x nats^(1/alpha); k per unit of ln streams; alpha without unit. One
    stream is a power law in size with a floor; with endless params or streams the loss falls to E.
    Source: Chen et al. 2025, arXiv 2505.10475 (params without embeddings, 42e9 tokens, 1 to 8 streams).
    """

    E: float
    A: float
    alpha: float
    k: float

    name: ClassVar[str] = "parallel-streams"
    formula: ClassVar[str] = "E + (A*1e9/(params_non_embedding*(1 + k*log(streams))))^alpha"
    variables: ClassVar[tuple[str, ...]] = ("params_non_embedding", "streams")
    source: ClassVar[str] = "Chen et al. 2025, arXiv 2505.10475"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"A": (1e-9, 1e9), "k": (1e-3, 10.0)}
    published: ClassVar[tuple[Published, ...]] = (
        Published(f"{_REPOSITORY} (Pile)", {"E": 1.28877, "A": 0.197352, "alpha": 0.196333, "k": 0.334456}),
        Published(
            f"{_REPOSITORY} (Stack v2, Python)", {"E": 0.691237, "A": 0.0113062, "alpha": 0.189371, "k": 0.393463}
        ),
    )
    example: ClassVar[Example] = Example(
        letters={"E": 1.3, "A": 0.2, "alpha": 0.2, "k": 0.33},
        columns=crossed(params_non_embedding=spaced(1e7, 1e10, 8), streams=(1.0, 2.0, 4.0, 8.0, 16.0)),
        limits=(
            Limit({"streams": 1.0}, "E + (A*1e9/params_non_embedding)^alpha"),
            Limit({"params_non_embedding": 1e150}, "E"),
        ),
        falls=("params_non_embedding", "streams"),
    )
