"""From loss to what a task scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, spaced

_REPOSITORY = "Gadre et al. 2024, arXiv 2403.08540, eq. 5; the authors' fit run again, mean top-1 error of 46 tasks"


@dataclass(frozen=True)
class SigmoidAccuracy(FromFormula):
    """accuracy = b + a / (1 + exp(k (loss - L_0))): chance at high loss, a ceiling at low loss.

    The value is a share between 0 and 1, fitted as it is. a, b are shares (b the chance level, a + b the ceiling); L_0 is
    in the loss's unit and k its inverse. A high loss gives b, a low one a + b.
    Source: Bhagia et al. 2024, arXiv 2412.04403 (OLMo ladder, from a task's loss in bits per byte); the form is from
    memory, and the coefficients belong to single tasks, so none are given.
    """

    a: float
    b: float
    k: float
    L_0: float

    name: ClassVar[str] = "sigmoid-accuracy"
    target: ClassVar[str] = "accuracy"
    formula: ClassVar[str] = "b + a/(1 + exp(k*(loss - L_0)))"
    variables: ClassVar[tuple[str, ...]] = ("loss",)
    source: ClassVar[str] = "Bhagia et al. 2024, arXiv 2412.04403"
    link: ClassVar[str] = "identity"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "a": (1e-3, 2.0), "b": (1e-4, 1.0), "k": (0.05, 100.0), "L_0": (1e-3, 20.0),
    }  # fmt: skip
    example: ClassVar[Example] = Example(
        letters={"a": 0.6, "b": 0.25, "k": 8.0, "L_0": 0.8},
        columns={"loss": spaced(0.3, 1.6, 16)},
        limits=(Limit({"loss": 80.0}, "b"), Limit({"loss": 0.0}, "b + a/(1 + exp(-k*L_0))")),
        falls=("loss",),
    )


@dataclass(frozen=True)
class AverageError(FromFormula):
    """error = epsilon - k exp(-gamma loss): the mean top-1 error over tasks falls with loss.

    The value is a share between 0 and 1, fitted as it is. epsilon is the error at high loss, k a share, gamma per nat.
    Source: Gadre et al. 2024, arXiv 2403.08540, eq. 5 (loss in nats per token on C4).
    """

    epsilon: float
    k: float
    gamma: float

    name: ClassVar[str] = "average-error"
    target: ClassVar[str] = "error"
    formula: ClassVar[str] = "epsilon - k*exp(-gamma*loss)"
    variables: ClassVar[tuple[str, ...]] = ("loss",)
    source: ClassVar[str] = "Gadre et al. 2024, arXiv 2403.08540, eq. 5"
    link: ClassVar[str] = "identity"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "epsilon": (0.01, 2.0),
        "k": (1e-3, 100.0),
        "gamma": (0.02, 10.0),
    }
    published: ClassVar[tuple[Published, ...]] = (
        Published(f"{_REPOSITORY} (C4)", {"epsilon": 0.759, "k": 1.289, "gamma": 0.972}),
        Published(f"{_REPOSITORY} (RedPajama)", {"epsilon": 0.761, "k": 1.323, "gamma": 0.891}),
        Published(f"{_REPOSITORY} (RefinedWeb)", {"epsilon": 0.768, "k": 1.128, "gamma": 0.822}),
    )
    example: ClassVar[Example] = Example(
        letters={"epsilon": 0.76, "k": 1.3, "gamma": 0.9},
        columns={"loss": spaced(2.2, 5.0, 12)},
        limits=(Limit({"loss": 100.0}, "epsilon"), Limit({"loss": 0.0}, "epsilon - k")),
        rises=("loss",),
    )
