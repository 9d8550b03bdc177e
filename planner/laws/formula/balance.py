"""Where to look for the letters of a formula: values at which its parts are of comparable size.

Counts like 1e9 leave no range in which a letter can be sought blindly. But in a sum the parts matter only where they are
of one size, what an exponential or a logarithm is taken of is about one, and the whole is about what was observed. In
logarithms these are linear equations, once exponents are drawn; each sample holds them at a run of its own, roughly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from planner.laws.centre import Array
from planner.laws.formula.reading import EXPONENTS, Reading
from planner.laws.formula.syntax import Binary, Call, Expression, Name, Negative, Number, evaluate, names

DRAWN_EXPONENTS = (0.03, 1.5)  # where the exponents of a law are sought when its bounds leave them free
APART, DIFFERENT, ARGUMENT = 2.0, 0.3, 1.0  # half-widths in logarithms: parts of a sum, of a difference, an argument
RIDGE = 1e-6


def samples(reading: Reading, x: Array, y: Array, n: int) -> Array:
    """Thetas `(n, p)` spread over where the formula balances at runs x `(v, m)` with values y `(m,)`; always the same."""
    rng = np.random.default_rng(0)
    known = _drawn(reading, n)
    run, other = rng.integers(x.shape[1], size=(2, n))
    values, elsewhere = (dict(zip(reading.variables, x[:, at], strict=True)) | known for at in (run, other))
    unknown = [letter for letter in reading.letters if letter not in known]
    sizes = dict(known)
    if unknown:
        system = _Balance(values, elsewhere, unknown, rng)
        system.equal(system.size(reading.fitted), system.constant(np.log(np.abs(y[run]) + 1e-300)), DIFFERENT)
        solved = np.exp(np.clip(system.solve(), -200, 200))
        sizes |= {letter: solved[:, i] for i, letter in enumerate(unknown)}
    theta = np.empty((n, len(reading.letters)))
    for i, letter in enumerate(reading.letters):
        if reading.signs[i]:
            theta[:, i] = np.log(np.abs(sizes[letter]))
        else:
            theta[:, i] = sizes[letter] if letter in known else sizes[letter] * rng.choice([-1.0, 1.0], n)
    return np.clip(theta, reading.lower, reading.upper)


def _drawn(reading: Reading, n: int) -> dict[str, Array]:
    """Letters with a range to draw from, evenly over it (its logarithm where it is wide and positive)."""
    ranges = {letter: _range(reading, letter) for letter in reading.letters}
    given = {letter: pair for letter, pair in ranges.items() if pair is not None}
    found = {}
    for (letter, (low, high)), u in zip(given.items(), _even(n, len(given)).T, strict=True):
        wide = low > 0 and high / low > 4
        found[letter] = low * (high / low) ** u if wide else low + (high - low) * u
    return found


def _range(reading: Reading, letter: str) -> tuple[float, float] | None:
    low, high = reading.bounds.get(letter, EXPONENTS if letter in reading.exponents else (-math.inf, math.inf))
    if not (math.isfinite(low) and math.isfinite(high)) or (letter not in reading.plain and low * high <= 0):
        return None
    if (low, high) == EXPONENTS:
        return DRAWN_EXPONENTS
    return (-DRAWN_EXPONENTS[1], DRAWN_EXPONENTS[1]) if (low, high) == (-EXPONENTS[1], EXPONENTS[1]) else (low, high)


def _even(n: int, k: int) -> Array:
    """Points `(n, k)` in the unit cube by the additive recurrence of the k-dimensional golden ratio."""
    ratio = 2.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (k + 1))
    return np.asarray((0.5 + np.outer(np.arange(1, n + 1), ratio ** -np.arange(1.0, k + 1))) % 1.0)


@dataclass(frozen=True)
class _Size:
    """ln magnitude of a part, at each sample: constant `(n,)` + coefficients `(n,)` x ln of unknown letters."""

    constant: Array
    unknown: Mapping[str, Array] = field(default_factory=dict)

    def plus(self, other: _Size, factor: Array | float = 1.0) -> _Size:
        """self + factor x other."""
        merged = dict(self.unknown)
        for name, coefficient in other.unknown.items():
            merged[name] = merged.get(name, 0.0) + factor * coefficient
        return _Size(self.constant + factor * other.constant, merged)


class _Balance:
    """Collects the equations of a formula while the sizes of its parts are worked out."""

    def __init__(
        self, values: Mapping[str, Array], elsewhere: Mapping[str, Array], unknown: list[str], rng: np.random.Generator
    ) -> None:
        self.values, self.elsewhere, self.unknown, self.rng = values, elsewhere, unknown, rng
        self.n = len(next(iter(values.values())))
        self.rows: list[_Size] = []

    def constant(self, value: Array | float) -> _Size:
        """A size that is known."""
        return _Size(np.broadcast_to(np.asarray(value, float), (self.n,)))

    def equal(self, a: _Size, b: _Size, width: float) -> None:
        """a and b are to differ by no more than `width`."""
        off = a.plus(b, -1.0)
        if off.unknown:
            self.rows.append(_Size(off.constant + self.rng.uniform(-width, width, self.n), off.unknown))

    def size(self, part: Expression) -> _Size:
        """ln magnitude of a part."""
        if not set(names(part)) & set(self.unknown):
            return self.constant(_log(evaluate(part, self.values)))
        if isinstance(part, Name | Number):
            return _Size(np.zeros(self.n), {str(part): np.ones(self.n)})
        if isinstance(part, Negative):
            return self.size(part.operand)
        if isinstance(part, Call):
            return self.of_call(part)
        if part.op in "+-":
            return self.of_sum(part)
        if part.op == "^":
            return self.of_power(part)
        return self.size(part.left).plus(self.size(part.right), 1.0 if part.op == "*" else -1.0)

    def of_call(self, part: Call) -> _Size:
        """A square root is known; what exp and log are taken of is about one."""
        inner = self.size(part.argument)
        if part.function == "sqrt":
            return self.constant(0.0).plus(inner, 0.5)
        self.equal(inner, self.constant(0.0), ARGUMENT)
        return self.constant(0.0)

    def of_power(self, part: Binary) -> _Size:
        """The base's size x the exponent; an exponent that is not known is about one half."""
        if set(names(part.right)) & set(self.unknown):
            self.equal(self.size(part.right), self.constant(math.log(0.5)), ARGUMENT)
            return self.constant(0.0).plus(self.size(part.left), 0.5)
        exponent = np.broadcast_to(evaluate(part.right, self.values), (self.n,))
        return self.constant(0.0).plus(self.size(part.left), np.where(np.isfinite(exponent), exponent, 1.0))

    def of_sum(self, part: Binary) -> _Size:
        """All summands are of the size of the first; a difference is as large as what is known in it varies."""
        members = _members(part)
        first, *rest = (self.size(member) for member, _ in members)
        for (_, sign), size in zip(members[1:], rest, strict=True):
            self.equal(size, first, APART if sign == members[0][1] else DIFFERENT)
        known = [member for member, _ in members if not set(names(member)) & set(self.unknown)]
        if known and len({sign for _, sign in members}) > 1:
            moved = [evaluate(member, self.values) - evaluate(member, self.elsewhere) for member in known]
            return self.constant(_log(np.sum(moved, axis=0)))
        return first

    def solve(self) -> Array:
        """ln of the unknown letters `(n, u)`, the smallest that balance."""
        if not self.rows:
            return np.zeros((self.n, len(self.unknown)))
        A = np.zeros((self.n, len(self.rows), len(self.unknown)))
        for r, row in enumerate(self.rows):
            for name, coefficient in row.unknown.items():
                A[:, r, self.unknown.index(name)] = coefficient
        b = -np.stack([row.constant for row in self.rows], axis=1)
        T = A.transpose(0, 2, 1)
        return np.asarray(np.linalg.solve(T @ A + RIDGE * np.eye(len(self.unknown)), T @ b[..., None])[..., 0])


def _log(value: Array) -> Array:
    """ln |value|, of a small number where there is none."""
    size = np.abs(value)
    return np.asarray(np.log(np.where(np.isfinite(size) & (size > 0), size, 1e-12)))


def _members(part: Expression, sign: int = 1) -> list[tuple[Expression, int]]:
    if isinstance(part, Negative):
        return _members(part.operand, -sign)
    if isinstance(part, Binary) and part.op in "+-":
        return _members(part.left, sign) + _members(part.right, sign if part.op == "+" else -sign)
    return [(part, sign)]
