"""The picture of a law: its value along each variable, the others held."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from planner.laws.centre import Array
from planner.laws.law import Law
from planner.quantities import human
from planner.report.axes import HUMAN
from planner.report.law_sheet import example_of, predicted
from planner.report.svg import BLUE, GREY, ORANGE

POINTS = 121
POWERS = FuncFormatter(lambda value, _: human(value, 1))
FEW = 300.0  # a ratio of ends below which powers of ten are too few labels
DECADE = 10.0  # the least ratio of ends that a log axis is worth
LETTER = 0.58  # of the size of a font, its letters' mean width
BEYOND = 8.0  # times its value, how far a column is drawn that the design does not vary


def law_figure(law: type[Law]) -> Figure:
    """One small panel a variable: the law along it at its example's letters, the others at the design's middle."""
    example, source = example_of(law)
    made = law(**example.letters)
    columns = {name: np.asarray(example.columns[name], float) for name in law.variables}
    middle = middle_of(columns)
    across = len(middle) if len(middle) < 4 else math.ceil(len(middle) / 2)
    down = math.ceil(len(middle) / across)
    width, height = max(6.5, 3.6 * across), 3.1 * down + 1.3
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = np.ravel(figure.subplots(down, across, sharey=True, squeeze=False))
    for axes, name in zip(panels, middle, strict=False):
        _panel(axes, made, name, columns, middle)
    for axes in panels[len(middle) :]:
        axes.set_visible(False)
    _value_axis(list(panels[: len(middle)]))
    figure.supylabel(_wrapped(predicted(law), 0.7 * height, 11), fontsize=11)
    said = (law.__doc__ or law.formula).split("\n")[0]
    figure.suptitle(_wrapped(f"{law.name}: {said}", width, 11.5), fontsize=11.5)
    held = ", ".join(f"{name} {human(value)}" for name, value in middle.items())
    text = f"Letters: {source}." + (f" Dots, and what is held elsewhere: {held}." if len(middle) > 1 else "")
    figure.supxlabel(_wrapped(text, width, 9), fontsize=9, color=GREY)
    return figure


def _wrapped(text: str, inches: float, size: float) -> str:
    """A text in lines of so many inches, by the mean width of a letter."""
    return textwrap.fill(text, int(inches * 72 / (LETTER * size)))


def middle_of(columns: Mapping[str, Array]) -> dict[str, float]:
    """The run of a design that lies nearest to the middle of every column's levels."""
    off = []
    for column in columns.values():
        levels, place = np.unique(column, return_inverse=True)
        off.append(np.abs(place / max(levels.size - 1, 1) - 0.5))
    at = int(np.argmin(np.round(np.sum(off, axis=0), 9)))
    return {name: float(column[at]) for name, column in columns.items()}


def levels_along(name: str, columns: Mapping[str, Array], middle: Mapping[str, float]) -> Array:
    """Values of a column in the design's runs that share all else with the middle; in all runs when those are too few."""
    others = [np.isclose(column, middle[other], rtol=1e-9) for other, column in columns.items() if other != name]
    same = np.all(others, axis=0) if others else np.ones(columns[name].size, bool)
    near = np.unique(columns[name][same])
    found = near if near.size > 1 else np.unique(columns[name])
    return found if found.size > 1 else found[0] * np.array([1.0, BEYOND])


def is_log_spaced(levels: Array) -> bool:
    """Whether positive levels span a decade, in steps more alike as ratios than as differences."""
    if levels[0] <= 0 or levels[-1] < DECADE * levels[0]:
        return False
    ratios, differences = np.diff(np.log(levels)), np.diff(levels)
    return bool(ratios.std() / ratios.mean() <= differences.std() / differences.mean())


def _panel(axes: Axes, law: Law, name: str, columns: Mapping[str, Array], middle: Mapping[str, float]) -> None:
    levels = levels_along(name, columns, middle)
    switch = levels.tolist() == [0.0, 1.0]
    log = is_log_spaced(levels)
    x = levels if switch else (np.geomspace if log else np.linspace)(levels[0], levels[-1], POINTS)
    with np.errstate(all="ignore"):  # a law may have no value at some combinations: the curve stops there
        y = np.asarray(law(**{**middle, name: x}), float)
        y = np.where(np.isfinite(y), y, np.nan)
        centre = float(law(**middle))
    axes.plot(
        x, y, color=BLUE, linewidth=1.8, label=name, linestyle=":" if switch else "-", marker="s" if switch else ""
    )
    if len(middle) > 1:
        axes.plot([middle[name]], [centre], marker="o", color=ORANGE, markersize=7, linestyle="none", label="middle")
    axes.set_xlabel(name)
    if switch:
        axes.set_xticks([0, 1])
        axes.set_xlim(-0.3, 1.3)
    elif log:
        axes.set_xscale("log")
        _log_ticks(axes.xaxis, levels[-1] / levels[0])
    else:
        axes.xaxis.set_major_formatter(HUMAN)


def _value_axis(panels: list[Axes]) -> None:
    """The shared axis of values: logarithmic where they are positive and span a decade."""
    drawn = np.concatenate([np.asarray(line.get_ydata(), float) for axes in panels for line in axes.get_lines()])
    low, high = float(np.nanmin(drawn)), float(np.nanmax(drawn))
    for axes in panels:
        if low > 0 and high >= DECADE * low:
            axes.set_yscale("log")
            _log_ticks(axes.yaxis, high / low)
        elif high >= 1000:
            axes.yaxis.set_major_formatter(HUMAN)


def _log_ticks(axis: Axis, ratio: float) -> None:
    """Powers of ten labelled; threefold ones as well where there would be too few."""
    few = ratio < FEW
    axis.set_major_locator(LogLocator(10, numticks=6))
    axis.set_major_formatter(POWERS)
    axis.set_minor_locator(LogLocator(10, subs=(3.0,) if few else "auto", numticks=12))
    axis.set_minor_formatter(POWERS if few else NullFormatter())
