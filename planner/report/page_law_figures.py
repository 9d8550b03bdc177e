"""The law on the page: loss against compute with the forecast, and against size at equal compute."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from planner.fitting.fit import Fit
from planner.fitting.isoflop import profiles
from planner.fitting.predict import Prediction, predict_curve
from planner.quantities import human
from planner.report.axes import flops_axis, loss_label
from planner.report.fit_figures import isoflop_figure
from planner.report.look import Look
from planner.report.svg import BLUE, GREY, RED, SKY, styled, to_svg
from planner.runs.columns import Count, Status
from planner.runs.sample import Sample

LOOK_OF_DATA = ListedColormap(colormaps["viridis"](np.linspace(0.3, 0.95, 12)))  # seen on white and on black
COUNTS = FuncFormatter(lambda value, _: human(value))
LEVELS = 6  # of compute, to which runs are moved where the design has no level of its own


def finals_of(runs: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    """Finished runs with `size`, the count that the law speaks of, and `compute`, 6 x size x tokens (a trunk's counted)."""
    done = runs[
        (runs["status"] == Status.COMPLETED)
        & (runs["loss"] > 0)
        & (runs["is_final"].astype(str).str.lower() != "false")
        & (runs["tokens"] > 0)
    ]
    size = done[str(fit.count)].astype(float) if str(fit.count) in done else done["params_active"].astype(float)
    return done.assign(size=size, compute=6 * size * done["tokens"])


def law_figure(done: pd.DataFrame, fit: Fit, forecast: Prediction, look: Look) -> str:
    """Loss against compute: the runs, the law at their and the final run's tokens per parameter, the forecast."""
    drawn = done if len(done) <= look.dots else done.sample(look.dots, random_state=0)
    ratio, usual = forecast.tokens / forecast.params, float((done["tokens"] / done["size"]).median())
    final_flops = 6 * forecast.params * forecast.tokens
    flops = np.geomspace(done["compute"].min(), 2 * final_flops, 120)
    with styled("law" + look.suffix):
        figure = Figure(figsize=(look.width, 4.9 if look.narrow else 5.0), layout="constrained")
        axes = figure.subplots()
        cloud = axes.scatter(
            drawn["compute"], drawn["loss"], c=drawn["tokens"] / drawn["size"], s=14, alpha=0.75, linewidths=0,
            cmap=LOOK_OF_DATA, norm=LogNorm(),
        )  # fmt: skip
        for at, dash in ((ratio, "-"), (usual, "--")):
            params = np.sqrt(flops / (6 * at))
            loss, low, high = predict_curve(fit, {"params": params, "tokens": at * params})
            axes.fill_between(flops, low, high, color=SKY, alpha=0.35, linewidth=0,
                              label=f"{fit.level:.0%} interval of the mean" if at == ratio else None)  # fmt: skip
            axes.plot(
                flops, loss, color=BLUE, linestyle=dash, label=f"{fit.law.name} law, {at:.0f} tokens per parameter"
            )
        edges = forecast.interval_run
        axes.errorbar(
            [final_flops], [forecast.loss], yerr=[[forecast.loss - edges[0]], [edges[1] - forecast.loss]],
            fmt="*", color=RED, markersize=15, capsize=5, label=f"final run: {forecast.loss:.3f}", zorder=5,
        )  # fmt: skip
        _mark_reach(axes, fit, forecast, look)
        flops_axis(axes, "training compute (FLOPs)")
        decades = math.log10(2 * final_flops / float(done["compute"].min()))
        axes.xaxis.set_major_locator(
            LogLocator(10.0 ** max(1, round(decades / (4 if look.narrow else 8))), numticks=12)
        )
        axes.set_ylabel(loss_label(fit))
        where = {"location": "bottom", "aspect": 30} if look.narrow else {"aspect": 40}
        bar = figure.colorbar(cloud, ax=axes, pad=0.01, format=COUNTS, **where)
        bar.set_label("tokens per parameter of a run")
        (bar.ax.xaxis if look.narrow else bar.ax.yaxis).set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        (bar.ax.xaxis if look.narrow else bar.ax.yaxis).set_minor_formatter(NullFormatter())
        figure.legend(loc="outside upper left", ncols=1 if look.narrow else 2, fontsize=9.5)
        thinned = "" if len(drawn) == len(done) else f"; {len(drawn):,} of {len(done):,} runs drawn"
        return to_svg(
            figure,
            "law" + look.suffix,
            f"Loss against compute; the final run is forecast at {forecast.loss:.3f} nats per token{thinned}",
        )


def _mark_reach(axes: Axes, fit: Fit, forecast: Prediction, look: Look) -> None:
    if not fit.reach.flops:
        return
    axes.axvline(fit.reach.flops, color=GREY, linestyle=":", linewidth=1.2)
    said = "" if look.narrow else "beyond: extrapolation, "
    axes.annotate(
        f"{said}{forecast.compute_ratio:.0f}x", (fit.reach.flops, 1), (6, -4), color=GREY,
        xycoords=("data", "axes fraction"), textcoords="offset points", va="top", fontsize=10,
    )  # fmt: skip


def has_profiles(done: pd.DataFrame, fit: Fit) -> bool:
    """Whether the design has isoFLOP profiles of its own: five sizes or more at one level of compute."""
    return bool(profiles(_sample(done, fit)))


def size_figure(done: pd.DataFrame, fit: Fit, look: Look) -> str:
    """Loss against size at equal compute: the design's own isoFLOP profiles, else its runs moved to a few levels."""
    name = "isoflop" + look.suffix
    with styled(name):
        figure = isoflop_figure(fit, _sample(done, fit), narrow=look.narrow)
        if figure is None:
            figure = _levels_figure(done, fit, look)
        return to_svg(figure, name, "Loss against size at each level of compute")


def _levels_figure(done: pd.DataFrame, fit: Fit, look: Look) -> Figure:
    """Runs at the nearest of a few levels of compute; the law moves each there, at its own size, so that its residual stays."""
    figure = Figure(figsize=(look.width, 5.2 if look.narrow else 4.8), layout="constrained")
    axes = figure.subplots()
    drawn = done if len(done) <= look.dots // 2 else done.sample(look.dots // 2, random_state=0)
    logs = np.log10(done["compute"].to_numpy(float))
    levels = np.unique(np.linspace(logs.min(), logs.max(), LEVELS if np.ptp(logs) > 0.1 else 1).round(2))
    nearest = np.abs(np.log10(drawn["compute"].to_numpy(float))[:, None] - levels).argmin(axis=1)
    size, tokens, loss = (drawn[name].to_numpy(float) for name in ("size", "tokens", "loss"))
    shades = LOOK_OF_DATA(np.linspace(0, 1, levels.size))
    ends = done["size"].min() / 2, max(done["size"].max(), fit.law.optimum(10 ** levels[-1]).params) * 2
    grid = np.geomspace(*ends, 120)
    low, high = np.inf, -np.inf
    for number, (level, shade) in enumerate(zip(levels, shades, strict=True)):
        flops, here = 10.0**level, nearest == number
        curve = np.asarray(fit.law(grid, flops / 6 / grid))
        axes.plot(grid, curve, color=shade, linewidth=1.4, label=f"{flops:.1e} FLOPs".replace("e+", "e"))
        if here.any():
            moved = loss[here] * fit.law(size[here], flops / 6 / size[here]) / fit.law(size[here], tokens[here])
            axes.scatter(size[here], moved, color=shade, s=16, alpha=0.75, linewidths=0)
            low, high = min(low, moved.min()), max(high, np.quantile(moved, 0.98))
    flops = 10.0 ** np.linspace(levels[0], levels[-1], 40)
    best = np.array([fit.law.optimum(one).params for one in flops])
    lowest = np.array([float(fit.law(n, c / 6 / n)) for n, c in zip(best, flops, strict=True)])
    axes.plot(best, lowest, color=RED, linestyle="--", linewidth=1.6, label="the law's best size")
    low, high = min(low, lowest.min()), max(high, lowest.max())
    axes.set_ylim(low - 0.05 * (high - low), high + 0.15 * (high - low))
    axes.set_xlim(*ends)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(COUNTS)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(str(fit.count).replace("params_active", "active parameters"))
    axes.set_ylabel(loss_label(fit))
    figure.legend(loc="outside upper left", ncols=2 if look.narrow else 4, fontsize=9.5)
    return figure


def _sample(done: pd.DataFrame, fit: Fit) -> Sample:
    return Sample(
        params=done["size"].to_numpy(float), tokens=done["tokens"].to_numpy(float), loss=done["loss"].to_numpy(float),
        count=Count(str(fit.count)), group="", loss_unit=fit.loss_unit, dropped={}, notes=(),
    )  # fmt: skip
