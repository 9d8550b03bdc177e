"""What exploration took by study, and what moves it."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from planner.quantities import human
from planner.report.look import Look
from planner.report.svg import BLUE, GREY, ORANGE, RED, styled, to_svg
from planner.text import visible

COUNTS = FuncFormatter(lambda value, _: human(value))


def wrapped(name: str, look: Look) -> str:
    """A label that leaves room for what it labels."""
    return textwrap.fill(visible(name), 20) if look.narrow else textwrap.shorten(visible(name), 60, placeholder=" ...")


def cost_figure(by_study: dict[str, Any], kept: dict[str, float], final_gpu_hours: float, look: Look) -> str:
    """Hours of each study, lost ones apart, beside the final run."""
    names = [*by_study, "final run"]
    hours = [float(amounts["gpu_hours"]) for amounts in by_study.values()]
    useful = [kept.get(name, 0.0) for name in by_study]
    with styled("cost" + look.suffix):
        figure = Figure(figsize=(look.width, 0.5 * len(names) + 1.2 + 0.2 * look.narrow), layout="constrained")
        axes = figure.subplots()
        place = np.arange(len(names))[::-1]
        axes.barh(place[:-1], useful, color=BLUE, height=0.62, label="finished or running")
        lost = [each - part for each, part in zip(hours, useful, strict=True)]
        axes.barh(place[:-1], lost, left=useful, color=RED, height=0.62, label="failed, diverged or cut short")
        axes.barh(place[-1:], [final_gpu_hours], color=GREY, height=0.62)
        for y, each in zip(place, [*hours, final_gpu_hours], strict=True):
            axes.annotate(f"{human(each)} h", (each, y), (5, 0), textcoords="offset points", va="center", fontsize=10)
        axes.set_yticks(place, [wrapped(name, look) for name in names], parse_math=False)
        axes.xaxis.set_major_formatter(COUNTS)
        axes.xaxis.set_major_locator(MaxNLocator(3 if look.narrow else 7))
        axes.set_xlabel("accelerator-hours")
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.35 if look.narrow else 0.12)
        figure.legend(loc="outside upper left", ncols=1 if look.narrow else 2, fontsize=9.5)
        return to_svg(figure, "cost" + look.suffix, "Accelerator-hours by study, and of the final run")


def tornado_figure(bars: list[dict[str, Any]], base: dict[str, Any], look: Look, *, with_dollars: bool) -> str:
    """What each lever from low to high makes of the ratio, and of exploration's dollars."""
    panels = [("ratio", "exploration : final, in GPU-hours", lambda v, _: f"{v:g}x")]
    if with_dollars:
        panels.append(("usd", "exploration, dollars", lambda v, _: f"${human(v)}"))
    down, across = (len(panels), 1) if look.narrow else (1, len(panels))
    with styled("tornado" + look.suffix):
        figure = Figure(figsize=(look.width, (0.5 * len(bars) + 0.9) * down + 0.6), layout="constrained")
        place = np.arange(len(bars))[::-1]
        for axes, (name, label, shown) in zip(
            np.ravel(figure.subplots(down, across, sharey=True)), panels, strict=True
        ):
            middle = _middle(base)[name]
            for end, colour, word in (("low", BLUE, "lever low"), ("high", ORANGE, "lever high")):
                width = [bar[f"{name}_{end}"] - middle for bar in bars]
                axes.barh(place, width, left=middle, color=colour, height=0.6, label=word)
            axes.axvline(middle, color=GREY, linewidth=1.2)
            axes.set_yticks(place, [wrapped(bar["words"], look) for bar in bars])
            axes.xaxis.set_major_formatter(FuncFormatter(shown))
            axes.xaxis.set_major_locator(MaxNLocator(3 if look.narrow else 4))
            axes.set_xlabel(label)
            axes.grid(axis="y", visible=False)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=9.5)
        return to_svg(
            figure, "tornado" + look.suffix, "How far each lever moves the ratio and the dollars of exploration"
        )


def _middle(base: dict[str, Any]) -> dict[str, float]:
    """The ratio and the dollars as reported."""
    hours = base["kept_gpu_hours"] / (1 - base["now"]["lost_share"]) + base["other_gpu_hours"]
    price, fixed = base["now"]["usd_per_gpu_hour"] or 0.0, base["fixed_usd"] or 0.0
    return {"ratio": hours / (base["pretraining_gpu_hours"] + base["stages_gpu_hours"]), "usd": price * hours + fixed}
