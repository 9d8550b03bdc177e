"""The picture of promotion policies: what is kept and what slips through, against what it costs."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from planner.decisions.policy import Outcome
from planner.report.axes import PERCENT
from planner.report.svg import BLUE, GREY, ORANGE, RED
from planner.text import visible

COST = FuncFormatter(lambda value, _: f"{100 * value:.3g}%")


def policy_figure(curve: Sequence[Outcome], rivals: Sequence[Outcome], chosen: Outcome) -> Figure:
    """Gain kept and harmful ideas promoted against compute: the gates' operating curve, rivals, and the policy chosen."""
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _panel(left, curve, rivals, chosen, "gain_kept", "gain kept (of all ideas that help)")
    _panel(right, curve, rivals, chosen, "false_promotion", "harmful ideas promoted")
    figure.suptitle(
        f"{visible(chosen.policy.name)}: {chosen.gain_kept:.0%} of the gain kept, {chosen.false_promotion:.1%} of harmful "
        f"ideas promoted, {chosen.of_final:.2%} of the final run",
        fontsize=12,
    )
    figure.supxlabel("compute of all runs, of the final run", fontsize=11)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9.5)
    return figure


def _panel(
    axes: Axes, curve: Sequence[Outcome], rivals: Sequence[Outcome], chosen: Outcome, field: str, label: str
) -> None:
    def put(outcomes: Sequence[Outcome], colour: str, style: str, name: str, size: float) -> None:
        axes.errorbar(
            [found.of_final for found in outcomes],
            [getattr(found, field) for found in outcomes],
            yerr=[getattr(found, f"{field}_error") for found in outcomes],
            color=colour, fmt=style, markersize=size, elinewidth=1, label=name,
        )  # fmt: skip

    put(curve, BLUE, "o-", "gates, with more and more compute", 4)
    put(rivals, GREY, "s", "other policies", 5)
    put([chosen], RED, "*", "this policy", 15)
    if field == "gain_kept":
        for number, found in enumerate(rivals, start=1):
            axes.annotate(str(number), (found.of_final, getattr(found, field)), (5, -11), textcoords="offset points",
                          color=ORANGE, fontsize=9)  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, numticks=7))
    axes.xaxis.set_major_formatter(COST)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(label)
