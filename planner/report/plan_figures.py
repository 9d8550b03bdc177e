"""The picture of a plan: its runs in the plane of size and data, with the final run they are for."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from planner.quantities import human
from planner.report.axes import HUMAN
from planner.report.svg import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY
from planner.sweep.plan import Plan
from planner.text import visible

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, "#F0E442", "#000000", "#999999")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
RATIOS = (20, 100, 1000)  # tokens per parameter, drawn as lines
NEAR = 0.9  # of ln params and ln tokens: a label closer to the star would hide it
SHIFT = 0.05  # of ln params between studies at one size: they would hide each other


def plan_figure(plan: Plan) -> Figure:
    """Every cell of every study, as large as it has runs; lines of equal tokens per parameter and of equal compute."""
    figure = Figure(figsize=(9.5, 6.4), layout="constrained")
    axes = figure.subplots()
    _lines(axes, plan)
    studies = list(plan.by_study)
    for number, name in enumerate(studies):
        _study(axes, plan.runs[plan.runs["study"] == name], number, (number - (len(studies) - 1) / 2) * SHIFT)
    prior = plan.setting.sweep.prior
    if prior is not None:
        axes.scatter(
            prior["params_active"], prior["tokens"], marker="+", s=40, color=GREY, label="runs already paid for"
        )
    params, tokens = plan.setting.target
    axes.scatter([params], [tokens], marker="*", s=330, color=RED, zorder=5, label=f"final run: {_final(plan)}")
    _axes(axes)
    hours = (
        f"{human(plan.gpu_hours, 3)} GPU-hours, {plan.gpu_hours / plan.setting.final.gpu_hours:.2f}x the final run's"
    )
    axes.set_title(
        f"{visible(plan.setting.sweep.file.name)}: {len(plan.runs):,} runs, {hours}", fontsize=12, loc="left"
    )
    legend = figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9.5)
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([70.0])
    return figure


def _study(axes: Axes, runs: pd.DataFrame, number: int, shift: float) -> None:
    """One study's cells; near ones (whole steps round tokens) are one dot."""
    step = 0.1
    key = [np.round(np.log(runs[name].astype(float)) / step) for name in ("params_active", "tokens")]
    cells = runs.groupby(key).agg(params=("params_active", "mean"), tokens=("tokens", "mean"), n=("run_id", "size"))
    axes.scatter(
        cells["params"] * np.exp(shift), cells["tokens"], s=14 + 26 * np.sqrt(cells["n"]), marker=MARKERS[number % len(MARKERS)],
        facecolor=COLOURS[number % len(COLOURS)], alpha=0.65, edgecolor="white", linewidth=0.6, zorder=3,
        label=f"{visible(str(runs['study'].iloc[0]))}: {len(runs):,} runs",
    )  # fmt: skip


def _lines(axes: Axes, plan: Plan) -> None:
    runs, (params, tokens) = plan.runs, plan.setting.target
    low, high = float(runs["params_active"].min()) / 1.6, params * 1.8
    floor, ceiling = float(runs["tokens"].min()) / 1.8, tokens * 2.2
    axes.set_xlim(low, high)
    axes.set_ylim(floor, ceiling)
    for ratio in RATIOS:
        axes.plot([low, high], [ratio * low, ratio * high], color=GREY, linewidth=0.9, linestyle=":", zorder=1)
        edge = min(high, ceiling / ratio) / 1.25
        if abs(np.log(edge / params)) < NEAR and abs(np.log(ratio * edge / tokens)) < NEAR:
            edge /= np.exp(2 * NEAR)  # not over the final run
        axes.annotate(f"{ratio} tokens/param ", (edge, ratio * edge), ha="right", va="bottom", fontsize=8.5, color=GREY)
    for power in range(18, 28):
        at = 10.0**power / 6
        if floor < at / low and at / high < ceiling:
            axes.plot([low, high], [at / low, at / high], color="#d1d5db", linewidth=0.8, zorder=0)
            x = max(low * 1.04, at / ceiling * 1.04)
            if x < high / 1.1 and at / x > floor * 1.1:
                axes.annotate(f"1e{power} FLOPs", (x, at / x), fontsize=7.5, color=GREY, va="top", ha="left")


def _axes(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(HUMAN)
    axes.yaxis.set_major_formatter(HUMAN)
    axes.xaxis.set_minor_formatter(lambda value, _: human(value) if f"{value:e}"[0] in "25" else "")
    axes.tick_params(axis="x", which="minor", labelsize=8.5)
    axes.set_xlabel("active parameters")
    axes.set_ylabel("training tokens")


def _final(plan: Plan) -> str:
    final = plan.setting.sweep.file.final
    return f"{visible(final.model)}, {human(final.tokens)} tokens"
