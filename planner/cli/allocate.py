"""`planner allocate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, say, show_json, show_table
from planner.cli.plots import Plot, check_plot, write_plot
from planner.cli.saved_fit import FitPath, Force, read_fit

if TYPE_CHECKING:
    from planner.decisions.allocation import Allocation
    from planner.fitting.fit import Fit


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("allocate")(allocate)


def allocate(
    fit: FitPath,
    flops: Annotated[str | None, typer.Option(help="Training FLOPs to split: 3.3e24.")] = None,
    loss: Annotated[float | None, typer.Option(help="A loss to reach, in the fit's unit: gives the FLOPs.")] = None,
    plot: Plot = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Best size and tokens for a compute budget, or the budget that reaches a loss; with intervals."""
    from planner.cli.table import number
    from planner.decisions.allocation import allocate as split
    from planner.decisions.allocation import flops_for
    from planner.errors import InputError

    check_plot(plot)
    saved = read_fit(fit, force=force)
    if (flops is None) == (loss is None):
        raise InputError("give one of --flops and --loss", "--flops 3.3e24 splits a budget, --loss 1.9 finds one")
    if flops is not None:
        found = split(saved, flops=number("--flops", flops))
        _draw(plot, saved, found)
        if json:
            show_json(found)
            return
        _show(found)
        return
    needed = flops_for(saved, loss=loss or 0.0)
    _draw(plot, saved, needed.best)
    if json:
        show_json({**vars(needed.best), "loss_wanted": needed.loss, "flops_interval": needed.interval})
        return
    low, high = (f"{end:.3g}" for end in needed.interval)
    say(f"a loss of {needed.loss:g} takes {needed.flops:.3g} FLOPs at the best split")
    say(f"  {needed.best.level:.0%} interval: {low} to {'more than any' if high == 'inf' else high}")
    _show(needed.best)


def _draw(plot: str | None, fit: Fit, found: Allocation) -> None:
    if plot is not None:
        from planner.report.forecast_figures import allocation_figure

        write_plot(plot, "allocation", lambda: allocation_figure(fit, found))


def _show(found: Allocation) -> None:
    from planner.quantities import human

    values = {"params": found.params, "tokens": found.tokens, "tokens_per_param": found.tokens_per_param}
    rows = [(name, human(value), *(human(edge) for edge in found.intervals[name])) for name, value in values.items()]
    rows.append(("loss", f"{found.loss:.4f}", *(f"{edge:.4f}" for edge in found.intervals["loss"])))
    show_table(
        f"best split of {human(found.flops)} FLOPs (6 x {found.count} x tokens)",
        ("", "best", f"{found.level:.0%} from", "to"), rows,
    )  # fmt: skip
    say(f"{'supported' if found.supported else 'NOT supported'}: {found.reason}")
