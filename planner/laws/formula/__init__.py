"""Laws from formulas: a grammar, exact derivatives, starting points; nothing is evaluated as Python."""

from __future__ import annotations

from planner.laws.formula.from_formula import FromFormula, make_law
from planner.laws.formula.grammar import parse

__all__ = ["FromFormula", "make_law", "parse"]
