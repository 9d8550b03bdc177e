"""The picture of promotion policies: what is kept and what slips through, against what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from planner.decisions.policy import Outcome
from planner.report.axes import PERCENT
from planner.report.svg import BLUE, GREY, RED
from planner.text import visible

COST = FuncFormatter(lambda value, _: f"{100 * value:.3g}%")
MARKERS = ("s", "D", "^", "v", "<", ">", "P", "X", "h")


def policy_figure(curve: Sequence[Outcome], rivals: Sequence[Outcome], chosen: Outcome) -> Figure:
    """Gain kept and harmful ideas promoted against compute: the gates' operating curve, rivals, and the policy chosen."""
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _panel(left, curve, rivals, chosen, "gain_kept", "gain kept (of all ideas that help)")
    _panel(right, curve, rivals, chosen, "false_promotion", "harmful ideas promoted")
    figure.suptitle(
        f"{chosen.gain_kept:.0%} of the gain kept, {chosen.false_promotion:.1%} of harmful "
        f"ideas promoted, {chosen.of_final:.2%} of the final run's compute",
        fontsize=12,
    )
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9.5)
    return figure


def _panel(
    axes: Axes, curve: Sequence[Outcome], rivals: Sequence[Outcome], chosen: Outcome, field: str, label: str
) -> None:
    def put(outcomes: Sequence[Outcome], colour: str, marker: str, name: str, size: float) -> None:
        axes.errorbar(
            [found.of_final for found in outcomes],
            [getattr(found, field) for found in outcomes],
            yerr=[getattr(found, f"{field}_error") for found in outcomes],
            color=colour, marker=marker, linestyle="-" if outcomes is curve else "none", markersize=size, elinewidth=1, label=name,
        )  # fmt: skip

    put(curve, BLUE, "o", "gates, with more and more compute", 4)
    put([chosen], RED, "*", visible(chosen.policy.name), 14)
    for found, marker in zip(rivals, cycle(MARKERS)):
        put([found], GREY, marker, visible(found.policy.name), 6)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, numticks=7))
    axes.xaxis.set_major_formatter(COST)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("compute of all runs, of the final run")
    axes.set_ylabel(label)
