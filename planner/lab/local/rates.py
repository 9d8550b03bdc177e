"""The learning rate at each step of a run."""

from __future__ import annotations

import math
from enum import StrEnum

COSINE_END = 0.1  # of the peak (Hoffmann et al., arXiv 2203.15556, section 3.1)


class Schedule(StrEnum):
    """How the rate moves after its warm-up."""

    COSINE = "cosine"
    WSD = "wsd"  # stable, then the cooldown (Hu et al., arXiv 2404.06395)
    CONSTANT = "constant"  # a trunk: stable to the end


def rate_at(step: int, *, peak: float, steps: int, warmup: int, schedule: Schedule, cooldown: int = 0) -> float:
    """The rate of step `step` (from 0) of `steps`: linear warm-up over `warmup` steps, then the schedule.

    A cosine falls to a tenth of the peak. The last `cooldown` steps of `wsd` follow 1 - sqrt of their progress down to zero
    (Hägele et al., arXiv 2405.18392, section 3).
    """
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if schedule is Schedule.COSINE:
        progress = (step - warmup) / max(1, steps - 1 - warmup)
        return peak * (COSINE_END + (1 - COSINE_END) * 0.5 * (1 + math.cos(math.pi * progress)))
    left = steps - step  # 1 at the last step
    if schedule is Schedule.WSD and left <= cooldown:
        return peak * (1 - math.sqrt((cooldown - left + 1) / (cooldown + 1)))
    return peak
