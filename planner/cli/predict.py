"""`planner predict`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, say, show_json
from planner.cli.plots import Plot, check_plot, write_plot
from planner.cli.saved_fit import FitPath, Force, read_fit

if TYPE_CHECKING:
    from planner.fitting.fit import Fit
    from planner.fitting.predict import Prediction

At = Annotated[
    list[str] | None,
    typer.Option(
        "--at", metavar="NAME=VALUE", help="What else the law speaks of: flops=1e23, lr_peak=3e-4; may be repeated."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict")(predict)


def predict(
    fit: FitPath,
    params: Annotated[str | None, typer.Option(help="Parameters, counted as the fit counts them: 37B.")] = None,
    tokens: Annotated[str | None, typer.Option(help="Training tokens: 14.8T.")] = None,
    at: At = None,
    plot: Plot = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Loss of a run that has not been trained, with intervals; beyond reach the number still comes, marked.

    Asked for is exactly what the fitted law speaks of: --params and --tokens, or --at NAME=VALUE.
    """
    from planner.cli.table import number
    from planner.fitting.predict import predict as make_prediction

    check_plot(plot)
    saved = read_fit(fit, force=force)
    sizes = {
        name: number(f"--{name}", text) for name, text in (("params", params), ("tokens", tokens)) if text is not None
    }
    found = make_prediction(saved, **(other_values(at) | sizes))
    if plot is not None:
        from planner.report.forecast_figures import extrapolation_figure

        write_plot(plot, "extrapolation", lambda: extrapolation_figure(saved, None, target=found))
    if json:
        show_json({"count": saved.count, "loss_unit": saved.loss_unit, **vars(found)})
        return
    level = f"{found.level:.0%}"
    say(f"{_where(saved, found)}: {_what(saved, found)}")
    say(f"  {level} interval of the mean:    {found.interval_mean[0]:.4f} to {found.interval_mean[1]:.4f}")
    say(f"  {level} interval of one new run: {found.interval_run[0]:.4f} to {found.interval_run[1]:.4f}")
    say(f"  {'supported' if found.supported else 'NOT supported'}: {found.reason}")


def _where(saved: Fit, found: Prediction) -> str:
    from planner.laws.law import of_size_and_data
    from planner.quantities import human

    if of_size_and_data(type(saved.law)):
        return f"{human(found.params)} {saved.count} on {human(found.tokens)} tokens"
    return ", ".join(f"{name} {human(value)}" for name, value in found.at.items())


def _what(saved: Fit, found: Prediction) -> str:
    if saved.target != "loss":
        return f"{saved.target} {found.loss:.4g}"
    return f"loss {found.loss:.4f} {saved.loss_unit.replace('_', ' ')}"


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
