"""The keys of a Hugging Face config over the defaults of its class."""

from __future__ import annotations

import json
import reprlib
from dataclasses import dataclass, field
from typing import Any

from planner.errors import InputError

NULL = "null"  # in huggingface.toml, as TOML has none
_LARGEST = 2**53  # past it no count is meant


@dataclass(frozen=True)
class Keys:
    """The keys of one file over its class's defaults; `assumed` gathers the defaults that were taken.

    `also` has the second spelling of some keys, which the class reads as the first.
    """

    place: str
    kind: str
    given: dict[str, Any]
    defaults: dict[str, Any]
    also: dict[str, str]
    assumed: dict[str, Any] = field(default_factory=dict)

    def value(self, key: str) -> Any:  # noqa: ANN401 - whatever the file has
        """What the file gives under either spelling, or the class's default."""
        spellings = [key, self.also[key]] if key in self.also else [key]
        there = [spelling for spelling in spellings if spelling in self.given]
        if len(there) == 2 and self.given[there[0]] != self.given[there[1]]:
            raise self.wrong(" and ".join(f"{one} = {shown(self.given[one])}" for one in there), "the two are one key")
        if there:
            return self.given[there[0]]
        for spelling in spellings:
            if spelling in self.defaults:
                self.assumed[spelling] = self.defaults[spelling]
                return self.defaults[spelling]
        raise self.wrong(f"{key} is missing, and {self.kind} has no default for it", "add it")

    def count(self, key: str, least: int = 1) -> int:
        """A whole number of at least `least`."""
        found = self.maybe(key, least)
        if found is None:
            raise self.wrong(f"{key} is null", f"give a whole number from {least}")
        return found

    def maybe(self, key: str, least: int = 1) -> int | None:
        """A whole number of at least `least`, or null."""
        found = self.value(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int) or not least <= found < _LARGEST:
            raise self.wrong(f"{key} = {shown(found)} is not a count", f"give a whole number from {least} to 2**53")
        return found

    def flag(self, key: str) -> bool:
        """True or false."""
        found = self.value(key)
        if not isinstance(found, bool):
            raise self.wrong(f"{key} = {shown(found)} is not true or false", "give one of the two")
        return found

    def indices(self, key: str) -> list[int]:
        """Numbers of layers from 0; null is none."""
        found = self.value(key)
        if found is None:
            return []
        if not isinstance(found, list) or any(type(item) is not int or item < 0 for item in found):
            raise self.wrong(f"{key} = {shown(found)} is not a list of layers", "give whole numbers from 0")
        return found

    def require(self, key: str, only: object) -> None:
        """Refuse any other value: it would change what is counted in a way an Architecture cannot say."""
        found = self.value(key)
        if found != only or type(found) is not type(only):
            raise self.wrong(f"{key} = {shown(found)} is not supported", f"only {shown(only)} can be counted")

    def wrong(self, what: str, hint: str) -> InputError:
        """An error at the place of this file."""
        return InputError(f"{self.place}: {what}", hint)


def shown(value: object) -> str:
    """A value as the file spells it, on one short line."""
    text = reprlib.repr(value) if isinstance(value, list | dict) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
