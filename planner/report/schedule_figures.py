"""The picture of a schedule: which run stands on which chips and when, how many are in use, when each answer arrives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from planner.report.axes import PERCENT
from planner.report.svg import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY
from planner.sweep.schedule import Outcome, Part, Timetable, lanes
from planner.text import short, visible

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY)  # a study each; red is the deadline's, grey is for all further studies
EDGED = 600  # pieces that are still told apart by white edges; more get two tints in turn
PRECISE = 3000  # pieces that an SVG holds as shapes; more are one image
ANSWERS = 16  # rows of answers at most, those that arrive last
COMMAS = FuncFormatter(lambda value, _: f"{value:,g}")


@dataclass(frozen=True)
class Drawn:
    """A schedule to draw; hours to its deadline and the date of its first day where they are known."""

    outcome: Outcome
    chips_per_node: int
    deadline: float | None = None
    first: date | None = None

    @property
    def table(self) -> Timetable:
        """When each run runs."""
        return self.outcome.table

    @property
    def parts(self) -> Sequence[Part]:
        """Stages of studies, in the plan's order."""
        return self.outcome.runs.parts

    @property
    def colours(self) -> dict[str, str]:
        """A colour for each study, in the plan's order."""
        studies = list(dict.fromkeys(part.study for part in self.parts))
        return {study: COLOURS[index] if index < len(COLOURS) else GREY for index, study in enumerate(studies)}


def schedule_figure(drawn: Drawn) -> Figure:
    """Chips against days, coloured by study, over the share in use and the days at which answers arrive."""
    rows = min(len(drawn.parts), ANSWERS)
    figure = Figure(figsize=(11, 6.2 + 0.24 * rows), layout="constrained")
    gantt, usage, answers = figure.subplots(3, 1, sharex=True, height_ratios=[4.2, 0.8, 0.35 + 0.24 * rows])
    _gantt(gantt, drawn)
    _usage(usage, drawn)
    _answers(answers, drawn)
    _marks((gantt, usage, answers), drawn)
    answers.set_xlabel("days" if drawn.first is None else f"days from {drawn.first.isoformat()}")
    figure.suptitle(
        f"{len(drawn.table.jobs):,} runs end on day {drawn.table.makespan / 24:,.1f} "
        f"(P90 {drawn.outcome.spread.percentiles().p90 / 24:,.0f}); "
        f"{drawn.table.idle_share:.1%} of the chips' time is idle",
        fontsize=12,
    )
    handles = [Patch(color=colour, label=visible(short(study, 30))) for study, colour in drawn.colours.items()]
    handles += [
        line for axes in (gantt, answers) for line in axes.get_lines() if not str(line.get_label()).startswith("_")
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9.5)
    return figure


def _gantt(axes: Axes, drawn: Drawn) -> None:
    pieces = lanes(drawn.table)
    left, right = (hours[pieces.run] / 24 for hours in (drawn.table.start, drawn.table.end))
    low, high = (chips * drawn.chips_per_node for chips in (pieces.first, pieces.first + pieces.width))
    corners = np.stack([np.stack(pair, 1) for pair in ((left, low), (left, high), (right, high), (right, low))], 1)
    edged = pieces.run.size <= EDGED
    studies = np.array([part.study for part in drawn.parts], object)[drawn.outcome.runs.part[pieces.run]]
    tints = np.zeros(pieces.run.size, int) if edged else pieces.run % 2
    for study, colour in drawn.colours.items():
        for tint in (0, 1):
            chosen = (studies == study) & (tints == tint)
            shown = np.asarray(to_rgb(colour)) * (1 - 0.3 * tint) + 0.3 * tint
            axes.add_collection(
                PolyCollection(
                    list(corners[chosen]), facecolors=[tuple(shown)], edgecolors="white" if edged else "none",
                    linewidths=0.6 if edged else 0, antialiased=edged, rasterized=pieces.run.size > PRECISE,
                )
            )  # fmt: skip
    chips = drawn.table.pool.nodes * drawn.chips_per_node
    axes.set_ylim(0, chips)
    axes.set_yticks(np.linspace(0, chips, 5))
    axes.yaxis.set_major_formatter(COMMAS)
    axes.grid(False)
    split = pieces.run.size > len(drawn.table.jobs)
    axes.set_ylabel("chips (a run may stand in pieces)" if split else "chips")


def _usage(axes: Axes, drawn: Drawn) -> None:
    at, nodes = drawn.table.usage
    axes.fill_between(at / 24, nodes / drawn.table.pool.nodes, step="post", color=GREY, alpha=0.55, linewidth=0)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.5, 1])
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylabel("in use")


def _answers(axes: Axes, drawn: Drawn) -> None:
    """A row for each part: the day of its answer as planned, and P10 to P90."""
    shown = sorted(drawn.outcome.answers, key=lambda answer: answer.end)[-ANSWERS:]
    for row, answer in enumerate(shown):
        colour = drawn.colours[answer.part.study]
        axes.plot([answer.arrives.p10 / 24, answer.arrives.p90 / 24], [row, row], color=colour, linewidth=2)
        axes.plot([answer.arrives.p50 / 24], [row], marker="o", markersize=5, color=colour)
        axes.plot([answer.end / 24], [row], marker="|", markersize=9, color="black", linestyle="none")
    axes.set_yticks(range(len(shown)), [label(answer.part, drawn.parts) for answer in shown])
    axes.tick_params(axis="y", labelsize=9)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_ylabel("answers")
    axes.plot([], [], color=GREY, marker="o", markersize=5, linewidth=2, label="answer arrives: P10, P50, P90")
    axes.plot([], [], color="black", marker="|", markersize=9, linestyle="none", label="as planned")


def _marks(panels: Sequence[Axes], drawn: Drawn) -> None:
    """Gates and the deadline, as lines through all panels; days on the axis from zero to the last thing drawn."""
    opened = [float(drawn.table.end[gate.before].max()) / 24 for gate in drawn.table.jobs.gates if gate.before.size > 1]
    for axes in panels:
        for number, day in enumerate(opened):
            named = "gate opens, as planned" if axes is panels[0] and not number else "_"
            axes.axvline(day, color="black", linewidth=0.9, linestyle=":", label=named)
        if drawn.deadline is not None:
            named = "deadline" if axes is panels[0] else "_"
            axes.axvline(drawn.deadline / 24, color=RED, linewidth=1.6, linestyle="--", label=named)
    latest = max(drawn.outcome.spread.percentiles().p90, drawn.table.makespan, drawn.deadline or 0.0)
    panels[0].set_xlim(0, 1.02 * latest / 24)


def label(part: Part, parts: Sequence[Part]) -> str:
    """A part's name: the study, with its stage where it has several."""
    several = sum(other.study == part.study for other in parts) > 1
    return visible(short(part.study, 24)) + (f" {part.stage}" if several else "")
