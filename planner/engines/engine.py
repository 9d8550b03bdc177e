"""The one thing that every engine does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Told = Callable[[str], None]
"""Takes a sentence for people while the work goes on."""


class Engine(Protocol):
    """Maps a job over items and gives the results in the items' order: as `map` does, which is the simplest engine.

    The job is a pure function that a module names, and items and results can be pickled. An item should be worth .1 s of
    work or more: handing it over costs about a millisecond.
    """

    def __call__(self, job: Callable[[Item], Result], items: Sequence[Item], /) -> Iterable[Result]:
        """Results in the items' order, each as soon as it and those before it are there."""
        ...


def here(job: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
    """This process alone."""
    return map(job, items)


def untold(_: str) -> None:
    """Nobody listens."""


def carrying(engine: Engine, made: type) -> Engine:
    """The engine, or `here` when a class was made while the program ran, as a law from a formula is: no other process has it."""
    home = sys.modules.get(made.__module__)
    return engine if getattr(home, made.__qualname__, None) is made else here
