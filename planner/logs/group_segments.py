"""Groups of rows become segments, with what the rows say of their run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from planner.logs.load import Loaded, Register
from planner.logs.names import NATS
from planner.logs.normalise import Columns, columns_of, settings_of
from planner.logs.row_groups import Group
from planner.logs.row_table import other_setting, segment_of
from planner.logs.segment import Bulk
from planner.logs.units import in_nats

MULTIPLIERS = ("context_length", "n_accelerators", "bytes_per_token")  # settings that measures of a point need


def segments_of(
    register: Register, bulk: Bulk, columns: Columns, groups: Sequence[Group], loaded: Loaded
) -> pd.DataFrame:
    """The runs of a bulk table, registered: a row each of (file, key, segment, known, MULTIPLIERS).

    What changes within a run is no setting; rows without an id are counted.
    """
    changing = {name for group in groups if group.stepped for name, (_, changes) in group.cells.items() if changes}
    loaded.unused |= dict.fromkeys(name for name in columns.others if name in changing)
    loaded.mapped |= {theirs: ours for theirs, ours in columns.mapped.items() if theirs not in changing}
    units = _units(columns)
    found = []
    said: Columns | None = None
    for group in groups:
        if group.unnumbered:
            loaded.skipped["row whose step is no number"] += group.unnumbered
        if group.key is None and group.stepped:
            loaded.skipped["row without a run id"] += group.stepped
        if group.key is None or not group.stepped:
            continue
        config = {
            name: value for name, (value, _) in group.cells.items() if not (name in changing and name in columns.others)
        }
        flat = {**config, **loaded.constants}
        said = said or columns_of(flat, dialect=bulk.dialect, given=loaded.given, steps=False)
        settings = _settings(group, columns, config, settings_of(flat, said), units)
        segment = segment_of(bulk, group.file, group.key, settings, config)
        number, known, changed = register.number(segment, settings, config)
        if changed:
            loaded.touched.add(number)
        found.append((group.file, group.key, number, known, *(_number(settings, name) for name in MULTIPLIERS)))
    register.write()
    return pd.DataFrame(found, columns=["file", "key", "segment", "known", *MULTIPLIERS])


def _settings(
    group: Group, columns: Columns, config: Mapping[str, str | None], known: Mapping[str, Any], units: Mapping[str, str]
) -> dict[str, Any]:
    """The known settings of a run, those that nothing here knows, what its losses are, and the step declared final."""
    others = {name: other_setting(config[name]) for name in config if name in columns.others}
    settings = {**known, **{name: value for name, value in others.items() if value is not None}, **units}
    if "is_final" in columns.settings:
        settings.pop("is_final", None)
        settings["final_step"] = -1.0 if group.final_step is None else float(group.final_step)
    return settings


def _number(settings: Mapping[str, Any], name: str) -> float | None:
    value = settings.get(name)
    return value if isinstance(value, float) else None


def _units(columns: Columns) -> dict[str, str]:
    """Units and names of the losses; bits per byte stay so in a table, unless every run says its bytes per token."""
    found: dict[str, str] = {}
    loss, train = columns.points.get("loss"), columns.points.get("train_loss")
    if loss is not None and "loss_unit" not in columns.settings:
        one = 1.0 if "bytes_per_token" in columns.settings else None
        found["loss_unit"] = in_nats(loss.name.unit, one)[0] or NATS
    if loss is not None and "loss_name" not in columns.settings and loss.theirs.lower() != "loss":
        found["loss_name"] = loss.theirs.rpartition("/")[0] or loss.theirs
    if train is not None:
        found["train_loss_name"] = train.theirs
    return found


__all__ = ["MULTIPLIERS", "segments_of"]
