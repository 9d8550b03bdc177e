"""A run that a study asks for, before it is completed with hyperparameters and price."""

from __future__ import annotations

from dataclasses import dataclass

from planner.errors import InputError
from planner.sweep.size import Size

MOST_RUNS = 100_000  # of one study: a plan beyond that is a mistyped budget


def require_few(study: str, number: float) -> None:
    """Refuse a study of more runs than anybody could train."""
    if not number <= MOST_RUNS:
        raise InputError(
            f"the {study} study would have {number:.3g} runs, more than {MOST_RUNS:,}",
            "lower exploration.budget, or raise the smallest size or amount of data",
        )


@dataclass(frozen=True)
class Factors:
    """What the prescription is multiplied by."""

    lr: float = 1.0
    batch: float = 1.0
    weight_decay: float = 1.0
    warmup: float = 1.0


@dataclass(frozen=True)
class Trunk:
    """A constant-rate run to `tokens`, with learning rate and batch prescribed for `tuned_for` tokens, and its cooldown."""

    tokens: float
    tuned_for: float
    cooldown: float


@dataclass(frozen=True)
class Cell:
    """What is trained, seed and variant apart; `tokens` raw.

    A branch of a `trunk` starts from it and ends at `tokens`; where `is_trunk`, this is the trunk itself. `mixture` holds
    (domain, share). `group` names runs that share a law when they are not the sweep's main line.
    """

    size: Size
    tokens: float
    context_length: int
    factors: Factors = Factors()
    mixture: tuple[tuple[str, float], ...] = ()
    trunk: Trunk | None = None
    is_trunk: bool = False
    group: str = ""


@dataclass(frozen=True)
class Request:
    """One run of one study; a variant shares seeds with the baseline. `chance` is the probability that it is reached."""

    cell: Cell
    seed: int
    purpose: str
    stage: int = 1
    variant: str = "baseline"
    chance: float = 1.0
