"""The history of one segment as points: metrics that were logged at different steps beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from planner.logs.names import NATS
from planner.logs.normalise import Column, Columns
from planner.logs.segment import Array, Segment, Series
from planner.logs.units import in_nats

LARGEST_STEP = 9e15  # beyond it a float holds no whole number exactly


def points_of(
    segment: Segment, columns: Columns, settings: Mapping[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, str]]:
    """Points of a segment with one column per measure, its other evaluations, and the units and names of its losses.

    A metric whose steps go back has laps; a point of a metric that was logged more rarely belongs to the last lap that
    covers its step.
    """
    chosen = {ours: column for ours, column in columns.points.items() if ours != "step"}
    units: dict[str, str] = {}
    series: dict[str, Series] = {}
    for ours, column in chosen.items():
        theirs = segment.history[column.theirs]
        values, unit = _converted(theirs.value, column, settings)
        if values is None:
            continue
        unnumbered = theirs.step.size > 0 and bool(np.isnan(theirs.step).all())
        step = np.arange(1.0, theirs.step.size + 1) if unnumbered else theirs.step
        series[ours] = Series(step, values, theirs.time)
        if ours == "loss":
            units |= {"loss_unit": unit, "loss_name": _set_name(column.theirs)}
        elif ours == "train_loss":
            units |= {"train_loss_name": column.theirs}
    points = _beside(series) if series else pd.DataFrame()
    others = [_evaluation(segment, column, settings) for column in columns.evals]
    return points, pd.concat(others, ignore_index=True) if others else pd.DataFrame(), units


def _set_name(theirs: str) -> str:
    """The evaluation set that a metric's name tells: "eval/c4/loss" is "eval/c4"."""
    return theirs.rpartition("/")[0] or theirs


def _converted(values: Array, column: Column, settings: Mapping[str, Any]) -> tuple[Array | None, str]:
    """A metric in our unit; None where the setting that it needs was not logged."""
    values = np.asarray(values, float)
    name, unit = column.name, ""
    factor = name.factor
    if name.times:
        times = settings.get(name.times)
        if not isinstance(times, float):
            return None, ""
        factor *= times
    if name.ours in ("loss", "train_loss"):
        unit, first, more = in_nats(name.unit, settings.get("bytes_per_token"))
        with np.errstate(invalid="ignore", divide="ignore"):
            values = (np.log(values) if first else values) * (factor * more)
        return np.where(np.isnan(values), np.inf, values), unit or NATS
    if name.ours == "mfu":
        values = np.where(values * factor > 1.5, values * factor / 100, values * factor)
        return values, ""
    return values * factor, ""


def _evaluation(segment: Segment, column: Column, settings: Mapping[str, Any]) -> pd.DataFrame:
    series = segment.history[column.theirs]
    values, unit = _converted(series.value, column, settings)
    keep = _whole(series.step)
    if values is None:
        return pd.DataFrame()
    return pd.DataFrame({
        "step": series.step[keep].astype(np.int64), "name": _set_name(column.theirs), "unit": unit, "value": values[keep],
    })  # fmt: skip


def _whole(step: Array) -> NDArray[np.bool_]:
    return np.isfinite(step) & (np.abs(np.nan_to_num(step)) < LARGEST_STEP)


def _beside(series: Mapping[str, Series]) -> pd.DataFrame:
    """Series as columns of one table, in the order in which their points were logged."""
    steps = [one.step for one in series.values()]
    alike = all(one.size == steps[0].size and np.array_equal(one, steps[0]) for one in steps[1:])
    if alike and _whole(steps[0]).all():
        frame = pd.DataFrame({"step": steps[0].astype(np.int64)} | {ours: one.value for ours, one in series.items()})
        return _timed(frame, series)
    laps = {ours: _laps(one.step) for ours, one in series.items()}
    longest = max(series, key=lambda ours: int(laps[ours].max(initial=0)))
    floor = _floors(series[longest].step, laps[longest])
    frames = []
    for ours, one in series.items():
        keep = _whole(one.step)
        lap = laps[ours]
        if int(lap.max(initial=0)) < floor.size - 1:  # it slept through a restart
            lap = np.maximum(np.searchsorted(np.minimum.accumulate(floor[::-1])[::-1], one.step, side="right") - 1, 0)
        frame = pd.DataFrame({"lap": lap[keep], "step": one.step[keep].astype(np.int64), ours: one.value[keep]})
        if one.time is not None:
            frame["time"] = one.time[keep]
        frame["again"] = frame.groupby(["lap", "step"]).cumcount()
        frames.append(frame.set_index(["lap", "step", "again"]))
    merged = frames[0]
    for frame in frames[1:]:
        time = merged.get("time")
        both = merged.drop(columns="time", errors="ignore").join(
            frame.drop(columns="time", errors="ignore"), how="outer"
        )
        later = frame.get("time")
        if time is not None or later is not None:
            both["time"] = (time if time is not None else later).reindex(both.index)  # type: ignore[union-attr]
            if time is not None and later is not None:
                both["time"] = both["time"].fillna(later.reindex(both.index))
        merged = both
    return merged.sort_index(kind="stable").reset_index().drop(columns=["lap", "again"])


def _timed(frame: pd.DataFrame, series: Mapping[str, Series]) -> pd.DataFrame:
    time = next((one.time for one in series.values() if one.time is not None), None)
    if time is not None and "time" not in frame:
        frame["time"] = time
    return frame


def _laps(step: Array) -> NDArray[np.int64]:
    """How often the steps had gone back (or stood) before each point."""
    if not step.size:
        return np.zeros(0, np.int64)
    with np.errstate(invalid="ignore"):
        return np.concatenate([[0], np.cumsum(step[1:] <= step[:-1])]).astype(np.int64)


def _floors(step: Array, lap: NDArray[np.int64]) -> Array:
    """The first step of each lap."""
    if not step.size:
        return np.zeros(1)
    return step[np.searchsorted(lap, np.arange(int(lap.max()) + 1))]
