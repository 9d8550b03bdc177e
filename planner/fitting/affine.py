"""Constraints and priors in a law's letters, as affine maps and linear forms of theta."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.errors import InputError
from planner.fitting.descend import Box, Expand, Local, Rows
from planner.fitting.problem import Forms
from planner.laws.centre import Array, Centre
from planner.laws.law import Law

PLAIN = frozenset({"alpha", "beta"})  # letters of which a user gives plain widths; of others relative ones


@dataclass(frozen=True)
class LetterPrior:
    """Independent normal priors {letter: (mean, sd)}; alpha and beta plain, for other letters sd is relative.

    A prior on A is one on ln A = a + alpha x (mean ln params): a linear form of theta.
    """

    letters: Mapping[str, tuple[float, float]]

    def forms(self, law: type[Law], centre: Centre) -> Forms:
        """As linear forms of theta; InputError for an unknown letter or a width that is not positive."""
        known = law.letter_forms(centre)
        rows, means, sds = [], [], []
        for letter, (mean, sd) in self.letters.items():
            if sd == 0:
                raise InputError(
                    f"the prior of {letter} has sd 0: a prior of zero width fixes the parameter",
                    f'use fixed={{"{letter}": {mean:g}}}',
                )
            if not (math.isfinite(sd) and sd > 0):
                raise InputError(f"the prior of {letter} has sd {sd}, not a positive number", "give a positive sd")
            rows.append(known[_index(law, letter)])
            means.append(_to_form(law, letter, mean))
            sds.append(_width(law, letter, mean, sd))
        return Forms(np.array(rows).reshape(-1, known.shape[1]), np.array(means), np.array(sds))


@dataclass(frozen=True)
class Affine:
    """theta = matrix phi + offset, phi the free coordinates within a box; matrix `(p, q)`."""

    matrix: Array
    offset: Array
    box: Box

    def theta(self, phi: Array) -> Array:
        """Thetas `(S, p)` of free coordinates `(S, q)`."""
        return np.asarray(phi @ self.matrix.T + self.offset)

    def coordinates(self, theta: Array) -> Array:
        """The free coordinates `(q,)` of a theta `(p,)` that meets the constraints."""
        return np.asarray(np.linalg.lstsq(self.matrix, theta - self.offset)[0])

    def nearest(self, theta: Array, gram: Array) -> Array:
        """Free coordinates `(S, q)` nearest to thetas `(S, p)` in the metric of the data, `gram` `(S, p, p)`."""
        T = self.matrix
        ridge = 1e-9 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(len(T))
        M = gram + ridge
        right = np.einsum("pq,spr,sr->sq", T, M, theta - self.offset)
        phi = np.linalg.solve(np.einsum("pq,spr,rt->sqt", T, M, T), right[..., None])[..., 0]
        return np.asarray(np.clip(phi, self.box.lower, self.box.upper))

    def pulled_back(self, local: Local) -> Local:
        """An expansion in theta, as one in phi."""
        T = self.matrix
        return Local(local.value, local.gradient @ T, T.T @ local.hessian @ T, local.metric @ T**2)

    def covariance(self, information: Array) -> Array:
        """The covariance of theta `(p, p)` when only phi is free, from an information matrix of theta."""
        T = self.matrix
        return np.asarray(T @ np.linalg.pinv(T.T @ information @ T, hermitian=True) @ T.T)

    def expansion(self, at: Expand) -> Expand:
        """An objective of theta, as one of phi."""

        def expand(phi: Array, rows: Rows, newton: bool) -> Local:
            return self.pulled_back(at(self.theta(phi), rows, newton))

        return expand

    @classmethod
    def free(cls, law: type[Law]) -> Affine:
        """No constraint but the law's own box."""
        p = law.lower.size
        return cls(np.eye(p), np.zeros(p), Box(law.lower, law.upper))


