"""The picture of an assessment: error by design and kind of world, and error against what is spent."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from planner.assess.assessment import Assessment
from planner.assess.truths import Kind
from planner.report.axes import HUMAN
from planner.report.svg import BLUE, GREEN, GREY, ORANGE, RED
from planner.text import visible

LOOK = {
    Kind.ADDITIVE: (GREEN, "s"), Kind.COUPLED: (BLUE, "o"), Kind.CURVED: (ORANGE, "D"), Kind.HOSTILE: (RED, "^"),
}  # fmt: skip
ERROR = "rms error of the final run's loss"
SHORT = FuncFormatter(lambda value, _: f"{100 * value:.3g}%")


def assess_figure(found: Assessment) -> Figure:
    """Rms error by design and kind of world, the own design on top; beside it the own design's against accelerator-hours."""
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _designs(left, found)
    _curve(right, found)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=9.5)
    worlds = max((one.worlds for one in found.designs), default=0)
    figure.suptitle(f"{visible(found.own)} and its rivals in {worlds:,} simulated worlds of each kind", fontsize=12)
    return figure


def _designs(axes: Axes, found: Assessment) -> None:
    names = list(dict.fromkeys(one.name for one in found.designs))
    for kind, (colour, marker) in LOOK.items():
        scores = [one for one in found.designs if one.kind is kind]
        axes.plot(
            [one.rms_error for one in scores], [names.index(one.name) for one in scores], color=colour, marker=marker,
            linestyle="none", markersize=8,
        )  # fmt: skip
    axes.axhspan(-0.4, 0.4, color=GREY, alpha=0.15, linewidth=0)
    axes.set_yticks(
        range(len(names)), [f"{visible(name)} (own)" if name == found.own else visible(name) for name in names]
    )
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title("at equal GPU-hours", fontsize=11)
    axes.set_xscale("log")
    _percents(axes)
    axes.set_xlabel(ERROR)


def _curve(axes: Axes, found: Assessment) -> None:
    for kind, (colour, marker) in LOOK.items():
        points = [one for one in found.curve if one.kind is kind]
        axes.errorbar(
            [one.gpu_hours for one in points], [one.rms_error for one in points], yerr=[one.rms_se for one in points],
            color=colour, marker=marker, markersize=6, elinewidth=1, label=f"{kind} worlds",
        )  # fmt: skip
    here = [one.gpu_hours for one in found.curve if one.fraction == 1]
    axes.axvline(here[0], color=GREY, linestyle="--", linewidth=1.2, label="this sweep")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=12))
    axes.xaxis.set_major_formatter(HUMAN)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=12))
    axes.yaxis.set_major_formatter(SHORT)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title(f"{visible(found.own)} design at other budgets", fontsize=11)
    axes.set_xlabel("GPU-hours of the scaling study")
    axes.set_ylabel(ERROR)


def _percents(axes: Axes) -> None:
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=12))
    axes.xaxis.set_major_formatter(SHORT)
    axes.xaxis.set_minor_locator(NullLocator())
