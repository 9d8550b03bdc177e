"""Architectures from a Hugging Face config.json."""

from __future__ import annotations

import difflib
import json
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.catalog import build
from planner.models.huggingface_families import FAMILIES
from planner.models.huggingface_keys import NULL, Keys, shown

_SAME_CLASSES = {"kimi_k2": "deepseek_v3"}  # moonshotai/Kimi-K2-Base: its auto_map names DeepseekV3Config
_NOT_DECODERS = ("is_encoder_decoder", "add_cross_attention")


@dataclass(frozen=True)
class ConfigReading:
    """An architecture, and the config class's defaults it took for keys the file leaves out (None is null)."""

    architecture: Architecture
    assumed: MappingProxyType[str, Any]


def read_config(text: str, name: str) -> ConfigReading:
    """The architecture that `text`, the contents of the config.json that `name` points to, describes.

    A key that the published config class has a default for may be missing. Raises InputError for anything else: an
    unknown `model_type`, a missing key, a value of the wrong kind, or a shape the planner cannot count.
    """
    given = _parsed(text, name)
    kind = _kind(given, name)
    family = _SAME_CLASSES.get(kind, kind)
    also, defaults = _class(family)
    keys = Keys(name, kind, given, defaults, also)
    fields = {"family": kind.replace("_", "-"), **FAMILIES[family](keys)}
    return ConfigReading(build(_title(given, kind), fields, name), MappingProxyType(keys.assumed))


@cache
def _classes() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("planner.models").joinpath("huggingface.toml").read_text(encoding="utf-8"))


def _class(family: str) -> tuple[dict[str, str], dict[str, Any]]:
    """A config class's second spellings of keys, and its defaults."""
    table = _classes()[family]
    defaults = {key: None if value == NULL else value for key, value in table.items() if key != "also"}
    return table.get("also", {}), defaults


def _parsed(text: str, place: str) -> dict[str, Any]:
    """The JSON object in `text`, every key at most once."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise InputError(f"{place}: {shown(key)} is there twice", "keep one")
            found[key] = value
        return found

    try:
        found = json.loads(text, object_pairs_hook=once)
    except RecursionError:
        raise InputError(f"{place}: nested too deeply", "give the config.json of a model") from None
    except ValueError as error:  # also of numbers too long to read
        raise InputError(f"{place}: not JSON: {error}", "give the config.json of a model") from None
    if not isinstance(found, dict):
        raise InputError(f"{place}: {shown(found)} is not a JSON object", "give the config.json of a model")
    return found


def _kind(given: dict[str, Any], place: str) -> str:
    """The model_type, if it is one whose shape can be told."""
    if "text_config" in given:
        raise InputError(f"{place}: text_config: a multimodal config", "put its text_config into a file of its own")
    for key in _NOT_DECODERS:
        if given.get(key):
            raise InputError(f"{place}: {key} = {shown(given[key])}", "only decoders can be planned")
    kind, known = given.get("model_type"), [*FAMILIES, *_SAME_CLASSES]
    if isinstance(kind, str) and kind in known:
        return kind
    near = difflib.get_close_matches(str(kind), known, n=1)
    said = f"model_type {shown(kind)} is not known" if "model_type" in given else "model_type is missing"
    hint = f"did you mean {near[0]!r}? known: " if near else "one of: "
    raise InputError(f"{place}: {said}", hint + ", ".join(known))


def _title(given: dict[str, Any], kind: str) -> str:
    """What the file calls its model, if that is a name."""
    called = given.get("_name_or_path")
    return called if isinstance(called, str) and 0 < len(called) <= 100 and called.isprintable() else kind
