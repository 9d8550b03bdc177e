"""`planner backtest`."""

from __future__ import annotations

import typer

from planner.cli.output import Json, show_json, show_table
from planner.cli.plots import Plot, check_plot, write_plot
from planner.cli.table import (
    Columns,
    CountName,
    Delta,
    GroupName,
    LawName,
    Level,
    RunsPath,
    TargetName,
    WhereText,
    Window,
    parse_count_name,
    parse_recipe,
    read_table,
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backtest")(backtest)


def backtest(
    runs: RunsPath,
    law: LawName = "auto",
    huber_delta: Delta = None,
    count: CountName = None,
    window: Window = None,
    where: WhereText = None,
    column: Columns = None,
    target: TargetName = None,
    group: GroupName = None,
    level: Level = 0.9,
    plot: Plot = None,
    json: Json = False,
) -> None:
    """Hide the large runs and predict them: the error and coverage to expect of an extrapolation."""
    from planner.errors import InputError
    from planner.fitting.fit import run_backtest
    from planner.runs import sample_of
    from planner.runs.sample import groups_of

    check_plot(plot)
    table = read_table(runs, where, column)
    recipe = parse_recipe(law, huber_delta, window, table=table, target=target)
    groups = groups_of(table)
    if group is None and len(groups) > 1:
        raise InputError(f"{runs}: several groups: {', '.join(groups)}", f"choose one: --group {groups[0]!r}")
    sample = sample_of(table, count=parse_count_name(count), group=group or groups[0] or None,
                       also=recipe.law.variables, target=target or recipe.law.target)  # fmt: skip
    rows = run_backtest(sample, recipe, level=level)
    if not rows:
        raise InputError(
            f"{runs}: too few runs to hide any ({sample.loss.size})",
            "a backtest needs about 13 runs over a range of compute",
        )
    if plot is not None:
        from planner.report.forecast_figures import backtest_figure

        write_plot(plot, "backtest", lambda: backtest_figure(rows, level))
    if json:
        show_json({"level": level, "rows": rows})
        return
    show_table(
        f"{recipe.law.name} law: the largest runs hidden, predicted from smaller ones",
        ("compute beyond, from", "runs", "median error", "90th pct", f"inside {level:.0%}", "median width"),
        [
            (f"{row.kappa:g}x", str(row.n), f"{row.median_error:.2%}", f"{row.p90_error:.2%}", f"{row.coverage:.0%}",
             f"{row.median_width:.2%}") for row in rows
        ],
    )  # fmt: skip
