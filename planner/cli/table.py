"""Options that say how a table of runs is read, and reading it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from planner.fitting.constraints import Constraints
    from planner.fitting.recipe import Recipe, Spread
    from planner.laws.law import Law
    from planner.runs import RunTable
    from planner.runs.columns import Count

RunsPath = Annotated[str, typer.Argument(metavar="RUNS", help="csv, tsv, jsonl or parquet (gz too), one row per run.")]
WhereText = Annotated[
    str | None,
    typer.Option("--where", help="Rows to keep: column, !column, column=value, column<number; joined by commas."),
]
Columns = Annotated[
    list[str] | None, typer.Option("--column", help="theirs=ours: the file's name and our name of a column.")
]
CountName = Annotated[
    str | None, typer.Option("--count", help="params_total, params_active, params_non_embedding or params.")
]
TargetName = Annotated[
    str | None, typer.Option("--target", help="Column that the law predicts: loss, or what the law says.")
]
GroupName = Annotated[str | None, typer.Option("--group", help="Only the runs of this group.")]
LawName = Annotated[
    str,
    typer.Option(
        "--law", help="auto (the default recipe), a name of `planner laws`, or a formula: 'E + A/params^alpha'."
    ),
]
Delta = Annotated[
    float | None,
    typer.Option("--huber-delta", help="Textbook fit with this Huber threshold on ln loss (1e-3 in papers)."),
]
Window = Annotated[
    str | None, typer.Option("--window", help="Keep runs within this factor of the largest compute, or 'all'.")
]
IntervalName = Annotated[
    str | None,
    typer.Option("--interval", help="posterior (default recipe), normal, sandwich or bootstrap (textbook fits)."),
]
Level = Annotated[float, typer.Option("--level", help="Nominal coverage of the intervals.")]


SMALLEST_DELTA = 1e-7  # of ln loss: below any noise


def number(option: str, text: str) -> float:
    """An option's value as a plain count, with the option named when it is none."""
    from planner.errors import InputError
    from planner.quantities import parse_count

    try:
        return parse_count(text)
    except InputError as error:
        raise InputError(f"{option}: {error.message}", error.hint) from None


def read_table(path: str, where: str | None, columns: list[str] | None) -> RunTable:
    """The table at `path`, with the options applied."""
    from planner.errors import InputError
    from planner.runs import Where, read_runs

    named = {}
    for item in columns or []:
        theirs, equals, ours = item.partition("=")
        if not (theirs and equals and ours):
            raise InputError(f"--column {item!r} is not theirs=ours", "for example --column val_loss_c4=loss")
        named[theirs] = ours
    return read_runs(path, columns=named, where=None if where is None else Where.parse(where))


def parse_count_name(text: str | None) -> Count | None:
    """The --count option."""
    from planner.errors import InputError
    from planner.runs.columns import Count

    if text is None:
        return None
    try:
        return Count(text)
    except ValueError:
        raise InputError(f"--count {text!r} is unknown", f"one of: {', '.join(Count)}") from None


def parse_recipe(
    law: str,
    delta: float | None,
    window: str | None,
    interval: str | None = None,
    said: Constraints | None = None,
    *,
    table: RunTable,
    target: str | None = None,
) -> Recipe:
    """The options of a fit as a recipe; the columns of `table` but the target are what a formula may speak of."""
    from dataclasses import replace

    from planner.errors import InputError
    from planner.fitting.recipe import choose_recipe

    if delta is not None and not SMALLEST_DELTA <= delta < float("inf"):
        raise InputError(f"--huber-delta {delta:g} is not above {SMALLEST_DELTA:g}", "1e-3 is the papers' choice")
    recipe = choose_recipe(_law(law, table, target or "loss"), huber_delta=delta)
    if said is not None:
        recipe = replace(recipe, constraints=said)
    if interval is not None:
        recipe = replace(recipe, spread=_spread(interval, recipe))
    if window is None:
        return recipe
    factor = None if window == "all" else number("--window", window)
    if factor is not None and factor <= 1:
        raise InputError(f"--window {window} leaves no run", "give a factor of compute above 1, or 'all'")
    return replace(recipe, window=factor)


def _law(text: str, table: RunTable, target: str) -> str | type[Law]:
    """The --law option: a name, or a law made from a formula."""
    from planner.errors import InputError
    from planner.laws import LAWS
    from planner.laws.formula import make_law

    if text == "auto" or text in LAWS or re.fullmatch(r"[a-zA-Z0-9_-]*(:[a-zA-Z0-9_,-]*)?", text):
        return text
    columns = {str(name) for name in table.frame} - {target, "line"} | {"params", "flops"}
    try:
        return make_law(text, columns)
    except InputError as error:
        raise InputError(f"--law: {error.message}", error.hint) from None


def _spread(name: str, recipe: Recipe) -> Spread:
    """The --interval option, where the recipe has it."""
    from planner.errors import InputError
    from planner.fitting.recipe import Spread

    if name.upper() not in Spread.__members__:
        raise InputError(
            f"--interval {name!r} is unknown", f"one of: {', '.join(kind.name.lower() for kind in Spread)}"
        )
    kind = Spread[name.upper()]
    if (kind is Spread.POSTERIOR) != (recipe.model_error is not None):
        raise InputError(
            f"--interval {name} is not one of this recipe",
            "posterior goes with --law auto, the others with a named law",
        )
    return kind
