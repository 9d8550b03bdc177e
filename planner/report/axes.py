"""Axes and labels that the pictures of a fit share."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from planner.fitting.fit import Fit
from planner.quantities import human
from planner.runs.sample import Sample
from planner.text import visible

DRAWN = 3000  # runs in a picture; more are thinned, and that is said
HUMAN = FuncFormatter(lambda value, _: human(value))
PERCENT = FuncFormatter(lambda value, _: f"{round(100 * value, 6):g}%")
RATIO_LABEL = "tokens per parameter"


def flops_axis(axes: Axes) -> None:
    """Compute on a log scale, whole powers of ten labelled."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, numticks=9))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"1e{round(math.log10(value))}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("training compute (6 x params x tokens, FLOPs)")


def thinned_to(sample: Sample) -> tuple[Sample, str]:
    """At most DRAWN runs, and what to say when others are not drawn."""
    size = sample.loss.size
    if size <= DRAWN:
        return sample, ""
    keep = np.zeros(size, bool)
    keep[np.random.default_rng(0).choice(size, DRAWN, replace=False)] = True
    return sample.at(keep), f"; {DRAWN:,} of {size:,} drawn"


def loss_label(fit: Fit) -> str:
    """The axis of losses."""
    return f"loss ({visible(fit.loss_unit.replace('_', ' '))})"


def group_of(fit: Fit) -> str:
    """The group's name before a title."""
    return f"{visible(fit.group)}: " if fit.group else ""
