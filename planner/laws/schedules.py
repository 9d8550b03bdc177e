"""Learning-rate schedules, and what the laws of whole loss curves read off them."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from planner.errors import InputError
from planner.laws.centre import Array


class Areas(NamedTuple):
    """The area under the rate and the annealing area after each step, `(steps,)` each."""

    forward: Array
    annealing: Array


def annealing_areas(rates: ArrayLike, *, warmup: int = 0, decay: float = 0.999) -> Areas:
    """S1 = sum of rates, S2 = sum of a momentum of their decreases, after each step of a schedule `(steps,)`.

    S2(s) = sum over i <= s of m_i, m_i = decay m_(i-1) + (rate_(i-1) - rate_i); changes within the first `warmup` steps
    are left out of S2. Columns `lr_area` and `anneal_area` of the annealing law. InputError for rates that are no schedule.
    Source: Tissue et al. 2024, arXiv 2408.11029 (S2 from memory; decay, the paper's lambda, is .99 to .999).
    """
    schedule = _checked(rates)
    if not 0 <= decay < 1:
        raise InputError(f"decay = {decay} is not in [0, 1)", "use 0.99 to 0.999")
    falls = _falls(schedule, warmup)
    momentum = np.fromiter(accumulate(falls, lambda held, fall: decay * held + fall), float, falls.size)
    return Areas(np.cumsum(schedule), np.cumsum(momentum))


def stage_columns(rates: ArrayLike, stages: int, *, warmup: int = 0) -> dict[str, Array]:
    """Columns of the multi-power law after each step of a schedule that changes its rate `stages` times, `(steps,)` each.

    `lr_area` is the sum of rates; for the j-th change after `warmup` steps, `drop_j` is the rate before less the rate from
    then on, `rate_j` that rate, `area_j` the sum of rates since; before it, drop and area are zero. InputError when the
    schedule changes more often.
    Source: Luo et al. 2025, arXiv 2503.12811; exact for schedules of that many stages.
    """
    schedule = _checked(rates)
    falls = _falls(schedule, warmup)
    changes = np.flatnonzero(falls)
    if changes.size > stages:
        raise InputError(
            f"the schedule changes its rate {changes.size:,} times after {warmup} steps, over the {stages} of this law",
            "use a law of more stages, or a schedule in steps",
        )
    total = np.cumsum(schedule)
    columns = {"lr_area": total}
    for j in range(stages):
        at = int(changes[j]) if j < changes.size else schedule.size
        after = np.arange(schedule.size) >= at
        before = total[at - 1] if at < schedule.size else total[-1]
        columns[f"drop_{j + 1}"] = np.where(after, falls[min(at, falls.size - 1)], 0.0)
        columns[f"rate_{j + 1}"] = np.full(schedule.size, schedule[min(at, schedule.size - 1)])
        columns[f"area_{j + 1}"] = np.where(after, total - before, 0.0)
    return columns


def binned_columns(rates: ArrayLike, stages: int, *, warmup: int = 0) -> dict[str, Array]:
    """The columns of `stage_columns` for a schedule that falls smoothly: its falls in `stages` groups of equal sum.

    A group has dropped by what it has fallen so far, from the mean rate of its falls, over their mean area (each fall
    weighs what it falls): with ten groups and published coefficients the curve of a cosine or a decay to a tenth is
    met within .05 % of the loss. A schedule of no more changes than `stages` is exact. InputError for a schedule that
    rises after its warm-up.
    """
    schedule = _checked(rates)
    falls = _falls(schedule, warmup)
    if (falls < 0).any():
        at = int(np.argmax(falls < 0))
        raise InputError(f"the rate rises at step {at}, after {warmup} steps of warm-up", "say how many steps warm up")
    if np.count_nonzero(falls) <= stages:
        return stage_columns(schedule, stages, warmup=warmup)
    total, fallen = np.cumsum(schedule), np.cumsum(falls)
    group = np.minimum(np.floor(stages * (fallen - falls / 2) / fallen[-1]), stages - 1)
    columns = {"lr_area": total}
    for j in range(stages):
        here = falls * (group == j)
        drop = np.cumsum(here)
        some = np.maximum(drop, 1e-300)
        columns[f"drop_{j + 1}"] = drop
        columns[f"rate_{j + 1}"] = np.where(drop > 0, np.cumsum(here * schedule) / some, schedule)
        columns[f"area_{j + 1}"] = np.where(drop > 0, total - np.cumsum(here * (total - schedule)) / some, 0.0)
    return columns


def cosine(peak: float, steps: int, *, end: float = 0.1) -> Array:
    """Rates `(steps,)` that fall from `peak` to `end` x peak along half a cosine."""
    return peak * (end + (1 - end) * 0.5 * (1 + np.cos(np.pi * np.arange(steps) / max(steps - 1, 1))))


def stable_decay(peak: float, steps: int, decay_steps: int, *, end: float = 0.1) -> Array:
    """Rates `(steps,)` that stay at `peak` and fall to `end` x peak in a line over the last `decay_steps`."""
    left = np.minimum(1.0, (steps - 1 - np.arange(steps)) / max(decay_steps, 1))
    return peak * (end + (1 - end) * left)


def _checked(rates: ArrayLike) -> Array:
    schedule = np.asarray(rates, float)
    if schedule.ndim != 1 or schedule.size == 0:
        raise InputError(f"rates of shape {schedule.shape} are no schedule", "give one learning rate per step")
    bad = ~(np.isfinite(schedule) & (schedule > 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise InputError(f"rates[{at}] = {schedule[at]} is not positive", "end the schedule above zero")
    return schedule


def _falls(schedule: Array, warmup: int) -> Array:
    """Rate before less rate at each step, none at the first and while warming up."""
    falls = np.zeros(schedule.size)
    falls[1:] = schedule[:-1] - schedule[1:]
    falls[: warmup + 1] = 0.0
    return falls
