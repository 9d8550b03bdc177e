"""Which points of a run count, and why the others do not: arrays in, marks out.

Every function takes points of whole runs in the order in which they were logged, runs one after another: `run` `(n,)` are codes
that never fall, and the other arrays stand beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Marks = NDArray[np.uint8]

SPIKE_WINDOW = 1000  # values before it that a value is compared with
SPIKE_SD = 7.0  # OLMo 2 (arXiv 2501.00656, section 3.2): a spike lies seven sd above the mean of the last 1,000 values
SPIKE_LEAST = 100  # values that must stand before it: fewer say little about their sd
LEAST_VARIANCE = 1e-12  # of those values: losses that never move have no sd to speak of
ROUNDING = 1e-9  # of a mean of squares, more than sums of a million values lose


class Reason(StrEnum):
    """Why a point does not count; what `--keep` takes."""

    DUPLICATE = "exact duplicate"  # of step, losses, tokens and rate; the clock may have moved
    OVERLAP = "overlap after a restart"
    NOT_FINITE = "loss not finite"
    SPIKE = "spike"
    AFTER_FINAL = "after the declared final point"


REASONS = ("", *Reason)  # by mark


@dataclass(frozen=True)
class Points:
    """Points of whole runs, arrays `(n,)`: NaN where a column was not logged at a step."""

    run: NDArray[np.int64]
    step: NDArray[np.int64]
    tokens: Array
    loss: Array
    train_loss: Array
    lr: Array


def marks_of(points: Points, final_step: Array, keep: frozenset[Reason]) -> Marks:
    """A mark for each point: 0 counts, else an index into REASONS; reasons in `keep` are never given.

    `final_step` `(n_runs,)` is the step that a run's log declares final, NaN where it declares none.
    """
    marks = np.zeros(points.run.size, np.uint8)
    _mark_overlaps(points, marks)
    _take_back(marks, keep)  # another reason may hold for them
    _mark(marks, np.isinf(points.loss) | np.isinf(points.train_loss), Reason.NOT_FINITE)
    _mark_spikes(points, marks)
    if np.isfinite(final_step).any():
        codes = points.run - (points.run[0] if points.run.size else 0)
        _mark(marks, points.step > np.where(np.isnan(final_step), np.inf, final_step)[codes], Reason.AFTER_FINAL)
    _take_back(marks, keep)
    return marks


def _take_back(marks: Marks, keep: frozenset[Reason]) -> None:
    for reason in keep:
        marks[marks == REASONS.index(reason)] = 0


def _mark(marks: Marks, where: NDArray[np.bool_], reason: Reason) -> None:
    marks[where & (marks == 0)] = REASONS.index(reason)


def _mark_overlaps(points: Points, marks: Marks) -> None:
    """A restart wins from its first step on: a point counts while no later one of its run has a smaller step.

    At one step the last value of each loss counts. What was dropped beside an equal survivor is an exact duplicate.
    """
    same_run = points.run[1:] == points.run[:-1]
    back = same_run & (points.step[1:] <= points.step[:-1])
    if not back.any():
        return
    unclean = np.unique(points.run[1:][back])
    at = np.flatnonzero(np.isin(points.run, unclean))
    position = _places(points.run[at], points.step[at])
    alive = position <= np.minimum.accumulate(position[::-1])[::-1]
    superseded = np.zeros(at.size, bool)
    superseded[alive] = _superseded(position[alive], points.loss[at][alive], points.train_loss[at][alive])
    gone = ~alive | superseded
    survivors = np.flatnonzero(~gone)
    found = np.searchsorted(position[survivors], position[gone], side="right") - 1
    twin = survivors[np.maximum(found, 0)]
    equal = (found >= 0) & (position[twin] == position[gone])
    for column in (points.loss, points.train_loss, points.tokens, points.lr):
        ours, theirs = column[at][gone], column[at][twin]
        equal &= (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    duplicate, overlap = REASONS.index(Reason.DUPLICATE), REASONS.index(Reason.OVERLAP)
    marks[at[gone]] = np.where(equal, duplicate, overlap)


def _places(run: NDArray[np.int64], step: NDArray[np.int64]) -> NDArray[np.int64]:
    """Run and step as one number that grows with both: ranks, so that no step is too large for it."""
    _, code = np.unique(run, return_inverse=True)
    _, rank = np.unique(step, return_inverse=True)
    return np.asarray(code.astype(np.int64) * (int(rank.max(initial=0)) + 1) + rank, np.int64)


def _superseded(position: NDArray[np.int64], *columns: Array) -> NDArray[np.bool_]:
    """Points whose every loss is logged again by a later point of the same place; `position` never falls."""
    last = np.searchsorted(position, position, side="right")
    gone = np.ones(position.size, bool)
    twice = last - np.searchsorted(position, position, side="left") > 1
    for column in columns:
        has = ~np.isnan(column)
        before = np.concatenate([[0], np.cumsum(has)])
        later = before[last] - before[1:]  # of those after it at the same place
        gone &= ~has | (later > 0)
    empty = np.ones(position.size, bool)
    for column in columns:
        empty &= np.isnan(column)
    return np.asarray(gone & twice & ~(empty & (np.arange(position.size) == last - 1)))


def _mark_spikes(points: Points, marks: Marks) -> None:
    """Training losses far above the mean of the values before them, by the rule of OLMo 2, in the runs that may hold one."""
    counts = (marks == 0) & ~np.isnan(points.train_loss)
    whole = bool(counts.all())
    loss, run = (points.train_loss, points.run) if whole else (points.train_loss[counts], points.run[counts])
    if not loss.size:
        return
    starts = np.append(0, np.flatnonzero(run[1:] != run[:-1]) + 1)
    sizes = np.diff(np.append(starts, loss.size))
    suspects = may_spike(loss, starts, sizes)
    if not suspects.any():
        return
    rows = np.flatnonzero(np.repeat(suspects, sizes))
    found = spikes_of(loss[rows], sizes[suspects])
    marks[np.flatnonzero(counts)[rows[found]]] = REASONS.index(Reason.SPIKE)


def spikes_of(loss: Array, sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Values more than SPIKE_SD sd above the mean of the SPIKE_WINDOW values before them; runs of `sizes` one after another."""
    starts = np.cumsum(sizes) - sizes
    centred = loss - np.repeat(
        np.add.reduceat(loss, starts) / sizes, sizes
    )  # so that sums of squares keep their digits
    number = np.minimum(np.arange(loss.size) - np.repeat(starts, sizes), SPIKE_WINDOW)
    mean, square = (_before(values, starts, sizes, number) for values in (centred, centred * centred))
    count = np.maximum(number, 1)
    mean /= count
    variance = np.maximum(square / count - mean * mean, LEAST_VARIANCE)
    above = centred - mean
    return np.asarray((number >= SPIKE_LEAST) & (above > 0) & (above * above > SPIKE_SD**2 * variance))


