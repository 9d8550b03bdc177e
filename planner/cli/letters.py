"""Options that say something of a law's letters before any run is seen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from planner.fitting.constraints import Constraints

Priors = Annotated[
    list[str] | None, typer.Option("--prior", metavar="LETTER=MEAN+-SD", help="alpha=0.34+-0.05; may be repeated.")
]
Fixed = Annotated[list[str] | None, typer.Option("--fix", metavar="LETTER=VALUE", help="Hold a letter: E=1.69.")]
Tied = Annotated[list[str] | None, typer.Option("--tie", metavar="LETTER=LETTER", help="Fit two as one: alpha=beta.")]
Bounds = Annotated[list[str] | None, typer.Option("--bound", metavar="LETTER=LOW:HIGH", help="alpha=0.2:0.5.")]

PLAIN = ("alpha", "beta")  # their priors' sd is taken as it is, that of other letters relative to the mean


def parse_constraints(
    priors: list[str] | None, fixed: list[str] | None, tied: list[str] | None, bounds: list[str] | None
) -> Constraints:
    """The four options together; InputError for what cannot be read, with the option named."""
    from planner.errors import InputError
    from planner.fitting.constraints import Constraints

    believed: dict[str, tuple[float, float]] = {}
    for item in priors or []:
        letter, mean, sd = _parts("--prior", item, r"(.+?)(?:\+-|±)(.+)", "alpha=0.34+-0.05")
        if sd <= 0:
            raise InputError(
                f"--prior {item!r} has no width", f"a letter that is known is held by --fix {letter}={mean:g}"
            )
        if mean <= 0:
            raise InputError(f"--prior {item!r}: letters of a law are above zero", "give a mean above zero")
        believed[letter] = mean, sd if letter in PLAIN else sd / mean
    held = dict(_parts("--fix", item, r"(.+)", "E=1.69") for item in fixed or [])
    ranges = {
        letter: (low, high)
        for letter, low, high in (_parts("--bound", item, r"(.+):(.+)", "alpha=0.2:0.5") for item in bounds or [])
    }
    ties = [tuple(part.strip() for part in item.split("=")) for item in tied or []]
    for item, group in zip(tied or [], ties, strict=True):
        if len(group) < 2 or not all(group):
            raise InputError(f"--tie {item!r} is not LETTER=LETTER", "for example --tie alpha=beta")
    return Constraints(fixed=held, tied=tuple(ties), bounds=ranges, priors=believed)


def _parts(option: str, text: str, pattern: str, example: str) -> tuple:  # type: ignore[type-arg]
    """The letter, and the numbers that the pattern finds after the equals sign."""
    from planner.errors import InputError

    letter, equals, rest = (part.strip() for part in text.partition("="))
    found = re.fullmatch(pattern, rest)
    try:
        numbers = [float(part) for part in found.groups()] if found else []
    except ValueError:
        numbers = []
    if not (letter and equals and numbers) or any(number != number for number in numbers):
        raise InputError(f"{option} {text!r} cannot be read", f"for example {option} {example}")
    return (letter, *numbers)
