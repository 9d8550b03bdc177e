"""Learning rate and batch: where the loss is lowest, and how it rises around there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from planner.laws.centre import Array
from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit, crossed, spaced

_REPOSITORY = "Li et al. 2025, arXiv 2503.04715, step-law/steplaw README"
# ln of the learning rate over the best one, and of the batch over the best one.
_OFF_RATE = "log(lr_peak/(eta*(params/1e9)^(-p)*(tokens/1e10)^q))"
_OFF_BATCH = "log(batch_tokens/(b*(tokens/1e10)^r))"


@dataclass(frozen=True)
class BestRate(FromFormula):
    """Best peak learning rate = c tokens^q / params^p.

    The value is a learning rate, not a loss. c in tokens^-q x params^p, p and q without unit; larger models want
    smaller rates, more tokens larger ones, without limit.
    Source: Li et al. 2025, arXiv 2503.04715 (Step Law; AdamW, params without embeddings, rate falling to 1e-5).
    """

    c: float
    p: float
    q: float

    name: ClassVar[str] = "best-rate"
    target: ClassVar[str] = "lr_peak"
    formula: ClassVar[str] = "c*tokens^q/params^p"
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens")
    source: ClassVar[str] = "Li et al. 2025, arXiv 2503.04715"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"c": (1e-9, 1e9)}
    published: ClassVar[tuple[Published, ...]] = (Published(_REPOSITORY, {"c": 1.79, "p": 0.713, "q": 0.307}),)
    example: ClassVar[Example] = Example(
        letters={"c": 1.8, "p": 0.7, "q": 0.3},
        columns=crossed(params=spaced(5e7, 2e9, 4), tokens=spaced(2e9, 1e11, 4)),
        limits=(Limit({"params": 1.0, "tokens": 1.0}, "c"),),
        falls=("params",),
        rises=("tokens",),
    )


@dataclass(frozen=True)
class BestBatch(FromFormula):
    """Best batch = c tokens^r.

    The value is a batch in tokens, not a loss. c in tokens^(1-r), r without unit; no limit as tokens grow.
    Source: Li et al. 2025, arXiv 2503.04715 (Step Law).
    """

    c: float
    r: float

    name: ClassVar[str] = "best-batch"
    target: ClassVar[str] = "batch_tokens"
    formula: ClassVar[str] = "c*tokens^r"
    variables: ClassVar[tuple[str, ...]] = ("tokens",)
    source: ClassVar[str] = "Li et al. 2025, arXiv 2503.04715"
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {"c": (1e-9, 1e12)}
    published: ClassVar[tuple[Published, ...]] = (Published(_REPOSITORY, {"c": 0.58, "r": 0.571}),)
    example: ClassVar[Example] = Example(
        letters={"c": 0.6, "r": 0.57},
        columns={"tokens": spaced(2e9, 1e11, 6)},
        limits=(Limit({"tokens": 1.0}, "c"),),
        rises=("tokens",),
    )


def _around_the_optimum() -> dict[str, Array]:
    """Rates and batches by factors around a best point that moves with size and data."""
    cells = crossed(
        params=spaced(5e7, 2e9, 4), tokens=spaced(2e9, 1e11, 4), rate=(0.25, 0.7, 1.4, 4.0), batch=(0.25, 0.7, 1.4, 4.0)
    )
    best_rate = 8e-4 * (cells["params"] / 1e9) ** -0.7 * (cells["tokens"] / 1e10) ** 0.3
    cells["lr_peak"] = cells["rate"] * best_rate
    cells["batch_tokens"] = cells["batch"] * 3e5 * (cells["tokens"] / 1e10) ** 0.57
    return cells


@dataclass(frozen=True)
class LearningSurface(FromFormula):
    """L = E + A / params^alpha + B / tokens^beta + H_lr u^2 + H_b v^2 + H_x u v, lowest at the best rate and batch.

    u = ln(lr_peak / (eta (params/1e9)^-p (tokens/1e10)^q)), v = ln(batch_tokens / (b (tokens/1e10)^r)). L, E, H_lr, H_b,
    H_x in nats per token; A, B in nats x count^exponent; eta, the best rate of 1e9 params on 1e10 tokens; b, the best
    batch for 1e10 tokens, in tokens; the exponents without unit. At the best rate and batch it is the additive law; far
    away it grows with the square of the logarithms. It has a minimum while H_x^2 < 4 H_lr H_b.
    Source: the optimum is Li et al. 2025, arXiv 2503.04715 (Step Law: eta 8.0e-4, p .713, q .307, b 3.0e5,
    r .571 in these units); the bowl around it is this project's, so none are given.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    H_lr: float
    H_b: float
    H_x: float
    eta: float
    p: float
    q: float
    b: float
    r: float

    name: ClassVar[str] = "learning-surface"
    formula: ClassVar[str] = (
        f"E + A/params^alpha + B/tokens^beta + H_lr*{_OFF_RATE}^2 + H_b*{_OFF_BATCH}^2 + H_x*{_OFF_RATE}*{_OFF_BATCH}"
    )
    variables: ClassVar[tuple[str, ...]] = ("params", "tokens", "lr_peak", "batch_tokens")
    source: ClassVar[str] = "optimum: Li et al. 2025, arXiv 2503.04715; the surface around it: this project"
    plain: ClassVar[frozenset[str]] = frozenset({"alpha", "beta", "H_x", "p", "q", "r"})
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {
        "alpha": (0.02, 2.5), "beta": (0.02, 2.5), "H_lr": (1e-6, 1.0), "H_b": (1e-6, 1.0), "H_x": (-0.5, 0.5),
        "eta": (1e-6, 1.0), "p": (-0.5, 1.5), "q": (-0.5, 1.0), "b": (1e3, 1e9), "r": (0.0, 1.5),
    }  # fmt: skip
    example: ClassVar[Example] = Example(
        letters={
            "E": 1.7, "A": 300.0, "B": 900.0, "alpha": 0.33, "beta": 0.34, "H_lr": 0.018, "H_b": 0.015, "H_x": -0.008,
            "eta": 8e-4, "p": 0.7, "q": 0.3, "b": 3e5, "r": 0.57,
        },
        columns=_around_the_optimum(),
        limits=(
            Limit(
                {"params": 1e9, "tokens": 1e10, "lr_peak": 8e-4, "batch_tokens": 3e5}, "E + A/1e9^alpha + B/1e10^beta"
            ),
        ),
    )  # fmt: skip

    def best_rate(self, params: float, tokens: float) -> float:
        """The peak learning rate of lowest loss."""
        return float(self.eta * (params / 1e9) ** -self.p * (tokens / 1e10) ** self.q)

    def best_batch(self, tokens: float) -> float:
        """The batch of lowest loss, in tokens."""
        return float(self.b * (tokens / 1e10) ** self.r)
