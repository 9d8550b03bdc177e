"""What loss does: one file per law. Those written by hand are listed here, those written as formulas in `published`."""

from __future__ import annotations

import difflib

from planner.errors import InputError
from planner.laws.chinchilla import Chinchilla
from planner.laws.coupled import Coupled
from planner.laws.law import Law
from planner.laws.published import PUBLISHED

HAND_WRITTEN: tuple[type[Law], ...] = (Chinchilla, Coupled)
LAWS: dict[str, type[Law]] = {law.name: law for law in (*HAND_WRITTEN, *PUBLISHED)}


def find_law(name: str) -> type[Law]:
    """A law by name; InputError names the nearest one when there is none."""
    if name not in LAWS:
        near = difflib.get_close_matches(name, LAWS, n=1)
        raise InputError(f"unknown law {name!r}", f"did you mean {near[0]!r}?" if near else "`planner laws` lists them")
    return LAWS[name]


__all__ = ["HAND_WRITTEN", "LAWS", "Chinchilla", "Coupled", "Law", "find_law"]
