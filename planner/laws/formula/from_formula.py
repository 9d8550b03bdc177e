"""Laws that are written as a formula: one class for ours, one function for the user's."""

from __future__ import annotations

import dataclasses
import difflib
import keyword
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from planner.errors import InputError
from planner.laws.centre import Array, Centre
from planner.laws.formula.expansion import FormulaExpansion
from planner.laws.formula.grammar import parse
from planner.laws.formula.linear import free_letters, linear_letters, only_exponents, raising_exponents
from planner.laws.formula.reading import EXPONENTS, Reading, fitted_part
from planner.laws.formula.starts import search, sure_signs
from planner.laws.formula.syntax import evaluate, names
from planner.laws.law import Optimum, Prior, Published, rows
from planner.laws.split import best_split
from planner.runs.columns import MEASURED, NUMBERS

ANY = (-np.inf, np.inf)
ORDER = ("params", "tokens")  # of a user's variables: these come first
ALIKE = 0.8  # as likeness of names goes, from which a letter is taken for a misspelt column


class FromFormula:
    """A law that is a frozen dataclass of its letters and a `formula`; every other name in the formula is a variable.

    theta holds ln(letter); the letter itself for those in `plain`; ln(-letter) for those in `negative`. When a class does
    not say, letters that are exponents alone are plain, within [1e-3, 2.5], and all others positive. `bounds` speaks in
    letters. `target` names the column that is predicted. What is fitted is ln of the formula for link "log", the
    formula's value for "identity".
    """

    formula: ClassVar[str]
    name: ClassVar[str]
    source: ClassVar[str]
    link: ClassVar[str] = "log"
    target: ClassVar[str] = "loss"
    published: ClassVar[tuple[Published, ...]] = ()
    bounds: ClassVar[Mapping[str, tuple[float, float]]] = {}
    negative: ClassVar[frozenset[str]] = frozenset()
    if TYPE_CHECKING:
        plain: ClassVar[frozenset[str]]
        variables: ClassVar[tuple[str, ...]]
        letters: ClassVar[tuple[str, ...]]
        theta_names: ClassVar[tuple[str, ...]]
        linear: ClassVar[tuple[str, ...]]
        lower: ClassVar[Array]
        upper: ClassVar[Array]

    @classmethod
    def reading(cls) -> Reading:
        """The formula as it was understood, worked out once per class."""
        found = cls.__dict__.get("_reading")
        if not isinstance(found, Reading):
            fields = tuple(field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]
            said = {key: getattr(cls, key) for key in ("plain", "variables") if not _is_derived(cls, key)}
            found = Reading.of(
                cls.formula, fields, logarithmic=cls.link == "log", bounds=cls.bounds, negative=cls.negative, **said
            )
            cls._reading = found  # type: ignore[attr-defined]
        return found

    def __call__(self, *columns: ArrayLike, **named: ArrayLike) -> Array:
        """The formula's value at raw values: one column per variable in order, or by name."""
        read = self.reading()
        given = dict(zip(read.variables, columns, strict=False)) | named
        if len(columns) + len(named) != len(given) or set(given) != set(read.variables):
            raise TypeError(f"the {self.name} law takes {', '.join(read.variables)}")
        values = {name: np.asarray(value, float) for name, value in {**vars(self), **given}.items()}
        return np.broadcast_to(evaluate(read.root, values), np.broadcast_shapes(*(v.shape for v in values.values())))

    def theta(self, centre: Centre | None = None) -> Array:
        """The letters in the coordinates of the fit, shape `(p,)`; InputError for a letter of the wrong sign."""
        return self.reading().to_theta({name: float(value) for name, value in vars(self).items()})

    @classmethod
    def from_theta(cls, theta: Array, centre: Centre | None = None) -> Self:
        """The law with these coordinates, shape `(p,)`."""
        return cls(*(float(value) for value in cls.reading().to_letters(np.asarray(theta, float))))

    @classmethod
    def letter_forms(cls, centre: Centre | None = None) -> Array:
        """Each coordinate is a letter, or the logarithm of one."""
        return np.eye(len(cls.letters))

    @classmethod
    def inputs(cls, centre: Centre | None, *columns: ArrayLike) -> Array:
        """The raw columns, `(v, m)`; InputError where the formula's functions of the variables alone have no value."""
        if len(columns) != len(cls.variables):
            raise InputError(
                f"the {cls.name} law takes {', '.join(cls.variables)}, not {len(columns)} columns",
                "give one per variable",
            )
        x = np.stack(np.broadcast_arrays(*(np.asarray(column, float) for column in columns)))
        cls.reading().check(x)
        return x

    @classmethod
    def expand(cls, theta: Array, x: Array) -> FormulaExpansion:
        """What a Newton step needs at thetas `(S, p)` of runs `(v, m)`."""
        return cls.reading().compiled.expand(rows(theta), x)

    @classmethod
    def gradient(cls, theta: Array, x: Array) -> tuple[Array, Array]:
        """What is fitted `(S, m)` and its derivative in theta `(S, p, m)`."""
        at = cls.expand(theta, x)
        return at.f, at.jacobian()

    @classmethod
    def curvature(cls, theta: Array, x: Array, weight: Array) -> Array:
        """Sum over runs of weight x second derivative of what is fitted, `(S, p, p)`."""
        at = cls.expand(theta, x)
        return -at.hessian(np.zeros(at.f.shape), np.broadcast_to(weight, at.f.shape))

    @classmethod
    def search_starts(
        cls, x: Array, y: Array, weight: Array, keep: int = 3, *, grids: Mapping[str, Array] | None = None
    ) -> Array:
        """Starting points `(keep, p)`, best first, for y `(m,)`: ln loss for link "log", the value for "identity".

        `grids` is not needed: letters are tried within their bounds, and constraints are met afterwards.
        """
        return search(cls.reading(), x, y, weight, keep)

    @classmethod
    def signed(cls, x: Array, y: Array, weight: Array) -> type[Self]:
        """This law with the signs that the runs leave no doubt about: those letters are then held by their logarithm.

        Only letters of free sign (plain, unbounded, no exponents) are touched; the class itself when there are none.
        """
        return cls.with_signs(sure_signs(cls.reading(), x, y, weight))

    @classmethod
    def with_signs(cls, found: Mapping[str, int]) -> type[Self]:
        """This law with the signs (1 or -1) of some letters of free sign given; the class itself when there are none."""
        if not found:
            return cls
        read = cls.reading()
        body = {
            "__module__": cls.__module__,
            "__doc__": cls.__doc__,
            "plain": read.plain - set(found),
            "negative": cls.negative | {name for name, sign in found.items() if sign < 0},
            "bounds": {name: pair for name, pair in cls.bounds.items() if name not in found},
        }
        return type(cls.__name__, (cls,), body)

    def optimum(self, flops: float) -> Optimum:
        """Params and tokens of lowest value with 6 x params x tokens = flops, found numerically.

        Raises InputError for a law of other variables, and where the lowest value lies at an end of any sensible split.
        """
        if self.variables != ORDER:
            raise InputError(
                f"the {self.name} law speaks of {', '.join(self.variables)}: it has no best size and tokens",
                "choose a law of params and tokens",
            )
        return best_split(self, flops)

    @classmethod
    def prior(cls, log_loss: Array) -> Prior:
        """None: nothing is known about the letters of any formula."""
        p = len(cls.letters)
        return Prior(np.zeros(p), np.full(p, np.inf))


