"""`planner schedule`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, Output, Seed, show_json
from planner.cli.plots import Plot, check_plot, write_plot
from planner.cli.table import WhereText, read_table

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

    from planner.sweep.schedule import Setup

PlanPath = Annotated[
    str, typer.Argument(metavar="PLAN", help="A plan's table, as `planner propose` writes it: csv, jsonl or parquet.")
]
Node = Annotated[
    int | None,
    typer.Option(min=1, help="Chips of a node; the accelerator's own where it is not given. 1: parts of nodes."),
]
AtOnce = Annotated[int | None, typer.Option("--max-runs-at-once", min=1, help="Runs under way at once, at most.")]
RuleName = Annotated[
    str,
    typer.Option("--rule", help="Who may overtake a waiting run: whoever does not delay it (reserve), or any (list)."),
]
# The numbers that planner.sweep.schedule has too, where numpy need not be imported to show the help.
FailureRate = Annotated[float, typer.Option("--failure-rate", help="Share of attempts that are lost and started anew.")]
Lost = Annotated[float, typer.Option("--lost", help="Share of a run's hours that a lost attempt took, on average.")]
Hours = Annotated[float, typer.Option("--spread", help="Sd of ln hours around those planned.")]
Gated = Annotated[
    list[str] | None, typer.Option("--gated", help="A study whose stages wait for each other (ideas); may be repeated.")
]
Start = Annotated[
    str | None, typer.Option("--start", metavar="DATE", help="The first day, 2026-12-01: days become dates.")
]
Days = Annotated[float | None, typer.Option("--deadline-days", help="Days until everything should have ended.")]

Repeats = Annotated[
    int | None,
    typer.Option(min=2, max=10_000, help="Times that the schedule is drawn anew: 10 to 400, more for few runs."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("schedule")(schedule)


def schedule(
    plan: PlanPath,
    count: Annotated[int, typer.Option("--count", min=1, help="Chips at hand.")],
    chips_per_node: Node = None,
    max_runs_at_once: AtOnce = None,
    rule: RuleName = "reserve",
    failure_rate: FailureRate = 0.04,
    lost: Lost = 0.5,
    spread: Hours = 0.29,
    gated: Gated = None,
    start: Start = None,
    deadline_days: Days = None,
    where: WhereText = None,
    repeats: Repeats = None,
    seed: Seed = 0,
    output: Output = None,
    plot: Plot = None,
    json: Json = False,
) -> None:
    """When each run of a plan runs, and when each answer arrives."""
    from planner import store
    from planner.cli.choices import choice
    from planner.cli.show_schedule import record, rows_of, show
    from planner.sweep.schedule import GATED, Pool, Risk, Rule, Setup, against_deadline, lay_out, planned_runs

    check_plot(plot)
    first = _date(start)
    risk, how = Risk(failure_rate, lost, spread), choice("--rule", rule, Rule)
    read = read_table(plan, where, None)
    node = min(count, chips_per_node or _chips_per_node(read.frame, plan))
    setup = Setup(Pool(count // node, max_runs_at_once), how, risk, repeats, seed)
    runs = planned_runs(read.frame, plan, chips_per_node=node, gated=tuple(gated) if gated else GATED)
    folder = None if output is None else store.Folder(output, "schedule", _inputs(read.sha256, setup, node, gated, where, start,
                                                      deadline_days), seed=seed, replace=True)  # fmt: skip
    if folder is not None:
        folder.check()
    outcome = lay_out(runs, setup)
    deadline = None if deadline_days is None else against_deadline(outcome, 24 * deadline_days)
    told = record(outcome, deadline, count=count, chips_per_node=node, first=first)
    if folder is not None:
        folder.start()
        told["schedule"] = str(folder.write_table("schedule.csv", rows_of(outcome, deadline, first)))
        folder.write_json("schedule.json", told)
        folder.finish()
    if plot is not None:
        from planner.report.schedule_figures import Drawn, schedule_figure

        hours = None if deadline is None else deadline.hours
        write_plot(plot, "schedule", lambda: schedule_figure(Drawn(outcome, node, hours, first)))
    if json:
        show_json(told)
    else:
        show(outcome, deadline, node, first)


def _inputs(sha256: str, setup: Setup, node: int, *options: object) -> dict[str, str]:
    """What the files of a schedule follow from."""
    return {"plan": sha256, "setup": repr(setup), "chips_per_node": str(node), "options": repr(options)}


def _date(text: str | None) -> date | None:
    from datetime import date

    from planner.errors import InputError

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--start {text!r} is not a date", "give year-month-day: 2026-12-01") from None


def _chips_per_node(frame: pd.DataFrame, source: str) -> int:
    """Chips of a node of the plan's accelerator; 8 where the table names none."""
    from planner.costs.accelerators import accelerators
    from planner.errors import InputError

    kinds = sorted(set(frame["accelerator"].astype(str).str.strip()) - {""}) if "accelerator" in frame else []
    if len(kinds) > 1:
        raise InputError(
            f"{source}: runs on several kinds of chip: {', '.join(kinds[:5])}",
            f"schedule one kind at a time: --where accelerator={kinds[0]}",
        )
    if not kinds:
        return 8
    if kinds[0] not in accelerators():
        raise InputError(
            f"{source}: how many chips a node of {kinds[0]!r} has is not known", "say it with --chips-per-node"
        )
    return accelerators()[kinds[0]].per_node
