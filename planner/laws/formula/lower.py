"""From a parsed formula to a graph: products of powers of positive letters become exponentials of affine functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from planner.laws.formula.graph import Affine, Graph
from planner.laws.formula.syntax import Call, Expression, Name, Negative, Number


class Coordinate(NamedTuple):
    """How theta holds a letter: itself if `sign` is 0, else sign x e^theta; `place` is where."""

    place: int
    sign: int


class Exponential(NamedTuple):
    """factor x e^affine; the factor is of the variables alone."""

    factor: int
    exponent: Affine


Form = int | Affine | Exponential


@dataclass(frozen=True)
class Lowering:
    """Reads expressions into one graph."""

    graph: Graph
    letters: Mapping[str, Coordinate]
    columns: Mapping[str, int]

    def node(self, expression: Expression) -> int:
        """The node of a whole formula."""
        return self.settled(self.form(expression))

    def form(self, expression: Expression) -> Form:
        """The simplest form of an expression: of the variables alone, affine in theta, an exponential of that, or a node."""
        if isinstance(expression, Number):
            return self.graph.number(expression.value)
        if isinstance(expression, Name):
            return self.name(expression.name)
        if isinstance(expression, Negative):
            return self.product(self.graph.number(-1), self.form(expression.operand))
        if isinstance(expression, Call):
            argument = self.form(expression.argument)
            if expression.function == "sqrt":
                return self.power(argument, self.graph.number(0.5))
            return self.exp(argument) if expression.function == "exp" else self.log(argument)
        left, right = self.form(expression.left), self.form(expression.right)
        if expression.op == "^":
            return self.power(left, right)
        if expression.op in "+-":
            return self.sum(left, right if expression.op == "+" else self.product(self.graph.number(-1), right))
        return self.product(left, right if expression.op == "*" else self.power(right, self.graph.number(-1)))

    def name(self, name: str) -> Form:
        """A letter or a variable."""
        if name not in self.letters:
            return self.graph.column(self.columns[name])
        index, sign = self.letters[name]
        affine = Affine(self.graph.zero, ((index, self.graph.one),))
        return Exponential(self.graph.number(sign), affine) if sign else affine

    def settled(self, form: Form) -> int:
        """Any form as a node."""
        if isinstance(form, Affine):
            return self.graph.atom(form) if form.coefficients else form.constant
        if isinstance(form, Exponential):
            return self.graph.mul(form.factor, self.graph.term(form.exponent))
        return form

    def is_fixed(self, form: Form) -> bool:
        """Whether it is a node of the variables alone."""
        return isinstance(form, int) and self.graph.fixed[form]

    def affine(self, form: Form) -> Affine | None:
        """As an affine function of theta, if it is one."""
        if isinstance(form, int) and self.graph.fixed[form]:
            return Affine(form, ())
        return form if isinstance(form, Affine) else None

    def sum(self, a: Form, b: Form) -> Form:
        """a + b."""
        first, second = self.affine(a), self.affine(b)
        if first is not None and second is not None and not (self.is_fixed(a) and self.is_fixed(b)):
            return self.joined(first, second)
        return self.graph.add(self.settled(a), self.settled(b))

    def joined(self, a: Affine, b: Affine) -> Affine:
        """a + b, coefficients of the same theta added."""
        merged = dict(a.coefficients)
        for place, node in b.coefficients:
            merged[place] = self.graph.add(merged.get(place, self.graph.zero), node)
        kept = ((place, node) for place, node in sorted(merged.items()) if node != self.graph.zero)
        return Affine(self.graph.add(a.constant, b.constant), tuple(kept))

    def product(self, a: Form, b: Form) -> Form:
        """a x b."""
        if self.is_fixed(b):
            a, b = b, a
        if isinstance(a, int) and self.graph.fixed[a] and not isinstance(b, int):
            if isinstance(b, Exponential):
                return Exponential(self.graph.mul(a, b.factor), b.exponent)
            return self.scaled(b, a)
        if isinstance(a, Exponential) and isinstance(b, Exponential):
            return Exponential(self.graph.mul(a.factor, b.factor), self.joined(a.exponent, b.exponent))
        return self.graph.mul(self.settled(a), self.settled(b))

    def scaled(self, affine: Affine, factor: int) -> Affine:
        """Affine x a function of the variables."""
        mul = self.graph.mul
        return Affine(mul(factor, affine.constant), tuple((i, mul(factor, node)) for i, node in affine.coefficients))

    def power(self, base: Form, exponent: Form) -> Form:
        """base^exponent."""
        if isinstance(exponent, int) and self.graph.fixed[exponent]:
            number = self.graph.nodes[exponent]
            if number.op == "number" and not isinstance(base, Exponential):
                if number.value == 1:
                    return base
                return self.graph.power(self.settled(base), number.value)
            if isinstance(base, Exponential):
                factor = self.settled(self.power(base.factor, exponent))
                return Exponential(factor, self.scaled(base.exponent, exponent))
        if isinstance(base, int) and self.graph.fixed[base]:
            return self.exp(self.product(self.graph.log_base(base), exponent))
        return self.exp(self.product(exponent, self.log(base)))

    def exp(self, form: Form) -> Form:
        """e^form."""
        if isinstance(form, Affine):
            return Exponential(self.graph.one, form)
        return self.graph.exp(self.settled(form))

    def log(self, form: Form) -> Form:
        """ln form."""
        if isinstance(form, Exponential):
            return self.sum(self.graph.log(form.factor), form.exponent)
        return self.graph.log(self.settled(form))
