"""The models room's own catalog, and architectures from a user's TOML file."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from planner.errors import InputError
from planner.models.architecture import Architecture

_ADAPTER = TypeAdapter(Architecture)


@dataclass(frozen=True)
class ModelEntry:
    """A published shape as the catalog has it: fields of an Architecture, where they were read, the published total."""

    name: str
    fields: dict[str, Any]
    source: str
    published: int | None


@cache
def model_entries() -> dict[str, ModelEntry]:
    """The catalog by name, every family's shared fields written out."""
    families = tomllib.loads(files("planner.models").joinpath("catalog.toml").read_text(encoding="utf-8"))
    entries = {}
    for family, group in families.items():
        for name, given in group["models"].items():
            fields = {"family": family, **group.get("shared", {}), **given}
            source, published = fields.pop("source", group["source"]), fields.pop("published", None)
            fields.setdefault("n_kv_heads", fields["n_heads"])
            fields.setdefault("head_dim", fields["d_model"] // fields["n_heads"])
            entries[name] = ModelEntry(name, fields, source, published)
    return entries


def find_model(name: str, text: str | None = None) -> Architecture:
    """An architecture by catalog name, or from `text`, the contents of the TOML file that `name` points to.

    Raises InputError for an unknown name, a missing or unknown field, or a value that is not a positive count.
    """
    if text is not None:
        try:
            return build(Path(name).stem, tomllib.loads(text), name)
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{name}: not TOML: {error}", "see docs/design.md for the form of a model file") from None
    key = name.lower()
    if key not in model_entries():
        near = difflib.get_close_matches(key, model_entries(), n=1)
        raise InputError(
            f"unknown model {name!r}",
            f"did you mean {near[0]!r}?" if near else "see `planner models`, or give a TOML file",
        )
    return build(key, model_entries()[key].fields, "planner's catalog")


def build(name: str, fields: dict[str, Any], place: str) -> Architecture:
    """An architecture from its fields; InputError names `place` and the field that is wrong."""
    given = {key: value for key, value in fields.items() if key != "source"}
    try:
        model = _ADAPTER.validate_python({"family": name, **given, "name": name})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"].startswith("greater_than"):
            raise InputError(
                f"{place}: {where} = {first['input']} is not a positive count", "give a whole number"
            ) from None
        raise InputError(f"{place}: {where}: {first['msg'].lower()}", "docs/design.md lists a shape's fields") from None
    experts = model.experts
    if experts and experts.experts_per_token > experts.n_experts:
        raise InputError(
            f"{place}: experts_per_token = {experts.experts_per_token} of {experts.n_experts} experts", "lower it"
        )
    if experts and experts.n_dense_layers > model.n_layers:
        raise InputError(f"{place}: n_dense_layers = {experts.n_dense_layers} of {model.n_layers} layers", "lower it")
    if model.n_heads % model.n_kv_heads:
        raise InputError(
            f"{place}: n_kv_heads = {model.n_kv_heads} does not divide n_heads = {model.n_heads}", "mend one"
        )
    return model
