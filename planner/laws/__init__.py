"""What loss does: one file per law. Those written by hand are listed here, those written as formulas in `published`."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from planner.errors import InputError
from planner.laws.chinchilla import Chinchilla
from planner.laws.coupled import Coupled
from planner.laws.formula import FromFormula
from planner.laws.law import Law
from planner.laws.published import PUBLISHED
from planner.laws.published.data_mixture import data_mixture
from planner.laws.published.group_factors import group_factors
from planner.laws.published.multi_power import multi_power

HAND_WRITTEN: tuple[type[Law], ...] = (Chinchilla, Coupled)
LAWS: dict[str, type[Law]] = {law.name: law for law in (*HAND_WRITTEN, *PUBLISHED)}


# Laws of any size: `data-mixture:web,code,books`, `group-factors:muon`, `multi-power:3`.
FAMILIES: dict[str, Callable[[str], type[FromFormula]]] = {
    "data-mixture": lambda members: data_mixture(members.split(",")),
    "group-factors": lambda members: group_factors(members.split(",")),
    "multi-power": lambda members: multi_power(int(members) if members.isdecimal() else 0),
}


def find_law(name: str) -> type[Law]:
    """A law by name, or one of a family with its members after a colon; InputError names the nearest one when there is none."""
    family, _, members = name.partition(":")
    if members and family in FAMILIES:
        law = FAMILIES[family](members)
        return type(law.__name__, (law,), {"__module__": law.__module__, "__doc__": law.__doc__, "name": name})
    if name not in LAWS:
        near = difflib.get_close_matches(name, LAWS, n=1)
        raise InputError(f"unknown law {name!r}", f"did you mean {near[0]!r}?" if near else "`planner laws` lists them")
    return LAWS[name]


__all__ = ["HAND_WRITTEN", "LAWS", "Chinchilla", "Coupled", "Law", "find_law"]
