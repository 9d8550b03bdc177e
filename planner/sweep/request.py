"""A run that a study asks for, before it is completed with shape, hyperparameters and price."""

from __future__ import annotations

from dataclasses import dataclass

from planner.sweep.setting import Size


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
