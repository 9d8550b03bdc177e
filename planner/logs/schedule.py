"""Which learning-rate schedule a run logged, where its warm-up ended, and whether it ended annealed: arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.logs.clean import Array

LOOKED_AT = 65  # places of a run's learning rate, evenly spaced after its warm-up
NEAR = 0.02  # of the peak: a shape is recognised when it is nowhere further off
PEAK = 0.999  # of the peak: where a warm-up is over
STABLE = 0.99  # of the peak: where a decay has begun
ANNEALED = (
    0.35  # of the peak: a run that ends above this was not annealed (cosine and linear to 10 % end at .1, WSD at 0)
)
HORIZONS = np.linspace(0.2, 0.98, 79)  # parts of a cosine that a run cut short may have seen


@dataclass(frozen=True)
class Schedules:
    """Of each run, arrays `(n_runs,)`: `name` ("" without learning rates), peak and last rate, rows where the warm-up and the
    stable phase end (-1: unknown), and the part of its horizon that a cut cosine saw (1: whole).
    """

    name: NDArray[np.str_]
    peak: Array
    last: Array
    warm: NDArray[np.int64]
    stable: NDArray[np.int64]
    seen: Array


def schedules_of(rate: Array, used: NDArray[np.int64], starts: NDArray[np.int64], at: Array) -> Schedules:
    """The schedules of runs whose points stand one after another.

    `used` are the rows that count and hold a rate, `starts` `(n_runs + 1,)` the bounds of runs in the rows, `at` the tokens or
    steps of each row. Shapes are compared after the warm-up, on the run's own progress x from 0 to 1, with the rate as
    a part y of its peak: constant y = 1; linear y = 1 - (1 - e) x; cosine y = e + (1 - e)(1 + cos pi x)/2 (Loshchilov and
    Hutter, arXiv 1608.03983, eq. 5); inverse square root; warmup-stable-decay holds 1 and then falls.
    """
    n_runs = starts.size - 1
    bounds = np.searchsorted(used, starts)
    there = np.flatnonzero(bounds[1:] > bounds[:-1])
    nothing = np.full(n_runs, np.nan)
    out = Schedules(np.full(n_runs, "", dtype="<U24"), nothing, nothing.copy(), np.full(n_runs, -1), np.full(n_runs, -1),
                    np.ones(n_runs))  # fmt: skip
    if not there.size:
        return out
    first, end = bounds[:-1][there], bounds[1:][there]
    values = rate if used.size == rate.size else rate[used]
    peak = np.maximum.reduceat(values, first)
    high = np.flatnonzero(values >= np.repeat(STABLE * peak, end - first))
    stable = high[np.searchsorted(high, end) - 1]
    at_peak = high[values[high] >= (PEAK * peak)[np.searchsorted(first, high, side="right") - 1]]
    warm = at_peak[np.searchsorted(at_peak, first)]
    out.peak[there], out.last[there] = peak, values[end - 1]
    out.warm[there], out.stable[there] = used[warm], used[stable]
    enough = (end - warm >= 5) & (peak > 0)
    places = np.linspace(0, 1, LOOKED_AT)
    chosen = np.rint(warm[:, None] + places * (end - 1 - warm)[:, None]).astype(np.int64)
    with np.errstate(invalid="ignore", divide="ignore"):
        y = values[chosen] / peak[:, None]
        x = at[used[chosen]]
        x0, x1 = x[:, :1], x[:, -1:]
        names, seen = _shapes(y, (x - x0) / (x1 - x0), x / x0)
    out.name[there[enough]], out.seen[there[enough]] = names[enough], seen[enough]
    return out


def _shapes(y: Array, x: Array, grown: Array) -> tuple[NDArray[np.str_], Array]:
    """The nearest shape of each row, and how much of a cosine it saw."""
    end = y[:, -1:]
    shapes = {
        "constant": np.ones_like(y),
        "linear": 1 - (1 - end) * x,
        "cosine": end + (1 - end) * (1 + np.cos(np.pi * x)) / 2,
        "inverse_sqrt": 1 / np.sqrt(grown),
    }
    off = np.stack([_off(y, shape) for shape in shapes.values()])
    best = np.argmin(off, axis=0)
    names = np.array(list(shapes), dtype="<U24")[best]
    seen = np.ones(y.shape[0])
    found = off.min(axis=0) <= NEAR
    _cut_short(y, x, names, seen, found)
    falls = (np.diff(y, axis=1) <= NEAR / 2).all(axis=1)
    holds = (y >= STABLE).mean(axis=1)
    names[~found] = np.where(falls & (holds >= 0.2) & (end[:, 0] < 0.9), "warmup_stable_decay", "other")[~found]
    return names, seen


def _cut_short(y: Array, x: Array, names: NDArray[np.str_], seen: Array, found: NDArray[np.bool_]) -> None:
    """Name the cosines to 0 or 10 % that ended before their horizon, and how much of it they saw."""
    left = np.flatnonzero(~found)
    if not left.size:
        return
    parts = [(part, floor) for floor in (0.0, 0.1) for part in HORIZONS]
    off = np.stack([
        _off(y[left], floor + (1 - floor) * (1 + np.cos(np.pi * x[left] * part)) / 2) for part, floor in parts
    ])  # fmt: skip
    best = np.argmin(off, axis=0)
    near = off.min(axis=0) <= NEAR
    names[left[near]] = "cosine"
    seen[left[near]] = np.array([part for part, _ in parts])[best[near]]
    found[left[near]] = True


def _off(y: Array, shape: Array) -> Array:
    """The largest distance in each row, infinite where there is none."""
    off = np.abs(y - shape).max(axis=1)
    return np.where(np.isnan(off), np.inf, off)