def constrained(
    law: type[Law],
    centre: Centre,
    *,
    fixed: Mapping[str, float] | None = None,
    tied: Sequence[Sequence[str]] = (),
    bounds: Mapping[str, tuple[float, float]] | None = None,
    also: Iterable[str] = (),
) -> Affine:
    """The free coordinates left by fixed letters, letters tied to be equal, and bounds on letters.

    A letter that a constraint names, or `also` (those with a prior, which may be tight), becomes a coordinate itself;
    the others keep theta's centred coordinates.
    InputError for unknown letters, impossible values, and constraints that contradict each other or leave nothing.
    """
    fixed, bounds = dict(fixed or {}), dict(bounds or {})
    p = law.lower.size
    ties = [[_index(law, letter) for letter in group] for group in tied]
    named = {_index(law, letter) for letter in (*fixed, *bounds, *also)} | {i for group in ties for i in group}
    coordinates, forms = np.eye(p), law.letter_forms(centre)
    lower, upper = law.lower.copy(), law.upper.copy()
    for i in named:
        coordinates[i] = forms[i]
        if (forms[i] != np.eye(p)[i]).any():
            lower[i], upper[i] = -np.inf, np.inf
    for letter, (low, high) in bounds.items():
        i = _index(law, letter)
        lower[i], upper[i] = _narrowed(law, letter, (low, high), lower[i], upper[i])
    selection, constant = _selection(law, ties, fixed, bounds)
    box = Box(
        np.array([lower[column].max() for column in (selection > 0).T]),
        np.array([upper[column].min() for column in (selection > 0).T]),
    )
    if (box.lower >= box.upper).any():
        raise InputError("the bounds of tied letters do not overlap", "give tied letters the same bounds")
    back = np.linalg.inv(coordinates)
    return Affine(back @ selection, back @ constant, box)


def _selection(
    law: type[Law], ties: list[list[int]], fixed: Mapping[str, float], bounds: Mapping[str, tuple[float, float]]
) -> tuple[Array, Array]:
    """Coordinates = selection `(p, q)` x free ones + constant `(p,)`."""
    p = law.lower.size
    leader = list(range(p))
    for group in ties:
        letters = [law.letters[i] for i in group]
        if len({_held(law, letter) for letter in letters}) > 1 or len(set(group)) < 2:
            raise InputError(f"letters {', '.join(letters)} cannot be tied", "tie two exponents, or two amplitudes")
        roots = {leader[i] for i in group}
        leader = [min(roots) if root in roots else root for root in leader]
    constant = np.zeros(p)
    known: dict[int, float] = {}
    for letter, value in fixed.items():
        i, form = _index(law, letter), _to_form(law, letter, value)
        if letter in bounds and not bounds[letter][0] <= value <= bounds[letter][1]:
            raise InputError(
                f"{letter} = {value:g} is fixed outside its bounds {bounds[letter]}", "drop one of the two"
            )
        if known.setdefault(leader[i], form) != form:
            raise InputError(f"{letter} = {value:g} is fixed and tied to another value", "fix one of the tied letters")
    free = sorted({root for root in leader if root not in known})
    if not free:
        raise InputError("every letter is fixed: nothing is left to fit", "leave at least one letter free")
    selection = np.zeros((p, len(free)))
    for i, root in enumerate(leader):
        if root in known:
            constant[i] = known[root]
        else:
            selection[i, free.index(root)] = 1.0
    return selection, constant


def _narrowed(
    law: type[Law], letter: str, bounds: tuple[float, float], lower: float, upper: float
) -> tuple[float, float]:
    low, high = bounds
    held = _held(law, letter)
    if math.isnan(low) or math.isnan(high) or not low < high or (held == "ln" and high <= 0):
        raise InputError(f"bounds of {letter} are ({low}, {high})", "give (low, high) with low < high and high > 0")
    if held == "ln -":
        low, high = -high, -low
    if held:
        low, high = math.log(low) if low > 0 else -math.inf, math.log(high) if high > 0 else -math.inf
    narrow = max(lower, low), min(upper, high)
    if narrow[0] >= narrow[1]:
        raise InputError(
            f"bounds of {letter} ({bounds[0]:g}, {bounds[1]:g}) lie outside what the law allows", "widen them"
        )
    return narrow


def _index(law: type[Law], letter: str) -> int:
    if letter not in law.letters:
        raise InputError(f"the {law.name} law has no letter {letter!r}", f"one of: {', '.join(law.letters)}")
    return law.letters.index(letter)


def _held(law: type[Law], letter: str) -> str:
    """How theta holds a letter: "ln" for its logarithm, "ln -" for that of its negative, "" for itself."""
    name = law.theta_names[_index(law, letter)]
    return "ln -" if name.startswith("ln -") else "ln" if name.startswith("ln ") else ""


def _width(law: type[Law], letter: str, mean: float, sd: float) -> float:
    """A prior's sd in the form's coordinate; relative widths are those of logarithms."""
    plain = letter in PLAIN
    if plain == (_held(law, letter) == ""):
        return sd
    return sd / abs(mean) if plain else sd * abs(mean)


def _to_form(law: type[Law], letter: str, value: float) -> float:
    held = _held(law, letter)
    size = -value if held == "ln -" else value
    if not math.isfinite(value) or ((held or letter in PLAIN) and size <= 0):
        raise InputError(
            f"{letter} = {value} is not a {'negative' if held == 'ln -' else 'positive'} number",
            "letters of this law are positive" if held != "ln -" else "the runs leave no doubt of its sign",
        )
    return math.log(size) if held else float(value)
