"""Pictures of a fit: the law and its residuals, isoFLOP profiles, the letters; and all of them as files."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.fitting.isoflop import profiles
from planner.fitting.objective import robust_scale
from planner.fitting.order import order_of
from planner.fitting.residual_checks import FAR
from planner.laws.law import of_size_and_data
from planner.laws.link import linked, unlinked
from planner.report.axes import (
    HUMAN,
    NUMBER,
    PERCENT,
    RATIO_LABEL,
    group_of,
    loss_label,
    scale_axis,
    thinned_to,
    what_of,
)
from planner.report.forecast_figures import backtest_figure, extrapolation_figure
from planner.report.svg import BLUE, GREY, ORANGE, RED, SKY, styled
from planner.runs.sample import Sample
from planner.text import visible

LABELLED = 14  # profiles named in a legend at most
DOTS = 200  # draws of the letters in a picture


def pictures(fit: Fit, sample: Sample, kind: str) -> dict[str, bytes]:
    """File name -> content of every picture that the fit allows, as `kind` (svg or png); the same bytes every time."""
    made: dict[str, Callable[[], Figure | None]] = {
        "law": lambda: law_figure(fit, sample),
        "isoflop": lambda: isoflop_figure(fit, sample),
        "letters": lambda: letters_figure(fit),
        "extrapolation": lambda: extrapolation_figure(fit, sample),
        "backtest": lambda: backtest_figure(fit.backtest, fit.level, fit.reach.order or ""),
    }
    if not of_size_and_data(type(fit.law)):
        del made["isoflop"]
    drawn = {}
    for name, draw in made.items():
        with suppress(InputError):  # a law without a best split has no path to draw
            drawn[f"{name}.{kind}"] = picture(name, draw, kind)
    return {name: content for name, content in drawn.items() if content is not None}


def picture(name: str, draw: Callable[[], Figure | None], kind: str) -> bytes | None:
    """The content of one figure's file, without a date; None when there is nothing to draw."""
    with styled(name), matplotlib.rc_context({"text.parse_math": False}):  # names of groups are not formulas
        figure = draw()
        if figure is None:
            return None
        buffer = io.BytesIO()
        nothing = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        figure.savefig(buffer, format=kind, dpi=150, metadata=nothing)
        return buffer.getvalue()


def law_figure(fit: Fit, sample: Sample) -> Figure:
    """Loss against compute (or what else orders the runs) with the law, residuals below; far runs ringed, those left out hollow."""
    shown, thinned = thinned_to(sample)
    law, order = type(fit.law), order_of(sample, type(fit.law))
    x = np.arange(1.0, shown.loss.size + 1) if order is None else order.shown(order.of(shown.named))
    predicted = linked(law, np.asarray(fit.law(*shown.columns(law.variables))))
    residual = linked(law, shown.loss) - predicted
    inside = (
        np.ones(x.size, bool) if order is None else order.of(shown.named) >= _window_edge(fit, order.of(sample.named))
    )
    figure = Figure(figsize=(9, 6.6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.2])
    if of_size_and_data(law):
        _law_at_ratios(top, fit, shown.flops, shown.tokens / shown.params)
    elif order is not None and law.variables == order.columns and len(law.variables) == 1:
        line = np.linspace(x.min(), x.max(), 100) if order.falls else np.geomspace(x.min(), x.max(), 100)
        top.plot(line, np.asarray(fit.law(line)), color=BLUE, linewidth=1.4, label=f"{visible(law.name)} law")
    else:
        top.scatter(
            x, unlinked(law, predicted), marker="_", color=BLUE, s=40, label="law at the run's columns", zorder=4
        )
    scale = max(fit.uncertainty.scale, robust_scale(residual[inside], len(fit.parameters)))
    far = inside & (np.abs(residual) > FAR * scale)
    look = _colours(shown)
    for axes, values in ((top, shown.loss), (bottom, residual)):
        cloud = axes.scatter(x[inside], values[inside], s=18, linewidths=0, zorder=3,
                             **{name: c[inside] if name == "c" else c for name, c in look.items()})  # fmt: skip
        hollow = {"facecolors": "none", "zorder": 3}
        axes.scatter(x[~inside], values[~inside], s=18, edgecolors=GREY, linewidths=0.8, **hollow,
                     label="not fitted" if axes is top and not inside.all() else None)  # fmt: skip
        axes.scatter(x[far], values[far], s=90, edgecolors=RED, linewidths=1.5, **hollow,
                     label=f"beyond {FAR:g} robust sd" if axes is top and far.any() else None)  # fmt: skip
    bottom.axhline(0, color=BLUE, linewidth=1.2)
    bottom.margins(y=0.15)
    bottom.yaxis.set_major_formatter(PERCENT if law.link == "log" else NUMBER)
    bottom.set_ylabel(f"{what_of(fit)} against law")
    top.set_ylabel(loss_label(fit))
    scale_axis(bottom, order)
    if "c" in look:
        bar = figure.colorbar(cloud, ax=(top, bottom), pad=0.01, aspect=40, format=HUMAN)
        bar.set_label(RATIO_LABEL)
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    away = f"{scale:.2%}" if law.link == "log" else f"{scale:.3g}"
    title = f"{group_of(fit)}{fit.n_runs:,} runs lie {away} (robust sd) from the {visible(law.name)} law{thinned}"
    figure.suptitle(title, fontsize=12)
    figure.legend(*top.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9.5)
    return figure


