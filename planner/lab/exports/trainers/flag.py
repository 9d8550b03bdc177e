"""What a trainer is told of a run: one flag per thing, and what no flag can say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from planner.lab.exports.run import Run, Value
from planner.lab.exports.settings import Settings


@dataclass(frozen=True)
class Flag:
    """One argument and the plan's columns that it says.

    `folder`, if any, is put behind it as a path under the folder of outputs. No argument means that the columns hold without
    a flag; `why` instead says that this trainer cannot express them, and for what reason, with this run's `detail`.
    """

    columns: tuple[str, ...]
    argument: str = ""
    folder: str = ""
    why: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Trainer:
    """A program that trains: the version whose options were read, how it is started, a run as its flags.

    `files` are further files that its command needs, by name.
    """

    name: str
    version: str
    command: str
    flags: Callable[[Run, Settings], list[Flag]]
    files: Callable[[Sequence[Run]], dict[str, str]] = lambda runs: {}


@dataclass(frozen=True)
class Told:
    """The arguments of a run in order, and for what they do not say a sentence each, with its detail in this run."""

    arguments: tuple[Flag, ...]
    missing: Mapping[str, str]


def tell(trainer: Trainer, run: Run, settings: Settings) -> Told:
    """A run in a trainer's words; a column that no flag covers is named in `missing`, never dropped."""
    flags = trainer.flags(run, settings)
    covered = {column for flag in flags for column in flag.columns}
    missing = {": ".join(filter(None, (", ".join(flag.columns), flag.why))): flag.detail for flag in flags if flag.why}
    missing |= {
        f"{column}: no such option": str(run.trained[column]) for column in run.trained if column not in covered
    }
    return Told(tuple(flag for flag in flags if flag.argument), missing)


def plain(run: Run, names: Mapping[str, str]) -> list[Flag]:
    """The columns that a trainer has an option of its own for, as --option=value."""
    return [
        Flag((name,), f"{option}={shown(run.values[name])}") for name, option in names.items() if name in run.trained
    ]


def shown(value: Value) -> str:
    """A cell as an argument: every digit of a number, true or false, a text as it is."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def cannot(run: Run, columns: Sequence[str], why: str, detail: str = "") -> list[Flag]:
    """That a trainer cannot express these columns, where the plan has them."""
    there = tuple(column for column in columns if column in run.trained)
    return [Flag(there, why=why, detail=detail)] if there else []


def holds(run: Run, *columns: str) -> list[Flag]:
    """That these columns hold without a flag."""
    return [Flag(tuple(column for column in columns if column in run.trained))]
