"""What a run came to: its final loss over a stated window, its lowest, its last step and tokens: arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.logs.clean import REASONS, Array, Marks, Points, Reason

MOST_SMOOTHED = 50  # training losses that the final loss is the mean of, at most
PART_SMOOTHED = 0.02  # and never more than this part of a run's points, for the loss still falls
SILENT = 0.05  # of a run's steps without a training loss at its end: a table that leaves NaN out shows divergence so
DENSE = 20  # training losses from which their absence says something
DIVERGED_NOISY, SMOOTH = 1.5, 10  # the same for a training loss that fewer values than this are averaged into
DIVERGED = 1.1  # a run that ends this far above its lowest smoothed loss has diverged


@dataclass(frozen=True)
class Final:
    """Of one loss of each run, arrays `(n_runs,)`, NaN where it has none.

    `last` is the mean of the last `window` values, `lowest` the smallest mean of `window` neighbours in bins, `number` counts the
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
    values = column if used.size == column.size else column[used]
    last, lowest, step = (np.full(number.size, np.nan) for _ in range(3))
    if there.any():
        step[there] = points.step[used[end[there] - 1]]
        last[there], lowest[there] = _means(values, first[there], number[there], wide[there])
    return Final(last, lowest, wide, number, step)


def _means(
    values: Array, first: NDArray[np.int64], number: NDArray[np.int64], wide: NDArray[np.int64]
) -> tuple[Array, Array]:
    """The mean of the last `wide` values of each run and the smallest such mean, in bins counted from its end, `(n_runs,)`."""
    bins = number // wide + 1  # the first holds what is left over
    run = np.repeat(np.arange(bins.size), bins)
    begin = np.cumsum(bins) - bins
    place = np.arange(run.size) - begin[run]
    over = number - (bins - 1) * wide
    left = first[run] + np.where(place > 0, over[run] + (place - 1) * wide[run], 0)
    means = np.add.reduceat(values, left) / wide[run]
    means[begin] = np.inf
    return means[begin + bins - 1], np.minimum.reduceat(means, begin)


def bounds_of(run: NDArray[np.int64], n_runs: int) -> NDArray[np.int64]:
    """Where each run's points begin and the last one's end, `(n_runs + 1,)`; `run` holds codes from 0 that never fall."""
    return np.searchsorted(run, np.arange(n_runs + 1))


def seen(marks: Marks) -> NDArray[np.bool_]:
    """Points that the run went through, whatever their loss: those that count, and those whose loss is no number."""
    return np.asarray((marks == 0) | (marks == REASONS.index(Reason.NOT_FINITE)))


def ends_of(points: Points, marks: Marks, starts: NDArray[np.int64]) -> tuple[Array, Array]:
    """The last step and the tokens then of each run, `(n_runs,)` each, NaN where none was logged."""
    step, tokens = np.full(starts.size - 1, np.nan), np.full(starts.size - 1, np.nan)
    ends = starts[1:] - 1
    for out, column in ((step, points.step), (tokens, points.tokens)):
        if (np.diff(starts) > 0).all() and seen(marks[ends]).all() and not np.isnan(column[ends]).any():
            out[:] = column[ends]  # as nearly always
            continue
        used = np.flatnonzero(seen(marks) & ~np.isnan(column))
        bounds = np.searchsorted(used, starts)
        there = bounds[1:] > bounds[:-1]
        out[there] = column[used[bounds[1:][there] - 1]]
    return step, tokens


def silent(trained: Final, ended: Array) -> NDArray[np.bool_]:
    """Runs that went on for more than 5 % of their steps after their last training loss, `(n_runs,)`; `ended` are last steps."""
    with np.errstate(invalid="ignore"):
        return np.asarray((trained.number >= DENSE) & (trained.step < (1 - SILENT) * ended))


def diverged(
    points: Points, marks: Marks, starts: NDArray[np.int64], evaluated: Final, trained: Final
) -> NDArray[np.bool_]:
    """Runs whose last logged loss is not finite, or of which a loss ends more than 10 % above its lowest smoothed, `(n_runs,)`.

    A training loss averaged over fewer than ten values is mostly the noise of single batches: it must end 50 % above.
    """
    with np.errstate(invalid="ignore"):
        ended = evaluated.last > DIVERGED * evaluated.lowest
        ended |= trained.last > np.where(trained.window >= SMOOTH, DIVERGED, DIVERGED_NOISY) * trained.lowest
    counts = seen(marks)
    for column in (points.loss, points.train_loss):
        logged = np.flatnonzero(counts & ~np.isnan(column))
        bounds = np.searchsorted(logged, starts)
        there = bounds[1:] > bounds[:-1]
        ended[there] |= ~np.isfinite(column[logged[bounds[1:][there] - 1]])
    return ended
