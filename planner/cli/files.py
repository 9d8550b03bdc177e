"""Models and accelerators that an option names: from the catalog or from a user's file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.costs.accelerators import Accelerator
    from planner.models.architecture import Architecture

LARGEST = 1_000_000  # bytes; a shape or an accelerator is a page


def named_model(name: str) -> tuple[Architecture, dict[str, Any]]:
    """The architecture of a catalog name, a TOML file or a Hugging Face config.json, and config defaults it took."""
    from planner.models.catalog import find_model

    if name.endswith(".json"):
        from planner.models.huggingface import read_config

        reading = read_config(_text(name), name)
        return reading.architecture, dict(reading.assumed)
    return find_model(name, _text(name) if name.endswith(".toml") else None), {}


def named_accelerator(name: str) -> Accelerator:
    """The accelerator of a catalog name or a TOML file."""
    from planner.costs.accelerators import find_accelerator

    return find_accelerator(name, _text(name) if name.endswith(".toml") else None)


def _text(name: str) -> str:
    from planner.errors import InputError

    path = Path(name)
    if not path.is_file():
        raise InputError(
            f"{name}: {'is a folder' if path.is_dir() else 'no such file'}", "give a path or a catalog name"
        )
    if path.stat().st_size > LARGEST:
        raise InputError(
            f"{name}: {path.stat().st_size:,} bytes are too many for a shape", "give a config, not weights"
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8: {error}", "save it as UTF-8") from None
