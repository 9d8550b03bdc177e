"""Which ideas a gate lets on: those likely to help at the target, as many as the budget still pays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from planner.decisions.gains import IdeaGain


class Why(StrEnum):
    """Why an idea goes no further."""

    UNLIKELY = "unlikely to help at the target"
    UNPAID = "the budget pays for more promising ideas only"


@dataclass(frozen=True)
class Closed:
    """An idea that goes no further: after which stage, its probability of helping at the target, what the gate asked for."""

    variant: str
    stage: int
    probability: float
    threshold: float
    why: Why


@dataclass(frozen=True)
class Remaining:
    """What is left: accelerator-hours, what the baseline's runs of later stages take of it, and what an idea that goes on is
    expected to take."""

    gpu_hours: float
    baseline: float
    idea: float


def closed_after(
    gains: Sequence[IdeaGain], stage: int, thresholds: Mapping[int, float], left: Remaining
) -> list[Closed]:
    """The ideas that stop after `stage`: those not above its threshold, then the least likely beyond the budget.

    An idea whose runs all failed is not among `gains`: no gate closes on what was not seen.
    """
    wanted = thresholds[stage]
    closed, room = [], left.gpu_hours - left.baseline
    for gain in sorted(gains, key=lambda gain: -gain.probability):
        room -= left.idea
        if not gain.probability > wanted:
            closed.append(Closed(gain.variant, stage, gain.probability, wanted, Why.UNLIKELY))
        elif room < 0:
            closed.append(Closed(gain.variant, stage, gain.probability, wanted, Why.UNPAID))
    return closed
