"""A formula as a law understands it: which names are letters, how theta holds them, within what bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from planner.errors import InputError
from planner.laws.centre import Array
from planner.laws.formula.compiled import Compiled
from planner.laws.formula.grammar import parse
from planner.laws.formula.linear import linear_letters, only_exponents
from planner.laws.formula.lower import Coordinate
from planner.laws.formula.syntax import Call, Expression, evaluate, names, parts

EXPONENTS = (1e-3, 2.5)  # exponents of published laws lie between .03 and 1.5
LOGS = (-80.0, 80.0)  # of letters that are only known to be positive; an amplitude x count^exponent spans many decades


@dataclass(frozen=True)
class Reading:
    """Root, letters in the order of theta, variables in the order of columns, and how theta holds the letters."""

    root: Expression
    letters: tuple[str, ...]
    variables: tuple[str, ...]
    plain: frozenset[str]
    negative: frozenset[str]
    logarithmic: bool
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        formula: str,
        letters: tuple[str, ...],
        *,
        logarithmic: bool = True,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        negative: frozenset[str] = frozenset(),
        plain: frozenset[str] | None = None,
        variables: tuple[str, ...] | None = None,
    ) -> Reading:
        """Parse, and settle what was not said."""
        root = parse(formula)
        used = names(root)
        if variables is None:
            variables = tuple(name for name in used if name not in letters)
        if set(used) != {*letters, *variables}:
            raise TypeError(f"{formula}: names {used}, letters {letters}, variables {variables}")
        plain = only_exponents(root, letters) if plain is None else plain
        return cls(root, letters, variables, plain - negative, negative, logarithmic, dict(bounds or {}))

    @cached_property
    def fitted(self) -> Expression:
        """The part that is fitted: of an exponential whose logarithm is fitted, the exponent."""
        return fitted_part(self.root, logarithmic=self.logarithmic)

    @cached_property
    def takes_log(self) -> bool:
        """Whether what is fitted is the logarithm of `fitted`."""
        return self.logarithmic and self.fitted is self.root

    @cached_property
    def exponents(self) -> frozenset[str]:
        """Letters that appear in exponents alone."""
        return only_exponents(self.root, self.letters)

    @cached_property
    def free(self) -> tuple[str, ...]:
        """Letters of either sign and any size."""
        boxes = zip(self.letters, self.lower, self.upper, strict=True)
        return tuple(name for name, low, high in boxes if not np.isfinite([low, high]).any())

    @cached_property
    def linear(self) -> tuple[str, ...]:
        """Letters in which the fitted part is jointly affine."""
        return linear_letters(self.fitted, self.letters)

    @cached_property
    def compiled(self) -> Compiled:
        """Ready to be evaluated."""
        return Compiled(self.fitted, self.coordinates, self.variables, self.takes_log)

    @cached_property
    def coordinates(self) -> dict[str, Coordinate]:
        """How theta holds each letter."""
        return {
            name: Coordinate(i, 0 if name in self.plain else -1 if name in self.negative else 1)
            for i, name in enumerate(self.letters)
        }

    @cached_property
    def signs(self) -> Array:
        """0 where theta holds the letter itself, else the letter's sign, `(p,)`."""
        return np.array([float(self.coordinates[name].sign) for name in self.letters])

    @cached_property
    def theta_names(self) -> tuple[str, ...]:
        """What each entry of theta is."""
        return tuple(("", "ln ", "ln -")[self.coordinates[name].sign] + name for name in self.letters)

    @cached_property
    def lower(self) -> Array:
        """Lower bounds of theta, `(p,)`."""
        return np.array([self._box(name)[0] for name in self.letters])

    @cached_property
    def upper(self) -> Array:
        """Upper bounds of theta, `(p,)`."""
        return np.array([self._box(name)[1] for name in self.letters])

    def _box(self, name: str) -> tuple[float, float]:
        sign = self.coordinates[name].sign
        if name not in self.bounds:
            plain = EXPONENTS if name in self.exponents else (-np.inf, np.inf)
            return LOGS if sign else plain
        low, high = self.bounds[name]
        if not sign:
            return low, high
        low, high = sorted((sign * low, sign * high))
        return float(np.log(low)) if low > 0 else LOGS[0], float(np.log(high)) if np.isfinite(high) else LOGS[1]

    def to_letters(self, theta: Array) -> Array:
        """The letters `(..., p)` at thetas `(..., p)`."""
        held = self.signs != 0
        return np.where(held, self.signs * np.exp(np.where(held, theta, 0.0)), theta)

    def to_theta(self, values: Mapping[str, float]) -> Array:
        """Theta `(p,)` of letters; InputError for one of the wrong sign."""
        theta = np.array([values[name] for name in self.letters], float)
        for i, sign in enumerate(self.signs):
            if sign and not sign * theta[i] > 0:
                raise InputError(
                    f"{self.letters[i]} = {theta[i]:g} is not {'positive' if sign > 0 else 'negative'}",
                    "give such a value",
                )
        held = self.signs != 0
        return np.where(held, np.log(np.where(held, np.abs(theta), 1.0)), theta)

    def check(self, x: Array) -> None:
        """InputError where a part of the formula without letters has no value at x `(v, m)`: which part, which run."""
        values = dict(zip(self.variables, x, strict=True))
        for part in reversed(list(parts(self.root))):  # the smallest part first
            if names(part) and not set(names(part)) & set(self.letters):
                bad = ~np.isfinite(np.broadcast_to(evaluate(part, values), x.shape[1:]))
                if bad.any():
                    at = int(np.argmax(bad))
                    row = ", ".join(f"{name} = {values[name][at]:g}" for name in names(part))
                    raise InputError(f"{part} has no value at run {at} ({row})", "drop that run, or change the formula")


def fitted_part(root: Expression, *, logarithmic: bool) -> Expression:
    """The exponent of an exponential whose logarithm is fitted, else the whole."""
    return root.argument if logarithmic and isinstance(root, Call) and root.function == "exp" else root
