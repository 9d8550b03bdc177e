"""A formula at many thetas, and the sums over runs that a Newton step needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from planner.laws.centre import Array
from planner.laws.formula.program import Register, run

if TYPE_CHECKING:
    from planner.laws.formula.compiled import Compiled


class Entry(NamedTuple):
    """Two atoms, the node of the second derivative in them (-1: zero), and which products of coefficients are theirs."""

    first: int
    then: int
    node: int
    columns: slice


@dataclass(frozen=True)
class Prepared:
    """What depends on the runs alone, `m` of them.

    Registers of nodes without theta; for each atom its constant and slopes `(p, m)`, or `(p, 1)` where all runs share
    them; the coefficients of theta in all atoms `(m, c)`, and their products for each pair of atoms `(m, n)`.
    """

    registers: list[Register]
    constants: list[Array | None]
    slopes: list[Array]
    coefficients: Array
    products: list[Array]
    m: int


class FormulaExpansion:
    """The fitted quantity `f` `(S, m)` of S thetas; sums are taken atom by atom, so nothing larger than `(S, m)` is made.

    With f = ln y, df = dy / y and d2f = d2y / y - df df'.
    """

    def __init__(self, law: Compiled, at: Prepared, registers: list[Register], y: Array, f: Array) -> None:
        self.law, self.at, self.registers, self.y, self.f = law, at, registers, y, f

    @cached_property
    def _reciprocal(self) -> Array:
        return np.asarray(np.reciprocal(self.y))

    @cached_property
    def _shares(self) -> list[Array]:
        """df / d atom, each `(S, m)`, `(m,)` or a number."""
        run(self.law.gradient_steps, self.registers)
        raw = [np.asarray(self.registers[node]) for node in self.law.first]
        return [share * self._reciprocal for share in raw] if self.law.logarithmic else raw

    def jacobian(self) -> Array:
        """Derivative of f in theta, `(S, p, m)`."""
        J = np.zeros((len(self.f), self.law.p, self.at.m))
        with np.errstate(all="ignore"):
            for column, pair in enumerate(self.law.pairs):
                J[:, pair.theta] += self._shares[pair.atom] * self.at.coefficients[:, column]
        return J

    def pull(self, weight: Array) -> Array:
        """Sum of weight x df, `(S, p)`."""
        law, coefficients = self.law, self.at.coefficients
        sums = np.empty((len(self.f), len(law.pairs)))
        with np.errstate(all="ignore"):
            for share, columns in zip(self._shares, law.atom_slices, strict=True):
                np.matmul(weight * share, coefficients[:, columns], out=sums[:, columns])
        return np.asarray(sums @ law.gather)

    def square(self, weight: Array) -> Array:
        """Sum of weight x df^2, `(S, p)`."""
        law = self.law
        if not law.apart:
            J = self.jacobian()  # a square of a sum, which sums over atoms would leave below zero by rounding
            return np.asarray(np.matmul(J * J, weight[:, :, None])[:, :, 0])
        squares = self.at.coefficients**2
        sums = np.empty((len(self.f), len(law.pairs)))
        with np.errstate(all="ignore"):
            for share, columns in zip(self._shares, law.atom_slices, strict=True):
                np.matmul(weight * share * share, squares[:, columns], out=sums[:, columns])
        return np.asarray(sums @ law.gather)

    def hessian(self, outer: Array, inner: Array) -> Array:
        """Sum of outer x df df' - inner x d2f, `(S, p, p)`."""
        law, at, registers = self.law, self.at, self.registers
        with np.errstate(all="ignore"):
            shares, bent = self._shares, bool(inner.any())
            if bent:
                run(law.hessian_steps, registers)
                if law.logarithmic:
                    outer = outer + inner
                    inner = inner * self._reciprocal
            sums = np.empty((len(self.f), len(law.scatter)))
            for (k, m, node, columns), products in zip(law.entries, at.products, strict=True):
                if k == m:
                    weighted = outer * shares[k]
                weight = weighted * shares[m]
                if bent and node >= 0:
                    weight -= inner * registers[node]
                np.matmul(weight, products, out=sums[:, columns])
            return np.asarray((sums @ law.scatter).reshape(-1, law.p, law.p))
