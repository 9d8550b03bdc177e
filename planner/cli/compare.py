"""`planner compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, show_json, show_table
from planner.cli.saved_fit import Force, read_fit
from planner.cli.table import Columns, RunsPath, WhereText, number, read_table

if TYPE_CHECKING:
    from planner.decisions.gains import IdeaGain


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(compare)


def compare(
    runs: RunsPath,
    fit: Annotated[str, typer.Option(help="The law to measure gains with: a fit.json or its folder.")],
    flops: Annotated[str, typer.Option(help="Compute of the final run, at which gains are wanted: 3.3e24.")],
    where: WhereText = None,
    column: Columns = None,
    level: Annotated[float, typer.Option(help="Nominal coverage of the intervals.")] = 0.9,
    force: Force = False,
    json: Json = False,
) -> None:
    """Compute-equivalent gain of each variant from paired runs; promote, hold or drop."""
    from planner.decisions.gains import compare as measure
    from planner.decisions.pairs import pairs_of
    from planner.errors import InputError

    saved, table = read_fit(fit, force=force), read_table(runs, where, column)
    target = number("--flops", flops)
    if target <= 0:
        raise InputError(f"--flops {flops} is not above zero", "give the final run's compute: 3.3e24")
    if not 0 < level < 1:
        raise InputError(f"--level {level} is not between 0 and 1", "0.9 is the default")
    paired = pairs_of(table, saved.count)
    if paired.untested:
        raise InputError(
            f"{runs}: idea {paired.untested[0]!r} has no run beside a baseline run",
            "run the baseline with the same size, tokens and seed, or leave the idea out: --where variant!=...",
        )
    ideas = measure(paired.pairs, saved.law, target_flops=target, level=level)
    if json:
        show_json({"ideas": ideas})
        return
    header = ("idea", "pairs", "tested at", "gain there", "gain", f"{level:.0%} from", "to", "P(gain > 1)", "decision")
    show_table(f"compute-equivalent gain at {target:.3g} FLOPs", header, [_row(idea) for idea in ideas])


def _row(idea: IdeaGain) -> tuple[str, ...]:
    gains = (idea.gain_tested, idea.gain, *idea.interval)
    tested = f"{idea.flops_tested:.2e}"
    return (
        idea.variant,
        str(idea.n_pairs),
        tested,
        *map("{:.3f}".format, gains),
        f"{idea.probability:.0%}",
        idea.decision,
    )
