"""Pictures of what a fit foretells: its extrapolation, a best split, its backtest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from planner.decisions.allocation import Allocation
from planner.fitting.backtest_row import BacktestRow
from planner.fitting.fit import Fit
from planner.fitting.predict import Prediction, predict_curve
from planner.laws.law import of_size_and_data
from planner.laws.scale import COMPUTE, Scale, scale_of
from planner.quantities import human
from planner.report.axes import HUMAN, PERCENT, RATIO_LABEL, group_of, loss_label, scale_axis, thinned_to, what_of
from planner.report.svg import BLUE, GREY, ORANGE, RED, SKY
from planner.runs.sample import SIZE_AND_DATA, Sample
from planner.text import visible

FURTHER = 100.0  # times the largest compute, where an extrapolation ends unless a target is named
FURTHER_ALONE, FURTHER_FALLING = 10.0, 1.5  # the same of another scale, and of a loss that falls


def extrapolation_figure(fit: Fit, sample: Sample | None, *, target: Prediction | None = None) -> Figure | None:
    """The law beyond the largest run, with both intervals and the end of support, along its scale.

    A law of size and data follows its best splits to 100x the largest run. With a `target` the path grows all columns of
    the scale alike through it (tokens per parameter stay), ends beyond it and shows it. None where there is no such path:
    the law's variables do not order runs, or others would have to be held somewhere.
    """
    own, largest = scale_of(type(fit.law)), fit.reach.largest
    if own is None or largest is None:
        return None
    shown, thinned = (None, "") if sample is None else thinned_to(sample)
    there = None if shown is None else own.of(shown.named)
    last = _further(own) * largest if target is None else 1.5 * float(own.of(target.at))
    first = largest / _further(own) ** 1.5 if there is None else float(there.min())
    path = np.geomspace(min(first, last / 10 if not own.falls else first), last, 90)
    along = _along(fit, own, path, target)
    if along is None:
        return None
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    told = _bands(axes, fit, own, path, *along)
    if shown is not None and there is not None:
        axes.scatter(own.shown(there), shown.loss, s=12, color=GREY, alpha=0.7, linewidths=0, label="runs", zorder=3)
    axes.axvline(float(own.shown(largest)), color=GREY, linestyle=":", linewidth=1.2, label="largest run fitted")
    end = fit.reach.limit * largest
    if end < last:
        axes.axvspan(
            float(own.shown(end)), float(own.shown(last)), color=ORANGE, alpha=0.12, linewidth=0, hatch="//",
            label="not supported by the backtest",
        )  # fmt: skip
    if target is not None:
        told = _target(axes, own, target)
    scale_axis(axes, own)
    axes.set_xlim(float(own.shown(path[0] / (1.02 if own.falls else 1.3))), float(own.shown(last)))
    axes.set_ylabel(loss_label(fit))
    figure.suptitle(f"{group_of(fit)}{told}{thinned}", fontsize=12)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9.5)
    return figure


def _further(own: Scale) -> float:
    return FURTHER_FALLING if own.falls else FURTHER if own.is_compute else FURTHER_ALONE


def _along(
    fit: Fit, own: Scale, path: np.ndarray, target: Prediction | None
) -> tuple[dict[str, np.ndarray], str] | None:
    """The law's variables along a path of its scale, and what stays the same on it."""
    law = type(fit.law)
    if target is not None:
        at = own.moved(target.at, path / float(own.of(target.at)))
        if of_size_and_data(law):
            return at, f"at {target.tokens / target.params:.3g} {RATIO_LABEL}"
        held = [f"{name} {value:.3g}" for name, value in target.at.items() if name not in own.columns]
        return at, f"at {', '.join(held)}" if held else ""
    if of_size_and_data(law):
        params, tokens = np.array([fit.law.optimum(float(level)) for level in path]).T
        return {"params": params, "tokens": tokens}, "best size and tokens"
    return (
        ({law.variables[0]: own.shown(path)}, "") if law.variables == own.columns and len(law.variables) == 1 else None
    )


