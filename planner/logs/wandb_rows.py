"""The rows of a W&B history, as its API gives them and as pandas saves them: metrics beside `_step` and `_timestamp`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from planner.logs.curves import Curves, OwnSteps, number
from planner.logs.source import nested


def history_of(rows: Iterable[Mapping[str, Any]], *, nan_is_missing: bool) -> tuple[Curves, float | None, float | None]:
    """The metrics of the rows, and when the first and the last was logged (seconds since 1970 UTC).

    `nan_is_missing` for csv files, where a metric that was not logged at a step may be NaN too.
    """
    curves, steps, first, last = Curves(), OwnSteps(), math.nan, math.nan
    for count, row in enumerate(rows):
        values = {name: found for name, value in nested(row).items() if (found := number(value)) is not None}
        if nan_is_missing:
            values = {name: value for name, value in values.items() if not math.isnan(value)}
        time = values.get("_timestamp", math.nan)
        first, last = (time if math.isnan(first) else first), (last if math.isnan(time) else time)
        step = steps.of(values, values.get("_step", float(count)))
        for name, value in values.items():
            if not name.startswith(("_", "Unnamed: ")):  # pandas names an index without a name
                curves.add(name, step, value, time)
    return curves, None if math.isnan(first) else first, None if math.isnan(last) else last


__all__ = ["history_of"]
