"""The grammar of `--where`: column, !column, column=value, column<number, ...; never evaluated as code."""

from __future__ import annotations

import contextlib
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from planner.errors import InputError
from planner.quantities import parse_count

_CLAUSE = re.compile(r"\s*(!?)\s*([A-Za-z_][\w./ -]*?)\s*(?:(<=|>=|!=|=|<|>)\s*([^<>=!,]+?))?\s*")
_COMPARE: dict[str, Callable[[pd.Series, float], pd.Series]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
TRUE, FALSE = {"true", "1", "1.0", "yes"}, {"false", "0", "0.0", "no", ""}
HELP = 'use column, !column, column=value or column<number (also <= > >= !=), joined by commas: "is_final,params>=1e9"'


@dataclass(frozen=True)
class Clause:
    """One condition on a row; without `symbol` the column itself must be true (or false when `negated`)."""

    column: str
    negated: bool
    symbol: str
    value: str


@dataclass(frozen=True)
class Where:
    """Conditions that a row must meet, all of them."""

    clauses: tuple[Clause, ...]

    @classmethod
    def parse(cls, text: str) -> Where:
        """Read the grammar; InputError shows the part that is outside it."""
        clauses = []
        for part in text.split(","):
            match = _CLAUSE.fullmatch(part)
            if match is None or (match.group(1) and match.group(3)):
                raise InputError(f"--where: {part.strip()!r} is outside the grammar", HELP)
            clause = Clause(match.group(2), bool(match.group(1)), match.group(3) or "", match.group(4) or "")
            if clause.symbol in _COMPARE:
                _limit(clause)
            clauses.append(clause)
        return cls(tuple(clauses))

    def keep(self, frame: pd.DataFrame) -> pd.Series:
        """Which rows of a table of strings meet every condition."""
        mask = pd.Series(True, index=frame.index)
        for clause in self.clauses:
            if clause.column not in frame:
                raise InputError(
                    f"--where: no column {clause.column!r}", f"columns: {', '.join(map(str, frame.columns))}"
                )
            mask &= _holds(clause, frame[clause.column])
        return mask


def _holds(clause: Clause, column: pd.Series) -> pd.Series:
    text = column.astype(str).str.strip()
    if not clause.symbol:
        lowered = text.str.lower()
        odd = ~lowered.isin(TRUE | FALSE)
        if odd.any():
            raise InputError(
                f"--where: column {clause.column!r} is not true/false: it holds {text[odd].iloc[0]!r}",
                f"compare it: {clause.column}=value",
            )
        return lowered.isin(FALSE if clause.negated else TRUE)
    if clause.symbol in ("=", "!="):
        equal = text == clause.value
        with contextlib.suppress(InputError):  # 1e9, 1B and 1000000000 are one number
            equal |= pd.to_numeric(text, errors="coerce") == parse_count(clause.value)
        return ~equal if clause.symbol == "!=" else equal
    return _COMPARE[clause.symbol](pd.to_numeric(text, errors="coerce"), _limit(clause))


def _limit(clause: Clause) -> float:
    """The number that a column is compared with; 1e9 and 1B are both fine."""
    try:
        return parse_count(clause.value)
    except InputError:
        shown = f"{clause.column}{clause.symbol}{clause.value}"
        raise InputError(f"--where: {shown!r} is outside the grammar: {clause.value!r} is not a number", HELP) from None
