"""Batch size, and the steps or tokens that a loss takes at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, spaced

_BATCHES = {"batch_tokens": spaced(1e4, 1e8, 12)}
_SEQUENCE = 512  # tokens; arXiv 2410.21676 counts batches in sequences of so many


@dataclass(frozen=True)
class StepsToLoss(FromFormula):
    """Steps to reach one loss = S_min (1 + B_crit / batch_tokens).

    The value is steps, not a loss. S_min in steps, the fewest at any batch; B_crit in tokens. With an endless batch it
    is S_min; with a small one it is S_min B_crit / batch_tokens, all data at one pace.
    Source: McCandlish et al. 2018, arXiv 1812.06162, from (S/S_min - 1)(E/E_min - 1) = 1 with E = batch x S and
    B_crit = E_min / S_min. Coefficients belong to one loss of one model, so none
    are given.
    """

    S_min: float
    B_crit: float

    name: ClassVar[str] = "steps-to-loss"
    target: ClassVar[str] = "steps"
    formula: ClassVar[str] = "S_min*(1 + B_crit/batch_tokens)"
    variables: ClassVar[tuple[str, ...]] = ("batch_tokens",)
    source: ClassVar[str] = "McCandlish et al. 2018, arXiv 1812.06162"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"S_min": (1.0, 1e12), "B_crit": (1.0, 1e15)}
    example: ClassVar[Example] = Example(
        letters={"S_min": 2e4, "B_crit": 1e6},
        columns=_BATCHES,
        limits=(Limit({"batch_tokens": 1e60}, "S_min"),),
        falls=("batch_tokens",),
    )


@dataclass(frozen=True)
class TokensToLoss(FromFormula):
    """Tokens to reach one loss = E_min (1 + batch_tokens / B_crit).

    The value is tokens, not a loss. E_min in tokens, the fewest at any batch; B_crit in tokens, the batch that needs twice
    as many. With a small batch it is E_min; with a large one it grows like the batch.
    Source: McCandlish et al. 2018, arXiv 1812.06162, from (S/S_min - 1)(E/E_min - 1) = 1 with E = batch x S and
    B_crit = E_min / S_min. Coefficients belong to one loss of one model, so none
    are given.
    """

    E_min: float
    B_crit: float

    name: ClassVar[str] = "tokens-to-loss"
    target: ClassVar[str] = "tokens"
    formula: ClassVar[str] = "E_min*(1 + batch_tokens/B_crit)"
    variables: ClassVar[tuple[str, ...]] = ("batch_tokens",)
    source: ClassVar[str] = "McCandlish et al. 2018, arXiv 1812.06162"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"E_min": (1.0, 1e18), "B_crit": (1.0, 1e15)}
    example: ClassVar[Example] = Example(
        letters={"E_min": 2e10, "B_crit": 1e6},
        columns=_BATCHES,
        limits=(Limit({"batch_tokens": 1e-9}, "E_min"),),
        rises=("batch_tokens",),
    )


@dataclass(frozen=True)
class CriticalBatch(FromFormula):
    """Critical batch = c tokens^m: the batch, in tokens, above which data are used a fifth worse.

    The value is a batch in tokens, not a loss. c in tokens^(1-m), m without unit; no limit as tokens grow.
    Source: Zhang et al. 2024, arXiv 2410.21676 (85M to 1.2B params). The paper's tokens are in millions and its batches
    in sequences of 512: units deduced, since they alone make its laws in tokens and in params agree.
    """

    c: float
    m: float

    name: ClassVar[str] = "critical-batch"
    target: ClassVar[str] = "batch_tokens"
    formula: ClassVar[str] = "c*tokens^m"
    variables: ClassVar[tuple[str, ...]] = ("tokens",)
    source: ClassVar[str] = "Zhang et al. 2024, arXiv 2410.21676"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"c": (1e-9, 1e12)}
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Zhang et al. 2024, arXiv 2410.21676: 22.91 D^.47 in sequences and millions, in tokens here",
            {"c": _SEQUENCE * 22.91 * 1e6**-0.47, "m": 0.47},
        ),
    )
    example: ClassVar[Example] = Example(
        letters={"c": 18.0, "m": 0.47},
        columns={"tokens": spaced(1e9, 1e13, 8)},
        limits=(Limit({"tokens": 1.0}, "c"),),
        rises=("tokens",),
    )