def _colours(shown: Sample) -> dict[str, Any]:
    """Runs coloured by tokens per parameter, where both are known."""
    ratio = shown.tokens / shown.params
    if np.isnan(ratio).any():
        return {"color": GREY}
    norm = LogNorm(ratio.min(), max(ratio.max(), 1.01 * ratio.min()))
    return {"c": ratio, "cmap": colormaps["cividis"], "norm": norm}


def _law_at_ratios(axes: Axes, fit: Fit, flops: np.ndarray, ratio: np.ndarray) -> None:
    span = np.geomspace(flops.min(), flops.max(), 100)
    for quantile, dash in ((0.1, ":"), (0.5, "-"), (0.9, "--")):
        at = float(np.quantile(ratio, quantile))
        params = np.sqrt(span / (6 * at))
        axes.plot(span, np.asarray(fit.law(params, at * params)), color=BLUE, linestyle=dash, linewidth=1.4,
                  label=f"law at {at:.3g} {RATIO_LABEL}")  # fmt: skip


def isoflop_figure(fit: Fit, sample: Sample, *, narrow: bool = False) -> Figure | None:
    """Loss against size at each level of compute, the law's profile and the parabola's minimum; None without profiles.

    A `narrow` one is for a phone.
    """
    found = profiles(sample)
    if not found:
        return None
    figure = Figure(figsize=(4.4, 6.2) if narrow else (9, 5.2), layout="constrained")
    axes = figure.subplots()
    shades = colormaps["viridis"](np.linspace(0.35, 0.85, len(found)))  # seen on white and on black
    every = math.ceil(len(found) / LABELLED)
    for place, (profile, shade) in enumerate(zip(found, shades, strict=True)):
        params = np.geomspace(profile.params.min(), profile.params.max(), 80)
        axes.scatter(profile.params, profile.loss, color=shade, s=20, linewidths=0)
        axes.plot(params, np.asarray(fit.law(params, profile.flops / 6 / params)), color=shade, linewidth=1.3,
                  label=None if place % every else f"{profile.flops:.2g} FLOPs{'' if profile.sound else ' (faulty)'}")  # fmt: skip
        if profile.parabola is not None:
            x, y = np.log(profile.params), np.log(profile.loss)
            at = np.exp(np.polyval(np.polyfit(x - x.mean(), y, 2), math.log(profile.parabola) - x.mean()))
            axes.plot([profile.parabola], [at], marker="v", color=ORANGE, markersize=8, linestyle="none", zorder=4)
    axes.plot([], [], marker="v", color=ORANGE, linestyle="none", label="minimum of a parabola")
    best = [fit.law.optimum(profile.flops).params for profile in found]
    axes.plot(best, [float(fit.law(N, p.flops / 6 / N)) for N, p in zip(best, found, strict=True)], color=RED, linewidth=1.5,
              linestyle="--", label="the law's best size")  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(HUMAN)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(str(fit.count))
    axes.set_ylabel(loss_label(fit))
    sound = sum(profile.sound for profile in found)
    figure.suptitle(
        f"{group_of(fit)}{sound} of {len(found)} isoFLOP profiles have a sound minimum", fontsize=11 if narrow else 12
    )
    figure.legend(loc="outside lower left" if narrow else "outside right center", ncols=2 if narrow else 1, fontsize=9)
    return figure


