"""A run that a study asks for, before it is completed with shape, hyperparameters and price."""

from __future__ import annotations

from dataclasses import dataclass

from planner.errors import InputError
from planner.sweep.setting import Size

MOST_RUNS = 100_000  # of one study: a plan beyond that is a mistyped budget


def require_few(study: str, number: float) -> None:
    """Refuse a study of more runs than anybody could train."""
    if not number <= MOST_RUNS:
        raise InputError(
            f"the {study} study would have {number:.3g} runs, more than {MOST_RUNS:,}",
            "lower exploration.budget, or raise the smallest size or amount of data",
        )


@dataclass(frozen=True)
class Request:
    """`tokens` raw; `lr_factor` and `batch_factor` multiply the prescription; a variant shares seeds with the baseline."""

    study: str
    size: Size
    tokens: float
    seed: int
    stage: int
    purpose: str
    variant: str = "baseline"
    lr_factor: float = 1.0
    batch_factor: float = 1.0
