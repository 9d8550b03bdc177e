"""The metrics of one segment while they are read, and what single logged values mean as Python values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from planner.logs.names import meaning
from planner.logs.normalise import ungrouped
from planner.logs.segment import Series
from planner.logs.source import nested

_TRAVELS_AS = ("planner_run_id", "planner.run_id", "planner/run_id")


class Curves:
    """Values by metric in the order they are logged; `series` makes arrays of them."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[list[float], list[float], list[float]]] = {}

    def add(self, name: str, step: float, value: float, time: float = math.nan) -> None:
        """One value of the metric `name`; `time` is seconds since 1970 UTC, NaN when it was not logged."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = ([], [], [])
        found[0].append(step)
        found[1].append(value)
        found[2].append(time)

    def __bool__(self) -> bool:
        """Whether anything was logged."""
        return bool(self._found)

    def series(self) -> dict[str, Series]:
        """Each metric as arrays `(n_points,)`."""
        return {name: _series(*found) for name, found in self._found.items()}


def _series(steps: list[float], values: list[float], times: list[float]) -> Series:
    time = np.array(times, dtype=float)
    return Series(np.array(steps, dtype=float), np.array(values, dtype=float), None if np.isnan(time).all() else time)


def number(value: object) -> float | None:
    """A logged value as a float: 2.5, "2.5", "1,024", "NaN", "-Infinity"; None for what is not a number."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        value = ungrouped(value.strip())
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.copysign(math.inf, value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def setting(text: str) -> Any:  # noqa: ANN401 - what people write in a config
    """A setting as it was printed: "4096" is 4096, "True" is True, "None" is None, and the rest stays text."""
    words: dict[str, Any] = {"true": True, "false": False, "none": None, "null": None}
    plain = text.strip()
    if plain.lower() in words:
        return words[plain.lower()]
    found = number(plain)
    if found is None:
        return plain
    whole = re.fullmatch(r"[+-]?\d+", plain.replace(",", ""))
    return int(plain.replace(",", "")) if whole and len(plain) < 40 else found


def last_values(summary: Mapping[str, Any], history: Mapping[str, Series], dialect: str) -> dict[str, float]:
    """The numbers of a summary that tell more than the history does, without what a tracker adds (`_runtime`).

    A learning rate's last value is left out: taken for a setting it would be the peak.
    """
    found = {name: number(value) for name, value in nested(summary).items() if name not in history and name[:1] != "_"}
    return {
        name: value
        for name, value in found.items()
        if value is not None and ((known := meaning(name, dialect)) is None or known.ours != "lr")
    }


class OwnSteps:
    """The optimizer step of each row of a logger that only counts its own calls, as W&B's `_step` does.

    A row that holds a step under a name of its own ("global_step", "trainer/global_step") is at that step, and so are the rows
    after it that hold none.
    """

    def __init__(self) -> None:
        self._names: dict[str, bool] = {}
        self._last: float | None = None

    def of(self, row: dict[str, float], counted: float) -> float:
        """The step of `row`, whose own step is taken out of it; `counted` is the logger's count."""
        for name in [name for name in row if self._is_step(name)]:
            value = row.pop(name)
            self._last = value if math.isfinite(value) else self._last
        return counted if self._last is None else self._last

    def _is_step(self, name: str) -> bool:
        if name not in self._names:
            known = meaning(name)
            self._names[name] = known is not None and known.ours == "step" and not name.startswith("_")
        return self._names[name]


def travelled(*settings: Mapping[str, Any]) -> str:
    """The planner's run_id in a config or in tags, where it travelled as `planner_run_id`; else ""."""
    for flat in (nested(known) for known in settings):
        for name, value in flat.items():
            if isinstance(value, str) and name.lower().endswith(_TRAVELS_AS):
                return value
    return ""


__all__ = ["Curves", "OwnSteps", "last_values", "number", "setting", "travelled"]
