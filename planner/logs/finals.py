"""What a run came to: its final loss over a stated window, its lowest, its last step and tokens: arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.logs.clean import REASONS, Array, Marks, Points, Reason

MOST_SMOOTHED = 50  # training losses that the final loss is the mean of, at most
PART_SMOOTHED = 0.02  # and never more than this part of a run's points, for the loss still falls
DIVERGED = 1.1  # a run that ends this far above its lowest smoothed loss has diverged


@dataclass(frozen=True)
class Final:
    """Of one loss of each run, arrays `(n_runs,)`, NaN where it has none.

    `last` is the mean of the last `window` values, `lowest` the smallest mean of `window` neighbours, `number` counts the
    values, `step` is where the last stands.
    """

    last: Array
    lowest: Array
    window: NDArray[np.int64]
    number: NDArray[np.int64]
    step: Array


def last_of(points: Points, marks: Marks, starts: NDArray[np.int64], column: Array, window: NDArray[np.int64]) -> Final:
    """The end of one loss of each run; `starts` `(n_runs + 1,)` are the bounds of the runs in the arrays.

    `window` `(n_runs,)` is how many values are averaged; 0 smooths as a training loss is: 2 % of the run's values, at most 50.
    """
    used = np.flatnonzero((marks == 0) & np.isfinite(column))
    bounds = np.searchsorted(used, starts)
    first, end = bounds[:-1], bounds[1:]
    number = end - first
    smooth = np.minimum(MOST_SMOOTHED, (number * PART_SMOOTHED).astype(np.int64))
    wide = np.clip(np.where(window == 0, smooth, window), 1, np.maximum(number, 1))
    there = number > 0
    values = column[used]
    centre = values.mean() if values.size else 0.0
    total = np.concatenate([[0.0], np.cumsum(values - centre)])
    last = np.where(there, (total[end] - total[np.maximum(end - wide, 0)]) / wide + centre, np.nan)
    step = np.full(number.size, np.nan)
    step[there] = points.step[used[end[there] - 1]]
    single = there & (wide == 1)
    last[single] = values[end[single] - 1]  # as it was logged, to the last digit
    lowest = np.full(number.size, np.nan)
    if values.size:
        at = np.arange(values.size)
        width = np.repeat(wide[there], number[there])
        begin = np.repeat(first[there], number[there])
        means = np.where(
            at - begin + 1 >= width, (total[1:] - total[np.maximum(at + 1 - width, 0)]) / width + centre, np.inf
        )
        lowest[there] = np.minimum.reduceat(means, first[there])
    return Final(last, lowest, wide, number, step)


def bounds_of(run: NDArray[np.int64], n_runs: int) -> NDArray[np.int64]:
    """Where each run's points begin and the last one's end, `(n_runs + 1,)`; `run` holds codes from 0 that never fall."""
    return np.searchsorted(run, np.arange(n_runs + 1))


def ends_of(points: Points, marks: Marks, starts: NDArray[np.int64]) -> tuple[Array, Array]:
    """The last step and the tokens then of each run, `(n_runs,)` each, NaN where none was logged."""
    step, tokens = np.full(starts.size - 1, np.nan), np.full(starts.size - 1, np.nan)
    for out, column in ((step, points.step.astype(float)), (tokens, points.tokens)):
        used = np.flatnonzero((marks == 0) & ~np.isnan(column))
        bounds = np.searchsorted(used, starts)
        there = bounds[1:] > bounds[:-1]
        out[there] = column[used[bounds[1:][there] - 1]]
    return step, tokens


def diverged(points: Points, marks: Marks, starts: NDArray[np.int64], final: Final) -> NDArray[np.bool_]:
    """Runs whose last logged loss is not finite, or that end more than 10 % above their lowest smoothed loss, `(n_runs,)`."""
    with np.errstate(invalid="ignore"):
        ended = np.asarray(final.last > DIVERGED * final.lowest)
    counts = (marks == 0) | (marks == REASONS.index(Reason.NOT_FINITE))
    for column in (points.loss, points.train_loss):
        logged = np.flatnonzero(counts & ~np.isnan(column))
        bounds = np.searchsorted(logged, starts)
        there = bounds[1:] > bounds[:-1]
        ended[there] |= ~np.isfinite(column[logged[bounds[1:][there] - 1]])
    return ended
