"""Files of forecasts: FILE.json, its date in FILE.provenance.json, its score in FILE.score.json."""

from __future__ import annotations

import datetime
import hashlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.decisions.forecasts import Forecast, Score

HOME = "results/forecasts"
LARGEST = 1_000_000  # bytes; a forecast is a page


@dataclass(frozen=True)
class Listed:
    """One forecast of a folder; `problem` is why its score cannot be used."""

    path: Path
    forecast: Forecast
    registered: str | None
    score: Score | None
    problem: str


def place_for(output: str | None, name: str) -> Path:
    """The file to register in: the one named, or one of our own naming in a folder."""
    from planner.errors import InputError

    place = Path(output or HOME)
    if output is None or place.is_dir():
        return place / name
    if place.suffix != ".json" or place.name.endswith((".score.json", ".provenance.json")):
        raise InputError(f"{output}: a forecast's file ends in .json", "for example -o forecasts/7b.json")
    return place


def register_forecast(path: Path, text: str, inputs: dict[str, str]) -> tuple[Path, bool]:
    """Write a forecast and, beside it, its date and origin; an identical one is kept with its first date."""
    from planner.encode import to_json
    from planner.errors import InputError
    from planner.store import planner_version
    from planner.text import scrubbed

    new = not path.exists()
    if not new and _text(path) != text:
        raise InputError(
            f"{path}: another forecast is registered here", "forecasts are never overwritten: choose another -o"
        )
    if new:
        write_text(path, text)
    if new or not _provenance_path(path).exists():
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        arguments = [scrubbed(argument) for argument in sys.argv[1:]]
        told = {"schema": 1, "command": "forecast", "arguments": arguments, "planner": planner_version(),
                "inputs": inputs, "files": {path.name: hashlib.sha256(text.encode()).hexdigest()}, "written": now}  # fmt: skip
        write_text(_provenance_path(path), to_json(told) + "\n")
    return path, new


def _provenance_path(path: Path) -> Path:
    return path.with_suffix(".provenance.json")


def score_path(path: Path) -> Path:
    """Where a forecast's score stands."""
    return path.with_suffix(".score.json")


def registered_on(path: Path) -> str | None:
    """When a forecast was registered, if that is known."""
    from planner.errors import PlannerError
    from planner.store import read_json

    try:
        return str(read_json(_provenance_path(path)).get("written") or "") or None
    except PlannerError:
        return None


def write_text(path: Path, text: str) -> None:
    """Write atomically."""
    from planner.store import write_bytes

    write_bytes(path, text.encode("utf-8"))


def _text(path: Path) -> str:
    from planner.errors import InputError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is there and cannot be read: {error}", "choose another -o") from None


def as_read(record: dict[str, Any]) -> dict[str, Any]:
    """A record as it reads back."""
    import json

    from planner.encode import to_json

    return dict(json.loads(to_json(record)))


def read_forecast(path: Path) -> Forecast:
    """A registered forecast; one that is not what was registered is marked as edited."""
    from planner.decisions.forecasts import forecast_from_record
    from planner.errors import InputError
    from planner.store import read_json

    if not path.is_file():
        raise InputError(
            f"{path}: {'is a folder' if path.is_dir() else 'no such file'}",
            "`planner forecasts DIR` lists what there is",
        )
    known = forecast_from_record(read_json(path), str(path))
    return known if not _touched(path) else replace(known, edited=True)


def _touched(path: Path) -> bool:
    """Whether the file is not the one whose hash stands in its provenance."""
    from planner.errors import PlannerError
    from planner.store import read_json

    try:
        digest = read_json(_provenance_path(path))["files"][path.name]
    except (PlannerError, KeyError, TypeError):
        return False  # no provenance: the seal inside is all there is
    return bool(digest != hashlib.sha256(path.read_bytes()).hexdigest())


def list_forecasts(folder: Path) -> tuple[list[Listed], list[str]]:
    """Every forecast under a folder, in the order in which they were registered, and what is wrong with broken ones."""
    from planner.decisions.forecasts import KIND, score_from_record
    from planner.errors import InputError
    from planner.store import read_json

    found, broken = [], []
    for path in sorted(folder.rglob("*.json")):
        if path.name.startswith(".") or not path.is_file() or path.stat().st_size > LARGEST:
            continue
        try:
            ours = read_json(path).get("kind") == KIND
        except InputError:
            continue  # not ours
        if not ours:
            continue
        try:
            known = read_forecast(path)
        except InputError as error:
            broken.append(error.message)
            continue
        scored, problem = None, ""
        if score_path(path).exists():
            try:
                scored = score_from_record(read_json(score_path(path)), known, str(score_path(path)))
            except InputError as error:
                problem = error.message
        found.append(Listed(path, known, registered_on(path), scored, problem))
    return sorted(found, key=lambda each: (each.registered or "", str(each.path))), broken
