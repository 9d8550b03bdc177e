"""`planner laws`: the laws there are, and everything of one."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, say, show_json, show_table
from planner.cli.plots import Plot, check_plot, write_plot

if TYPE_CHECKING:
    from planner.report.law_sheet import LawSheet

LISTED = ("name", "formula", "source", "published", "variables", "letters", "link")
WIDE = 140  # columns from which a law of the list takes one line and not three
READABLE = 110  # columns that a line of prose has at most
Row = tuple[str, str, str, str]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("laws")(laws)


def laws(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Everything of one law.")] = None,
    plot: Plot = None,
    json: Json = False,
) -> None:
    """Laws with formula, variables and source; with a NAME its letters, limits, coefficients and picture."""
    from planner.errors import InputError
    from planner.laws import LAWS, find_law
    from planner.report.law_sheet import law_sheet

    check_plot(plot)
    if name is None:
        if plot is not None:
            raise InputError("--plot draws one law", "name it: planner laws chinchilla --plot law.svg")
        sheets = [law_sheet(law) for law in LAWS.values()]
        if json:
            show_json({"laws": [{key: getattr(sheet, key) for key in LISTED} for sheet in sheets]})
        else:
            _show_list(sheets)
        return
    law = find_law(name)
    if plot is not None:
        from planner.report.law_figures import law_figure

        write_plot(plot, "law", lambda: law_figure(law))
    if json:
        show_json(law_sheet(law))
    else:
        _show_law(law_sheet(law))


def _show_list(sheets: Sequence[LawSheet]) -> None:
    """A table a topic, of one width."""
    width = _terminal()
    rows: dict[str, list[Row]] = {}
    for sheet in sheets:
        rows.setdefault(sheet.topic, []).append((sheet.name, ", ".join(sheet.variables), sheet.formula, sheet.source))
    names = max(len(sheet.name) for sheet in sheets)
    for topic, laws_ in rows.items():
        say(f"\n{topic.capitalize()}")
        for row in laws_:
            for line in _side_by_side(row, names, width) if width >= WIDE else _stacked(row, names, width):
                say(line)
    say()
    _say_prose(
        "`planner laws NAME` tells everything of one, --plot FILE draws it; `planner fit RUNS --law NAME` fits it.", 0
    )


def _side_by_side(row: Row, names: int, width: int) -> list[str]:
    """Name, variables, formula and source in columns."""
    variables, source = 24, 46
    formula = width - names - variables - source - 8
    cells = [[row[0]], _wrapped(row[1], variables), wrapped_formula(row[2], formula), _wrapped(row[3], source)]
    widths = (names, variables, formula, source)
    height = max(len(cell) for cell in cells)
    padded = [cell + [""] * (height - len(cell)) for cell in cells]
    lines = [
        "  ".join(part.ljust(size) for part, size in zip(line, widths, strict=True))
        for line in zip(*padded, strict=True)
    ]
    return [f"  {line}".rstrip() for line in lines]


def _stacked(row: Row, names: int, width: int) -> list[str]:
    """The name, and beside it formula, variables and source one below the other."""
    room = width - names - 4
    told = [*wrapped_formula(row[2], room), *_wrapped(f"of {row[1]}", room), *_wrapped(row[3], room)]
    return [f"  {name:<{names}}  {line}" for name, line in zip([row[0], *[""] * len(told)], told, strict=False)]


def _show_law(sheet: LawSheet) -> None:
    """Headings with what is known of one law."""
    say(f"{sheet.name}: {sheet.topic}")
    say()
    for line in wrapped_formula(sheet.formula, _prose() - 4):
        say(f"    {line}")
    say()
    _say_pairs({
        "predicts": f"{sheet.predicts}; {'its logarithm is' if sheet.link == 'log' else 'it is'} fitted",
        "linear in": ", ".join(each.letter for each in sheet.coordinates if each.linear) or "no letter",
        "source": sheet.source,
    })  # fmt: skip
    _head("variables, one column of the runs each")
    _say_pairs(sheet.units)
    _head("letters, with what a fit holds of each and the bounds of that")
    show_table("", ("  letter", "held as", "from", "to", "linear", "example"), [
        (f"  {each.letter}", each.held, f"{each.low:.4g}", f"{each.high:.4g}", "yes" if each.linear else "",
         f"{sheet.example[each.letter]:.4g}") for each in sheet.coordinates
    ])  # fmt: skip
    say(f"  example: {sheet.example_source}")
    _head("what it says, and where it ends")
    _say_description(sheet.description)
    for limit in sheet.limits:
        first, *others = wrapped_formula(f"at {_values(limit.columns, ' = ')}: {limit.formula}", _prose() - 4)
        say("\n".join([f"  {first}", *(f"    {line}" for line in others)]))
    _head("published coefficients")
    _say_published(sheet)
    _head("to fit it")
    say(f"  {sheet.fit}")
    value = "" if "loss" in sheet.predicts else f", and what it predicts: {sheet.predicts}"
    _say_prose(f"with the columns {', '.join(sheet.columns)}{value}")


def _say_description(text: str) -> None:
    """The docstring: its first line, then the rest as one paragraph, then its source."""
    first, _, rest = text.partition("\n")
    told, _, source = " ".join(rest.split()).partition("Source: ")
    for part in (first, told, f"Source: {source}" if source else ""):
        if part:
            _say_prose(part)


def _say_published(sheet: LawSheet) -> None:
    from planner.quantities import human

    if not sheet.published:
        say("  none")
    best = {split.source: split for split in sheet.optima}
    for each in sheet.published:
        _say_prose(each.source)
        _say_prose(_values(each.values, " "), indent=4)
        if split := best.get(each.source):
            _say_prose(
                f"best split of {_brief(split.flops)} FLOPs (6 x params x tokens): {human(split.params)} params on "
                f"{human(split.tokens)} tokens", indent=4,
            )  # fmt: skip


def _head(text: str) -> None:
    say(f"\n{text[0].upper()}{text[1:]}")


def _say_pairs(pairs: Mapping[str, str]) -> None:
    """Names in one column, what is said of them in another."""
    names = max(len(name) for name in pairs)
    for name, text in pairs.items():
        first, *others = _wrapped(text, max(_prose() - names - 4, 20))
        say(f"  {name:<{names}}  {first}")
        for line in others:
            say(f"  {'':<{names}}  {line}")


def _say_prose(text: str, indent: int = 2) -> None:
    for line in _wrapped(text, _prose() - indent):
        say(f"{'':<{indent}}{line}")


def _values(values: Mapping[str, float], between: str) -> str:
    return ", ".join(f"{name}{between}{_brief(value)}" for name, value in values.items())


def _brief(value: float) -> str:
    """1e9, not 1e+09."""
    return re.sub(r"e\+?(-?)0*", r"e\1", f"{value:g}")


def wrapped_formula(text: str, width: int) -> list[str]:
    """A formula in lines of a width: broken before + and -, within a term too long for a line before * / ^, never in a name."""
    lines = [""]
    for term in re.split(r" (?=[+-] )", text):
        whole = len(term) <= width
        for place, piece in enumerate([term] if whole else re.split(r"(?<=\()|(?=[*/^])", term)):
            joined = f"{lines[-1]} {piece}" if lines[-1] and place == 0 else lines[-1] + piece
            if len(joined) <= width or not lines[-1]:
                lines[-1] = joined
            else:
                lines.append(piece)
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _terminal() -> int:
    """The columns of a terminal; a file has no width to fit."""
    return max(shutil.get_terminal_size(fallback=(200, 24)).columns, 60)


def _prose() -> int:
    return min(_terminal(), READABLE)
