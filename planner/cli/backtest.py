"""`planner backtest`."""

from __future__ import annotations

import typer

from planner.cli.output import EngineName, Json, say, show_json, show_table, warn
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
    engine: EngineName = "processes",
    plot: Plot = None,
    json: Json = False,
) -> None:
    """Hide the large runs and predict them: the error and coverage to expect of an extrapolation."""
    from planner.engines import opened
    from planner.errors import InputError
    from planner.fitting.automatic import for_columns
    from planner.fitting.columns import read_sample
    from planner.fitting.fit import run_backtest
    from planner.fitting.order import order_of
    from planner.runs.sample import groups_of

    check_plot(plot)
    table = read_table(runs, where, column)
    recipe = parse_recipe(law, huber_delta, window, table=table, target=target)
    groups = groups_of(table)
    if group is None and len(groups) > 1:
        raise InputError(f"{runs}: several groups: {', '.join(groups)}", f"choose one: --group {groups[0]!r}")
    sample = read_sample(table, recipe.law, automatic=recipe.automatic, count=parse_count_name(count),
                         group=group or groups[0] or None, target=target)  # fmt: skip
    recipe, _, chosen = for_columns(sample, recipe)
    order = order_of(sample, recipe.law)
    if order is None:
        raise InputError(f"{runs}: nothing in the {recipe.law.name} law or the runs orders them from small to large",
                         "give their FLOPs in a column")  # fmt: skip
    with opened(engine, warn) as chosen_engine:
        rows = run_backtest(sample, recipe, level=level, engine=chosen_engine)
    if not rows:
        raise InputError(
            f"{runs}: too few runs to hide any ({sample.loss.size})",
            "a backtest needs about 13 runs over a range of compute",
        )
    if plot is not None:
        from planner.report.forecast_figures import backtest_figure

        write_plot(plot, "backtest", lambda: backtest_figure(rows, level, order.name))
    if json:
        show_json({"law": recipe.law.name, "scale": order.name, "level": level, "rows": rows})
        return
    for finding in chosen:
        say(finding.sentence)
    show_table(
        f"{recipe.law.name} law: the largest runs hidden, predicted from smaller ones",
        (f"{order.name} beyond, from", "runs", "median error", "90th pct", f"inside {level:.0%}", "median width"),
        [
            (f"{row.kappa:g}x", str(row.n), f"{row.median_error:.2%}", f"{row.p90_error:.2%}", f"{row.coverage:.0%}",
             f"{row.median_width:.2%}") for row in rows
        ],
    )  # fmt: skip
