"""Laws with as many letters as the runs have domains, stages or groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import make_dataclass
from typing import cast

from planner.laws.formula.from_formula import FromFormula


def law_class(title: str, letters: Sequence[str], contents: Mapping[str, object]) -> type[FromFormula]:
    """A frozen dataclass of a formula law: `letters` are its fields, `contents` its class variables and docstring."""
    fields = [(letter, float) for letter in letters]
    made = make_dataclass(title, fields, bases=(FromFormula,), frozen=True, namespace=dict(contents))
    return cast("type[FromFormula]", made)