class _Derived:
    """A class attribute that is worked out from the formula."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type[FromFormula]) -> object:
        return getattr(owner.reading(), self.name)


DERIVED = ("plain", "variables", "letters", "theta_names", "linear", "lower", "upper")
for _name in DERIVED:
    setattr(FromFormula, _name, _Derived(_name))


_TAKEN = {*dir(FromFormula), *FromFormula.__annotations__}  # a letter of such a name would hide a part of the class


def _is_derived(cls: type, key: str) -> bool:
    owner = next(base for base in cls.__mro__ if key in base.__dict__)
    return isinstance(owner.__dict__[key], _Derived)


def make_law(
    text: str, columns: Collection[str], name: str = "formula", *, link: str = "log", positive: Collection[str] = ()
) -> type[FromFormula]:
    """A law from a user's formula: names among `columns` are variables, the rest its letters.

    Letters may have either sign (`signed` settles it from the runs) unless listed in `positive`, or where only positive
    ones make sense: in what is raised to a power or a logarithm is taken of. Exponents that raise a variable lie in
    [-2.5, 2.5], other letters that are exponents alone in [1e-3, 2.5]. Raises InputError for what the grammar refuses, for
    a formula without variables or letters, and for a letter that looks like a misspelt column.
    """
    root = parse(text)
    used = [name_ for name_ in names(root) if name_ in columns]
    variables = tuple(sorted(used, key=lambda name_: ORDER.index(name_) if name_ in ORDER else len(ORDER)))
    letters = tuple(name_ for name_ in names(root) if name_ not in columns)
    _check_names(root_names=names(root), variables=variables, letters=letters, columns=columns)
    unknown = [letter for letter in positive if letter not in letters]
    if unknown:
        raise InputError(f"the formula has no letter {unknown[0]!r}", f"its letters: {', '.join(letters)}")
    exponents = only_exponents(root, letters)
    linear = frozenset(linear_letters(fitted_part(root, logarithmic=link == "log"), letters))
    free = dict.fromkeys((linear | free_letters(root, letters)) - exponents - set(positive), ANY)
    raising = dict.fromkeys(exponents & raising_exponents(root, letters), (-EXPONENTS[1], EXPONENTS[1]))
    body = {
        "__doc__": f"{root}; given as a formula.",
        "formula": str(root),
        "name": name,
        "source": "a formula given by the user",
        "link": link,
        "variables": variables,
        "plain": exponents | set(free),
        "bounds": {**free, **raising},
    }
    return dataclasses.make_dataclass(
        "Formula", [(letter, float) for letter in letters], bases=(FromFormula,), namespace=body, frozen=True
    )


def _check_names(
    *, root_names: tuple[str, ...], variables: tuple[str, ...], letters: tuple[str, ...], columns: Collection[str]
) -> None:
    for letter in letters:
        if letter in (*MEASURED, *NUMBERS):  # what every table of runs calls a column is no letter
            raise InputError(
                f"the table has no column of numbers {letter!r}",
                f"name it with --column theirs={letter}, or call the letter otherwise; columns: {', '.join(sorted(columns))}",
            )
        near = difflib.get_close_matches(letter, columns, n=1, cutoff=ALIKE) if len(letter) > 3 else []
        if near and not letter.startswith(near[0]):
            raise InputError(f"{letter!r} is not a column", f"did you mean {near[0]!r}? else call the letter otherwise")
    if not variables:
        known = ", ".join(sorted(columns))
        raise InputError(
            f"no name in the formula is a column: {', '.join(root_names) or 'it has none'}", f"columns: {known}"
        )
    if not letters:
        raise InputError(
            "the formula has no letters to fit: every name is a column", "write E + A*... with letters of yours"
        )
    for letter in letters:
        if letter.startswith("_") or keyword.iskeyword(letter) or letter in _TAKEN:
            raise InputError(
                f"{letter!r} is neither a column nor a name that a letter can have", "call the letter otherwise"
            )
