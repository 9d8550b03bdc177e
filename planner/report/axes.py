"""Axes and labels that the pictures of a fit share."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from planner.fitting.fit import Fit
from planner.laws.scale import LOGGED, Scale
from planner.quantities import human
from planner.runs.sample import Sample
from planner.text import visible

DRAWN = 3000  # runs in a picture; more are thinned, and that is said
HUMAN = FuncFormatter(lambda value, _: human(value))
PERCENT = FuncFormatter(lambda value, _: f"{round(100 * value, 6):g}%")
NUMBER = FuncFormatter(lambda value, _: f"{round(value, 6):g}")
RATIO_LABEL = "tokens per parameter"


def scale_axis(axes: Axes, scale: Scale | None) -> None:
    """What orders the runs along x, larger ones to the right; without a scale the runs as they come."""
    if scale is None:
        axes.set_xlabel("run, in the order of the table")
    elif scale.is_compute:
        rule = "" if scale.columns == LOGGED.columns else f"6 x {' x '.join(scale.columns)}, "
        flops_axis(axes, f"training compute ({rule}FLOPs)")
    elif scale.falls:
        axes.set_xlabel(visible(scale.name))
        if not axes.xaxis_inverted():
            axes.invert_xaxis()
    else:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(HUMAN)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(visible(scale.name))


def flops_axis(axes: Axes, label: str = "training compute (6 x params x tokens, FLOPs)") -> None:
    """Compute on a log scale, whole powers of ten labelled."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, numticks=9))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"1e{round(math.log10(value))}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)


def thinned_to(sample: Sample) -> tuple[Sample, str]:
    """At most DRAWN runs, and what to say when others are not drawn."""
    size = sample.loss.size
    if size <= DRAWN:
        return sample, ""
    keep = np.zeros(size, bool)
    keep[np.random.default_rng(0).choice(size, DRAWN, replace=False)] = True
    return sample.at(keep), f"; {DRAWN:,} of {size:,} drawn"


def what_of(fit: Fit) -> str:
    """What is predicted, in a word: the loss, or the column that stands as it."""
    return "loss" if fit.target == "loss" else visible(fit.target)


def loss_label(fit: Fit) -> str:
    """The axis of losses, or of what stands as loss."""
    return f"loss ({visible(fit.loss_unit.replace('_', ' '))})" if fit.target == "loss" else what_of(fit)


def group_of(fit: Fit) -> str:
    """The group's name before a title."""
    return f"{visible(fit.group)}: " if fit.group else ""
