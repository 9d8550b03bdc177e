"""Columns with a few known values, each said in a trainer's own word."""

from __future__ import annotations

from collections.abc import Mapping

from planner.lab.exports.run import Run
from planner.lab.exports.trainers.flag import Flag, cannot

BASELINE = {"baseline": ""}


def choice(run: Run, column: str, known: Mapping[str, str]) -> list[Flag]:
    """The argument for the column's value ("" where it needs none), or that the trainer has none for it."""
    if column not in run.trained:
        return []
    value = run.text(column)
    return [Flag((column,), known[value])] if value in known else cannot(run, [column], f"no option for {value!r}")


def variant(run: Run) -> list[Flag]:
    """The baseline needs no flag; an idea is the user's own code or flag, which no table can know."""
    if run.text("variant") in ("", "baseline"):
        return choice(run, "variant", BASELINE)
    return cannot(
        run, ["variant"], "an idea is your own code: read PLANNER_VARIANT, or add its flag", run.text("variant")
    )
