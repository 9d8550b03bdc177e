"""What a formula is: a frozen tree of numbers, names and operations, that prints itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from planner.laws.centre import Array

FUNCTIONS = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt}
_OPERATORS = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power}
_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
_SIGN, _VALUE = 3, 5


@dataclass(frozen=True)
class Number:
    """A number that is not negative."""

    value: float

    def __str__(self) -> str:
        """As a formula that parses to this."""
        short = f"{self.value:g}"
        return short if float(short) == self.value else repr(self.value)


@dataclass(frozen=True)
class Name:
    """A variable or a letter."""

    name: str

    def __str__(self) -> str:
        """As a formula that parses to this."""
        return self.name


@dataclass(frozen=True)
class Negative:
    """Minus something."""

    operand: Expression

    def __str__(self) -> str:
        """As a formula that parses to this."""
        return f"-{_bracketed(self.operand, _SIGN + 1)}"


@dataclass(frozen=True)
class Call:
    """exp, log (natural) or sqrt of something."""

    function: str
    argument: Expression

    def __str__(self) -> str:
        """As a formula that parses to this."""
        return f"{self.function}({self.argument})"


@dataclass(frozen=True)
class Binary:
    """left op right, with op one of + - * / ^."""

    op: str
    left: Expression
    right: Expression

    def __str__(self) -> str:
        """As a formula that parses to this."""
        binding = _BINDING[self.op]
        gap = " " if binding == 1 else ""
        left = _bracketed(self.left, binding + (self.op == "^"))
        right = _bracketed(self.right, _VALUE if isinstance(self.right, Negative) else binding + 1)
        return f"{left}{gap}{self.op}{gap}{right}"


Expression = Number | Name | Negative | Call | Binary


def _bracketed(expression: Expression, least: int) -> str:
    """As text, in brackets if it binds less than `least`."""
    binding = _VALUE
    if isinstance(expression, Binary):
        binding = _BINDING[expression.op]
    elif isinstance(expression, Negative):
        binding = _SIGN
    return f"({expression})" if binding < least else str(expression)


def children(expression: Expression) -> tuple[Expression, ...]:
    """The parts of an expression."""
    if isinstance(expression, Binary):
        return expression.left, expression.right
    if isinstance(expression, Negative):
        return (expression.operand,)
    return (expression.argument,) if isinstance(expression, Call) else ()


def parts(root: Expression) -> Iterator[Expression]:
    """The expression and everything in it, from left to right."""
    waiting = [root]
    while waiting:
        expression = waiting.pop()
        yield expression
        waiting += reversed(children(expression))


def size(root: Expression) -> int:
    """Names, numbers and operations."""
    return sum(1 for _ in parts(root))


def names(root: Expression) -> tuple[str, ...]:
    """Every name once, in order of appearance."""
    return tuple(dict.fromkeys(part.name for part in parts(root) if isinstance(part, Name)))


def power_depth(root: Expression) -> int:
    """How many powers lie inside one another."""
    deepest, waiting = 0, [(root, 0)]
    while waiting:
        expression, depth = waiting.pop()
        depth += isinstance(expression, Binary) and expression.op == "^"
        deepest = max(deepest, depth)
        waiting += [(child, depth) for child in children(expression)]
    return deepest


def evaluate(expression: Expression, values: Mapping[str, Array]) -> Array:
    """The value at the values of all names; nan or infinity where it has none."""
    with np.errstate(all="ignore"):
        return _evaluate(expression, values)


def _evaluate(expression: Expression, values: Mapping[str, Array]) -> Array:
    if isinstance(expression, Number):
        return np.asarray(expression.value)
    if isinstance(expression, Name):
        return values[expression.name]
    inner = [_evaluate(child, values) for child in children(expression)]
    if isinstance(expression, Negative):
        return np.asarray(-inner[0])
    if isinstance(expression, Call):
        return np.asarray(FUNCTIONS[expression.function](inner[0]))
    return np.asarray(_OPERATORS[expression.op](*inner))
