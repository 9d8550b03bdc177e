"""Formulas as a graph of shared operations, for exact derivatives without repeated work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Node(NamedTuple):
    """An operation on earlier nodes.

    `column` j is a variable, `atom` k an affine function of theta, `term` k its exponential, `number` a constant;
    `power` has a constant exponent in `value`, `log0` is the logarithm that takes zero for a tiny number, `softplus` is
    ln(1 + e^a) and `sigmoid` its derivative.
    """

    op: str
    args: tuple[int, ...] = ()
    value: float = 0.0


class Affine(NamedTuple):
    """constant + sum of coefficient x theta; nodes of the variables alone, by index of theta."""

    constant: int
    coefficients: tuple[tuple[int, int], ...]


class Graph:
    """Nodes, each written once; arguments have lower numbers than what uses them. Grows while a formula is read."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.fixed: list[bool] = []  # whether a node is a function of the variables alone
        self.atoms: list[Affine] = []
        self._seen: dict[Node, int] = {}
        self.zero, self.one = self.number(0.0), self.number(1.0)

    def number(self, value: float) -> int:
        """A constant."""
        return self._add(Node("number", (), float(value)), True)

    def column(self, index: int) -> int:
        """A variable."""
        return self._add(Node("column", (index,)), True)

    def atom(self, affine: Affine) -> int:
        """An affine function of theta."""
        return self._add(Node("atom", (self._atom(affine),)), False)

    def term(self, affine: Affine) -> int:
        """The exponential of an affine function of theta."""
        return self._add(Node("term", (self._atom(affine),)), False)

    def add(self, a: int, b: int) -> int:
        """a + b."""
        if self.zero in (a, b):
            return a if b == self.zero else b
        return self._apply("add", (min(a, b), max(a, b)))

    def mul(self, a: int, b: int) -> int:
        """a x b, factors of the variables alone gathered in front."""
        a, b = sorted((a, b), key=lambda i: (not self.fixed[i], i))
        if self.zero in (a, b):
            return self.zero
        if self.one in (a, b):
            return a if b == self.one else b
        inner = self.nodes[b]
        if self.fixed[a] and not self.fixed[b] and inner.op == "mul" and self.fixed[inner.args[0]]:
            return self.mul(self.mul(a, inner.args[0]), inner.args[1])
        return self._apply("mul", (a, b))

    def power(self, a: int, exponent: float) -> int:
        """a^exponent."""
        inner = self.nodes[a]
        if exponent == 0 or a == self.one:
            return self.one
        if exponent == 1:
            return a
        if inner.op == "power" and exponent.is_integer() and inner.value.is_integer():
            return self.power(inner.args[0], exponent * inner.value)
        inside = self._one_plus_exp(a)
        if inside is not None:
            return self.exp(self.mul(self.number(exponent), inside))
        return self._apply("power", (a,), exponent)

    def exp(self, a: int) -> int:
        """e^a."""
        return self._apply("exp", (a,))

    def log(self, a: int) -> int:
        """ln a."""
        inside = self._one_plus_exp(a)
        return self._apply("log", (a,)) if inside is None else inside

    def softplus(self, a: int) -> int:
        """ln(1 + e^a), which does not overflow."""
        return self._apply("softplus", (a,))

    def sigmoid(self, a: int) -> int:
        """1/(1 + e^-a)."""
        return self._apply("sigmoid", (a,))

    def _one_plus_exp(self, a: int) -> int | None:
        """ln of a, if a is c + e^u with a number c > 0."""
        number, power = self._split(a)
        if number <= 0 or power < 0:
            return None
        node = self.nodes[power]
        exponent = node.args[0] if node.op == "exp" else self.atom(self.atoms[node.args[0]])
        log = self.number(float(np.log(number)))
        return self.add(log, self.softplus(self.add(exponent, self.mul(self.number(-1), log))))

    def _split(self, a: int) -> tuple[float, int]:
        """A number and an exponential that sum to node a, else (0, -1)."""
        node = self.nodes[a]
        if node.op != "add" or self.fixed[a]:
            return 0.0, -1
        first, then = sorted(node.args, key=lambda i: self.nodes[i].op != "number")
        if self.nodes[first].op != "number" or self.nodes[then].op not in ("exp", "term"):
            return 0.0, -1
        return self.nodes[first].value, then

    def log_base(self, a: int) -> int:
        """ln a of the base of a power, where 0^x must stay finite in its derivatives."""
        return self._apply("log0", (a,))

    def _atom(self, affine: Affine) -> int:
        if affine not in self.atoms:
            self.atoms.append(affine)
        return self.atoms.index(affine)

    def _apply(self, op: str, args: tuple[int, ...], value: float = 0.0) -> int:
        if all(self.nodes[a].op == "number" for a in args):
            with np.errstate(all="ignore"):
                return self.number(float(operate(op, [np.float64(self.nodes[a].value) for a in args], value)))
        return self._add(Node(op, args, value), all(self.fixed[a] for a in args))

    def _add(self, node: Node, fixed: bool) -> int:
        if node not in self._seen:
            self._seen[node] = len(self.nodes)
            self.nodes.append(node)
            self.fixed.append(fixed)
        return self._seen[node]


TINY = 1e-300


def operate(op: str, args: list[np.float64], value: float) -> np.float64:
    """One operation on numbers."""
    return np.float64(OPERATIONS[op](*args) if op != "power" else args[0] ** value)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "mul": np.multiply,
    "exp": np.exp,
    "log": np.log,
    "softplus": lambda a: np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a))),
    "sigmoid": lambda a: np.reciprocal(1 + np.exp(-a)),
    "log0": lambda x: np.log(np.where(x == 0, TINY, x)),
}
