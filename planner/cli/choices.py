"""Options with a few known values."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

Kind = TypeVar("Kind", bound=StrEnum)


def choice(option: str, text: str, kind: type[Kind]) -> Kind:
    """The value of `kind` that `text` names; raises InputError with all of them otherwise."""
    from planner.errors import InputError

    try:
        return kind(text.strip().lower())
    except ValueError:
        raise InputError(f"{option} {text!r} is not known", f"one of: {', '.join(kind)}") from None