def may_spike(loss: Array, starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Runs that may hold a spike, `(n_runs,)`: a bound on bins of SPIKE_LEAST values that clears most runs ten times faster.

    The window of every value of a bin holds the nine whole bins before it (the k that there are) and at most one bin more. Its
    mean is no lower than theirs with one more bin at the lowest value near, and its variance no lower than k / (k + 1) of theirs.
    """
    bins = -(-sizes // SPIKE_LEAST)
    run = np.repeat(np.arange(sizes.size), bins)
    place = np.arange(run.size) - np.repeat(np.cumsum(bins) - bins, bins)
    left = starts[run] + place * SPIKE_LEAST
    summed, squared = np.add.reduceat(loss, left), np.add.reduceat(loss * loss, left)
    highest, low = np.maximum.reduceat(loss, left), np.minimum.reduceat(loss, left)
    before = np.minimum(place, SPIKE_WINDOW // SPIKE_LEAST - 1)
    mean, square = (_sum_before(values, before) / (np.maximum(before, 1) * SPIKE_LEAST) for values in (summed, squared))
    lowest = low.copy()
    for back in range(1, SPIKE_WINDOW // SPIKE_LEAST + 1):
        np.minimum(lowest[back:], low[:-back], out=lowest[back:], where=place[back:] >= back)
    with np.errstate(invalid="ignore"):
        variance = np.maximum(square * (1 - ROUNDING) - mean * mean, 0)  # rounding may only lower it
        bound = (before * mean + lowest) / (before + 1) + SPIKE_SD * np.sqrt(variance * before / (before + 1))
        cleared = (place == 0) | (highest <= bound)  # not-a-numbers are not cleared
    return np.asarray(np.logical_or.reduceat(~cleared, np.cumsum(bins) - bins))


def _sum_before(values: Array, number: NDArray[np.int64]) -> Array:
    """The sum of the `number` values before each one."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(values.size)
    return np.asarray(total[at] - total[at - number])


def _before(values: Array, starts: NDArray[np.int64], sizes: NDArray[np.int64], number: NDArray[np.int64]) -> Array:
    """The sum of the `number` values before each one, within its run: at most SPIKE_WINDOW."""
    summed = np.cumsum(values)
    summed -= values
    since = np.repeat(summed[starts], sizes)  # where the run is younger than the window
    np.copyto(since[SPIKE_WINDOW:], summed[:-SPIKE_WINDOW], where=number[SPIKE_WINDOW:] == SPIKE_WINDOW)
    return np.asarray(summed - since)


__all__ = ["REASONS", "Points", "Reason", "marks_of"]