def _bands(axes: Axes, fit: Fit, own: Scale, path: np.ndarray, at: dict[str, np.ndarray], along: str) -> str:
    """The law and both intervals along a path; what it says at its end."""
    x = own.shown(path)
    loss, low, high = predict_curve(fit, at)
    _, run_low, run_high = predict_curve(fit, at, one_run=True)
    level = f"{fit.level:.0%} interval"
    axes.fill_between(x, run_low, run_high, color=SKY, alpha=0.25, linewidth=0, label=f"{level} of one new run")
    axes.fill_between(x, low, high, color=SKY, alpha=0.6, linewidth=0, label=f"{level} of the mean")
    axes.plot(x, loss, color=BLUE, label=f"{visible(fit.law.name)} law{f', {visible(along)}' if along else ''}")
    ahead = f"{loss[-1]:.3f} ({run_low[-1]:.3f} to {run_high[-1]:.3f})"
    far = "" if own.falls else f", {path[-1] / (fit.reach.largest or math.nan):.3g}x the largest run"
    return f"At {visible(own.told(float(path[-1])))}{far}, the {what_of(fit)} is {ahead}"


def _target(axes: Axes, own: Scale, target: Prediction) -> str:
    """The run that is foretold, and what is said of it."""
    low, high = target.interval_run
    axes.errorbar([float(own.shown(own.of(target.at)))], [target.loss], yerr=[[target.loss - low], [high - target.loss]],
                  fmt="*", color=RED, markersize=14, capsize=5)  # fmt: skip
    said = "" if target.supported else ", not supported"
    where = ", ".join(f"{visible(name)} {human(value)}" for name, value in target.at.items())
    if own.columns == SIZE_AND_DATA:
        where = f"{human(target.params)} params on {human(target.tokens)} tokens"
    return f"{where}: {target.loss:.3f} ({low:.3f} to {high:.3f}){said}"


def allocation_figure(fit: Fit, found: Allocation) -> Figure:
    """Predicted loss against size at one budget, with the interval of the mean and that of the best size."""
    params = found.params * np.geomspace(1 / 8, 8, 120)
    loss, low, high = predict_curve(fit, {"params": params, "tokens": found.flops / 6 / params})
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(
        params, low, high, color=SKY, alpha=0.4, linewidth=0, label=f"{fit.level:.0%} interval of the mean loss"
    )
    axes.plot(params, loss, color=BLUE, label=f"{fit.law.name} law at {found.flops:.3g} FLOPs")
    axes.axvspan(
        *found.intervals["params"],
        color=ORANGE,
        alpha=0.18,
        linewidth=0,
        label=f"{fit.level:.0%} interval of the best size",
    )
    axes.plot([found.params], [found.loss], marker="*", color=RED, markersize=15, linestyle="none", label="best")
    axes.set_xscale("log")
    axes.set_xlim(params[0], params[-1])
    axes.xaxis.set_major_formatter(HUMAN)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(str(fit.count))
    axes.set_ylabel(loss_label(fit))
    edges = " to ".join(human(edge) for edge in found.intervals["params"])
    said = "" if found.supported else ", not supported"
    figure.suptitle(
        f"{group_of(fit)}Best size {human(found.params)} ({edges}) on {human(found.tokens)} tokens{said}", fontsize=12
    )
    figure.legend(loc="outside lower center", ncols=2, fontsize=9.5)
    return figure


def backtest_figure(rows: Sequence[BacktestRow], level: float, scale: str = COMPUTE) -> Figure | None:
    """Errors of hidden runs by ratio of compute or of another scale, and how often intervals held; None without hidden runs."""
    if not rows:
        return None
    at = np.arange(len(rows))
    labels = [f"{row.kappa:g}x\n{row.n} runs" for row in rows]
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.bar(at, [row.p90_error for row in rows], color=SKY, width=0.7, label="90th percentile")
    left.bar(at, [row.median_error for row in rows], color=BLUE, width=0.4, label="median")
    left.plot(
        at,
        [row.bias for row in rows],
        color=RED,
        marker="D",
        linestyle="none",
        label="mean (above 0: too high)",
    )
    left.axhline(0, color=GREY, linewidth=1)
    left.set_ylabel("error of the predicted loss")
    right.bar(at, [row.coverage for row in rows], color=SKY, width=0.6)
    right.axhline(level, color=RED, linestyle="--", linewidth=1.4, label=f"promised: {level:.0%}")
    right.set_ylim(0, 1.05)
    right.set_ylabel("hidden runs inside their interval")
    for axes in (left, right):
        axes.set_xticks(at, labels, fontsize=9.5)
        axes.yaxis.set_major_formatter(PERCENT)
        axes.set_xlabel(f"{visible(scale)} over the largest seen, from")
    figure.legend(loc="outside lower center", ncols=4, fontsize=9.5)
    hidden = sum(row.n for row in rows)
    held = sum(row.coverage * row.n for row in rows) / hidden
    figure.suptitle(f"{held:.0%} of {hidden} hidden runs fell inside their {level:.0%} interval", fontsize=12)
    return figure