def letters_figure(fit: Fit) -> Figure | None:
    """Draws of neighbouring letters with the ellipses that hold half and nine tenths of them; None with one free letter."""
    drawn = [vars(type(fit.law).from_theta(draw, fit.centre)) for draw in fit.uncertainty.draws]
    values = {name: np.array([row[name] for row in drawn]) for name in fit.parameters}
    logged = {name: name not in ("alpha", "beta") and bool((column > 0).all()) for name, column in values.items()}
    free = [name for name, column in values.items() if np.ptp(column) > 1e-12]
    wanted = [("alpha", "beta"), ("alpha", "A"), ("beta", "B"), ("alpha", "E"), ("alpha", "k"), ("beta", "E")]
    pairs = [pair for pair in wanted if set(pair) <= set(free)][:6] or list(pairwise(free))[:1]
    if not pairs:
        return None
    figure = Figure(figsize=(9, 3.0 * math.ceil(len(pairs) / 3) + 0.4), layout="constrained")
    grid = np.ravel(figure.subplots(math.ceil(len(pairs) / 3), min(3, len(pairs)), squeeze=False))
    for axes, (one, other) in zip(grid, pairs, strict=False):
        x, y = values[one], values[other]
        axes.scatter(x[:DOTS], y[:DOTS], s=6, color=SKY, alpha=0.6, linewidths=0)
        for share, dash in ((0.5, "-"), (0.9, "--")):
            axes.plot(*_ellipse(x, y, share, logged[one], logged[other]), color=BLUE, linewidth=1.3, linestyle=dash)
        axes.plot(
            [fit.parameters[one]], [fit.parameters[other]], marker="+", color=RED, markersize=13, markeredgewidth=2
        )
        for letter, axis, scale in ((one, axes.xaxis, axes.set_xscale), (other, axes.yaxis, axes.set_yscale)):
            if logged[letter] and np.quantile(values[letter], 0.99) > 4 * np.quantile(values[letter], 0.01):
                scale("log")
                axis.set_major_formatter(HUMAN)
                axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(one)
        axes.set_ylabel(other)
    for axes in grid[len(pairs) :]:
        axes.set_visible(False)
    (strongest, r) = max(fit.correlations.items(), key=lambda item: abs(item[1]), default=(("", ""), 0.0))
    said = f": {strongest[0]} and {strongest[1]} move together (correlation {r:+.2f})" if strongest[0] else ""
    figure.suptitle(f"{group_of(fit)}What the runs leave open of the letters{said}", fontsize=12)
    return figure


def _ellipse(x: np.ndarray, y: np.ndarray, share: float, log_x: bool, log_y: bool) -> tuple[np.ndarray, np.ndarray]:
    """The outline that holds a share of a normal cloud, in logs where a letter is fitted by its log."""
    cloud = np.stack([np.log(x) if log_x else x, np.log(y) if log_y else y])
    values, vectors = np.linalg.eigh(np.cov(cloud))
    turn = np.linspace(0, 2 * np.pi, 121)
    circle = np.stack([np.cos(turn), np.sin(turn)]) * math.sqrt(-2 * math.log(1 - share))
    edge = cloud.mean(1)[:, None] + vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * circle)
    return np.exp(edge[0]) if log_x else edge[0], np.exp(edge[1]) if log_y else edge[1]


def _window_edge(fit: Fit, size: np.ndarray) -> float:
    return 0.0 if not fit.n_windowed_out else float(np.sort(size)[fit.n_windowed_out] * (1 - 1e-9))
