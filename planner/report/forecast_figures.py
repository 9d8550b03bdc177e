"""Pictures of what a fit foretells: its extrapolation, a best split, its backtest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from planner.decisions.allocation import Allocation
from planner.fitting.backtest_row import BacktestRow
from planner.fitting.fit import Fit
from planner.fitting.predict import Prediction, predict_curve
from planner.quantities import human
from planner.report.axes import HUMAN, PERCENT, RATIO_LABEL, flops_axis, group_of, loss_label, thinned_to
from planner.report.svg import BLUE, GREY, ORANGE, RED, SKY
from planner.runs.sample import Sample

FURTHER = 100.0  # times the largest compute, where an extrapolation ends unless a target is named


def extrapolation_figure(fit: Fit, sample: Sample | None, *, target: Prediction | None = None) -> Figure:
    """Loss along the law's best splits to 100x the largest run, with both intervals and the end of support.

    With a `target` the path keeps its tokens per parameter, ends beyond it and shows it.
    """
    shown, thinned = (None, "") if sample is None else thinned_to(sample)
    last = FURTHER * fit.reach.flops if target is None else 1.5 * 6 * target.params * target.tokens
    first = fit.reach.flops / 1e3 if shown is None else float(shown.flops.min())
    path = np.geomspace(min(first, last / 10), last, 90)
    params, tokens = _best(fit, path) if target is None else _along(path, target.tokens / target.params)
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    along = "best size and tokens" if target is None else f"at {target.tokens / target.params:.3g} {RATIO_LABEL}"
    told = _bands(axes, fit, path, params, tokens, along)
    if shown is not None:
        axes.scatter(shown.flops, shown.loss, s=12, color=GREY, alpha=0.7, linewidths=0, label="runs", zorder=3)
    axes.axvline(fit.reach.flops, color=GREY, linestyle=":", linewidth=1.2, label="largest run fitted")
    end = fit.reach.limit * fit.reach.flops
    if end < last:
        axes.axvspan(
            end, last, color=ORANGE, alpha=0.12, linewidth=0, hatch="//", label="not supported by the backtest"
        )
    if target is not None:
        told = _target(axes, target)
    axes.set_xlim(path[0] / 1.3, last)
    flops_axis(axes)
    axes.set_ylabel(loss_label(fit))
    figure.suptitle(f"{group_of(fit)}{told}{thinned}", fontsize=12)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9.5)
    return figure


def _bands(axes: Axes, fit: Fit, path: np.ndarray, params: np.ndarray, tokens: np.ndarray, along: str) -> str:
    """The law and both intervals along a path; what it says at its end."""
    loss, low, high = predict_curve(fit, params, tokens)
    _, run_low, run_high = predict_curve(fit, params, tokens, one_run=True)
    level = f"{fit.level:.0%} interval"
    axes.fill_between(path, run_low, run_high, color=SKY, alpha=0.25, linewidth=0, label=f"{level} of one new run")
    axes.fill_between(path, low, high, color=SKY, alpha=0.6, linewidth=0, label=f"{level} of the mean")
    axes.plot(path, loss, color=BLUE, label=f"{fit.law.name} law, {along}")
    ahead = f"{loss[-1]:.3f} ({run_low[-1]:.3f} to {run_high[-1]:.3f})"
    return f"At {path[-1]:.2g} FLOPs, {path[-1] / fit.reach.flops:.3g}x the largest run, the loss is {ahead}"


def _target(axes: Axes, target: Prediction) -> str:
    """The run that is foretold, and what is said of it."""
    low, high = target.interval_run
    axes.errorbar([6 * target.params * target.tokens], [target.loss], yerr=[[target.loss - low], [high - target.loss]],
                  fmt="*", color=RED, markersize=14, capsize=5)  # fmt: skip
    said = "" if target.supported else ", not supported"
    return f"{human(target.params)} params on {human(target.tokens)} tokens: {target.loss:.3f} ({low:.3f} to {high:.3f}){said}"


def _best(fit: Fit, path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    params, tokens = np.array([fit.law.optimum(float(level)) for level in path]).T
    return params, tokens


def _along(path: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    params = np.sqrt(path / (6 * ratio))
    return params, ratio * params


def allocation_figure(fit: Fit, found: Allocation) -> Figure:
    """Predicted loss against size at one budget, with the interval of the mean and that of the best size."""
    params = found.params * np.geomspace(1 / 8, 8, 120)
    loss, low, high = predict_curve(fit, params, found.flops / 6 / params)
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


def backtest_figure(rows: Sequence[BacktestRow], level: float) -> Figure | None:
    """Errors of hidden runs by compute ratio, and how often their intervals held; None when nothing could be hidden."""
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
        axes.set_xlabel("compute over the largest seen, from")
    figure.legend(loc="outside lower center", ncols=4, fontsize=9.5)
    hidden = sum(row.n for row in rows)
    held = sum(row.coverage * row.n for row in rows) / hidden
    figure.suptitle(f"{held:.0%} of {hidden} hidden runs fell inside their {level:.0%} interval", fontsize=12)
    return figure
