"""The question as a file: a sweep in TOML, read with what lies beside it, checked key by key."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ValidationError

from planner.costs.accelerators import Accelerator, find_accelerator
from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.catalog import find_model
from planner.models.huggingface import read_config
from planner.runs.read import read_runs
from planner.runs.where import Where
from planner.sweep.file.costs import Cost
from planner.sweep.file.studies import STUDIES
from planner.sweep.file.tables import (
    Exploration,
    Final,
    Hyperparameters,
    Idea,
    Lab,
    Price,
    SweepFile,
    Target,
)
from planner.sweep.prior import finished
from planner.text import short

TABLES: dict[str, type[BaseModel]] = {
    "final": Final, "target": Target, "price": Price, "exploration": Exploration, "hyperparameters": Hyperparameters,
    "lab": Lab, "idea": Idea, "cost": Cost,
}  # fmt: skip
NEEDED = {  # columns of the tables beside a sweep
    "prior_runs": ("params_active", "tokens", "loss"),
    "runs": ("params_active_non_embedding", "tokens", "lr_peak", "batch_tokens", "loss"),
}


@dataclass(frozen=True)
class Sweep:
    """A checked sweep file with model, accelerator and tables read, where it came from, and a hash of all their bytes.

    `prior` are finished runs already paid for, `sunk` those of the same tables that did not finish: paid for all the same,
    and out of every fit. `tuning` is the grid that a fitted prescription rests on; None without.
    """

    file: SweepFile
    model: Architecture
    accelerator: Accelerator
    prior: pd.DataFrame | None
    tuning: pd.DataFrame | None
    source: str
    sha256: str
    sunk: pd.DataFrame | None = None


def read_sweep(path: str | Path) -> Sweep:
    """Read and check a sweep file; InputError names the file, the key, the value and what to try."""
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}", "`planner init` writes a first sweep to edit")
    content = path.read_bytes()
    try:
        raw = tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}", "quote texts, and write one key = value a line") from None
    try:
        file = SweepFile.model_validate(raw)
    except ValidationError as error:
        raise _translate(path, raw, error) from None
    digest = hashlib.sha256(content)
    try:
        accelerator = find_accelerator(file.final.accelerator, _beside(path, file.final.accelerator))
        model = _model(path, file.final.model)
    except InputError as error:
        raise InputError(f"{path}: final: {error.message}", error.hint) from None
    digest.update(repr((model, accelerator)).encode("utf-8"))
    prior, sunk = finished(_tables(path, file.exploration.prior_runs, NEEDED["prior_runs"], digest))
    tuning, _ = finished(_tables(path, [name for name in [file.hyperparameters.runs] if name], NEEDED["runs"], digest))
    for text in file.exploration.exclude:
        Where.parse(text)
    return Sweep(file, model, accelerator, prior, tuning, str(path), digest.hexdigest(), sunk)


def _tables(
    path: Path, names: tuple[str, ...] | list[str], needed: tuple[str, ...], digest: hashlib._Hash
) -> pd.DataFrame | None:
    """The runs of the tables beside the sweep, one after another."""
    found = []
    for name in names:
        table = read_runs(path.parent / name)
        missing = [column for column in needed if column not in table.frame]
        if missing:
            raise InputError(
                f"{path.parent / name}: no column {missing[0]!r}", f"the table needs {', '.join(needed)}, raw counts"
            )
        digest.update(table.sha256.encode("utf-8"))
        found.append(table.frame.drop(columns="line"))
    return pd.concat(found, ignore_index=True) if found else None


def _model(path: Path, name: str) -> Architecture:
    text = _beside(path, name)
    if text is not None and name.endswith(".json"):
        return read_config(text, name).architecture
    return find_model(name, text)


def _beside(path: Path, name: str) -> str | None:
    """What the file `name` beside the sweep holds; None for a catalog name."""
    if not name.endswith((".toml", ".json")):
        return None
    beside = path.parent / name
    if not beside.is_file():
        raise InputError(f"no file {beside}", "give a path relative to the sweep, or a catalog name")
    try:
        return beside.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{beside}: not UTF-8: {error}", "save it as UTF-8") from None


def _translate(path: Path, raw: dict[str, Any], error: ValidationError) -> InputError:
    # A mistyped key is also a missing one: name what was typed.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    place = _place(first["loc"])
    where = ".".join(str(part + 1) if isinstance(part, int) else part for part in place)
    context = first.get("ctx", {})
    match first["type"]:
        case "extra_forbidden":
            known = _known_keys(first["loc"][:-1])
            near = difflib.get_close_matches(str(place[-1]), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"keys there: {', '.join(known)}"
            return InputError(f"{path}: unknown key {where}", hint)
        case "missing" if isinstance(place[-1], int):
            where = ".".join(map(str, place[:-1]))
            return InputError(f"{path}: {where} has too few values", "two are wanted, the smallest and the largest")
        case "missing":
            return InputError(f"{path}: {where} is missing", f"add it; {COMPLETE}")
        case "union_tag_not_found":
            return InputError(f"{path}: {where}.kind is missing", f"one of: {', '.join(STUDIES)}")
        case "union_tag_invalid":
            return InputError(
                f"{path}: {where}.kind = {short(repr(context['tag']))} is unknown", f"one of: {', '.join(STUDIES)}"
            )
        case "quantity":
            return InputError(f"{path}: {where + ': ' if where else ''}{context['text']}", context["hint"])
        case "string_pattern_mismatch" if place[-1] in ("name", "domains") or "domains" in place:
            return InputError(
                f"{path}: {where} = {short(repr(first['input']))}", "use letters, digits, _ . - and no path"
            )
    says = _SAYS.get(first["type"], f"{first['msg'][0].lower()}{first['msg'][1:]}")
    return InputError(f"{path}: {where} = {short(repr(first['input']))}: {says}", COMPLETE)


COMPLETE = "`planner init` writes a complete sweep file to compare with"
_SAYS = {
    "too_long": "two values are wanted, the smallest and the largest",
    "too_short": "more values are wanted",
    "tuple_type": "a list is wanted",
    "model_type": "a table is wanted, as in [final]",
    "model_attributes_type": "a table is wanted, as in [final]",
    "string_too_long": "it is too long",
    "string_too_short": "it is empty",
    "string_pattern_mismatch": "it holds a NUL character",
}


def _place(location: tuple[int | str, ...]) -> list[int | str]:
    """Where a value stands, without pydantic's tags for the kind of a study and the alternatives of a type."""
    parts = list(location[:2])
    for part in location[2:]:
        tag = isinstance(part, str) and ("[" in part or part in ("quantity", *STUDIES))
        if not (tag and parts[0] == "study"):
            parts.append(part)
    return [part for part in parts if part != "quantity"]


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    table: type[BaseModel] = TABLES.get(str(location[0]), SweepFile) if location else SweepFile
    if len(location) > 2 and location[0] == "study":
        table = STUDIES[str(location[2])]
    return [field.alias or name for name, field in table.model_fields.items()]
