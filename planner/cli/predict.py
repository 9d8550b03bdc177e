"""`planner predict`."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.output import Json, say, show_json
from planner.cli.plots import Plot, check_plot, write_plot
from planner.cli.saved_fit import FitPath, Force, read_fit

At = Annotated[
    list[str] | None,
    typer.Option("--at", metavar="NAME=VALUE", help="What else the law speaks of: lr_peak=3e-4; may be repeated."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict")(predict)


def predict(
    fit: FitPath,
    params: Annotated[str, typer.Option(help="Parameters, counted as the fit counts them: 37B.")],
    tokens: Annotated[str, typer.Option(help="Training tokens: 14.8T.")],
    at: At = None,
    plot: Plot = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Loss of a run that has not been trained, with intervals; beyond reach the number still comes, marked."""
    from planner.cli.table import number
    from planner.fitting.predict import predict as make_prediction
    from planner.quantities import human

    check_plot(plot)
    saved = read_fit(fit, force=force)
    found = make_prediction(
        saved, params=number("--params", params), tokens=number("--tokens", tokens), **other_values(at)
    )
    if plot is not None:
        from planner.report.forecast_figures import extrapolation_figure

        write_plot(plot, "extrapolation", lambda: extrapolation_figure(saved, None, target=found))
    if json:
        show_json({"count": saved.count, "loss_unit": saved.loss_unit, **vars(found)})
        return
    level = f"{found.level:.0%}"
    unit = saved.loss_unit.replace("_", " ")
    say(f"{human(found.params)} {saved.count} on {human(found.tokens)} tokens: loss {found.loss:.4f} {unit}")
    say(f"  {level} interval of the mean:    {found.interval_mean[0]:.4f} to {found.interval_mean[1]:.4f}")
    say(f"  {level} interval of one new run: {found.interval_run[0]:.4f} to {found.interval_run[1]:.4f}")
    say(f"  {'supported' if found.supported else 'NOT supported'}: {found.reason}")


def other_values(at: list[str] | None) -> dict[str, float]:
    """The --at options."""
    from planner.cli.table import number
    from planner.errors import InputError

    given = {}
    for item in at or []:
        name, equals, value = item.partition("=")
        if not (name and equals and value):
            raise InputError(f"--at {item!r} is not NAME=VALUE", "for example --at lr_peak=3e-4")
        given[name.strip()] = number(f"--at {name.strip()}", value)
    return given
