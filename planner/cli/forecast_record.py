"""The record of registered forecasts, as a report shows it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from planner.cli.forecast_files import HOME, Listed, list_forecasts
from planner.cli.holdouts import HOME as HELD_OUT
from planner.decisions.forecasts import hits
from planner.errors import InputError
from planner.quantities import human
from planner.store import RECORD, Folder


def write_record(folder: Folder, place: str | None) -> None:
    """Keep the forecasts registered under `place` (the folder's own, else results/forecasts) in a report's folder."""
    if place is not None and not Path(place).is_dir():
        raise InputError(f"{place}: no such folder", "`planner forecast FIT` registers forecasts in results/forecasts")
    own = folder.path / HELD_OUT
    source = Path(place or (own if own.is_dir() else HOME))
    listed, _ = list_forecasts(source) if source.is_dir() else ([], [])
    if place is not None and not listed:
        raise InputError(
            f"{place}: holds no forecast", "`planner forecast FIT --params ... --tokens ...` registers one"
        )
    if not listed:
        folder.drop(RECORD)
        return
    record = hits([each.score for each in listed if each.score])
    folder.write_json(RECORD, {"forecasts": [_row(each) for each in listed], "hits": asdict(record)})


def _row(each: Listed) -> dict[str, Any]:
    known, told, found = each.forecast, each.forecast.prediction, each.score
    size = f"{human(told.params)} on {human(told.tokens)}"
    remarks = ["edited"] if known.edited else [] if told.supported else ["not supported"]
    return {
        "of": f"{known.of} ({size})" if known.of else size,
        "registered": (each.registered or "")[:10],
        "law": known.law,
        "loss": told.loss,
        "low": told.interval_run[0],
        "high": told.interval_run[1],
        "level": told.level,
        "outcome": found.loss if found else None,
        "error": found.error if found else None,
        "inside": found.inside if found else None,
        "remark": ", ".join([*remarks, *(["score not usable"] if each.problem else [])]),
    }
