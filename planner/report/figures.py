"""The report's pictures, each for a screen and for a phone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from planner.report.findings import Findings
from planner.report.look import NARROW, VERDICT_COLOUR, VERDICT_MARK, WIDE, Look, look_of
from planner.report.money_figures import COUNTS, cost_figure, tornado_figure, wrapped
from planner.report.page_law_figures import finals_of, has_profiles, law_figure, size_figure
from planner.report.svg import BLUE, GREY, RED, styled, to_svg
from planner.runs.columns import Status

LOST = (Status.FAILED, Status.DIVERGED, Status.PREEMPTED, Status.CANCELLED)


def figures_of(found: Findings, summary: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Every picture of the page as two svg elements, wide and narrow; names are those of `summary`, which may be redacted."""
    return {name: (draw(WIDE), draw(NARROW)) for name, draw in _drawings(found, summary).items()}


def _drawings(found: Findings, summary: dict[str, Any]) -> dict[str, Callable[[Look], str]]:
    studies = dict(zip(found.ledger.by_axis["study"], summary["by_study"], strict=True))
    runs = found.runs.assign(study=found.runs["study"].map(lambda name: studies.get(name, name)))
    final, fit, forecast = found.question["final"], found.fit, found.prediction
    kept = _kept(found, studies)
    drawn: dict[str, Callable[[Look], str]] = {
        "plane": lambda look: plane_figure(runs, final["params_active"], final["tokens"], look),
        "cost": lambda look: cost_figure(summary["by_study"], kept, summary["final"]["gpu_hours"], look),
    }
    if fit is not None and forecast is not None:
        scaling = [studies.get(name, name) for name in found.question["scaling_studies"]]
        done = finals_of(runs[runs["study"].isin(scaling)], fit)
        if len(done) > 1:
            drawn["law"] = lambda look: law_figure(done, fit, forecast, look)
            drawn["isoflop" if has_profiles(done, fit) else "levels"] = lambda look: size_figure(done, fit, look)
    if summary["confidence"] and fit is not None:
        drawn["confidence"] = lambda look: confidence_figure(summary["confidence"], fit.level, look)
    if summary["ideas"]:
        drawn["ideas"] = lambda look: ideas_figure(summary["ideas"], look)
    if summary["tornado"]:
        priced = summary["exploration"]["usd"] is not None
        drawn["tornado"] = lambda look: tornado_figure(summary["tornado"], summary["base"], look, with_dollars=priced)
    return drawn


def _kept(found: Findings, studies: dict[str, str]) -> dict[str, float]:
    """Hours of entries that were not lost, by study."""
    entries = found.ledger.entries
    kept = entries[(entries["side"] == "exploration") & ~entries["status"].isin(LOST)]
    return {
        studies[str(name)]: float(part.sum())
        for name, part in kept.groupby("study")["reference_gpu_hours"]
        if name in studies
    }


def plane_figure(runs: pd.DataFrame, params: float, tokens: float, look: Look) -> str:
    """Where the runs lie in size and data; the area of a mark grows with the number of runs."""
    placed = runs[(runs["params_active"] > 0) & (runs["tokens_planned"] > 0)]
    with styled("plane" + look.suffix):
        figure = Figure(figsize=(look.width, 4.8), layout="constrained")
        axes = figure.subplots()
        for shift, (study, rows) in enumerate(placed.groupby("study", sort=False)):
            colour, marker = look_of(str(study), shift)
            cells = (
                rows.assign(near=rows["tokens_planned"].map(lambda t: float(f"{t:.3g}")))
                .groupby(["params_active", "near"])
                .size()
            )
            x, y = np.array(cells.index.to_list(), float).T
            axes.scatter(
                x * 1.05 ** (shift - 1), y, s=14 + 3 * np.sqrt(cells.to_numpy(float)) * 3, marker=marker, color=colour,
                alpha=0.7, linewidths=0, label=f"{wrapped(str(study), look)}: {len(rows):,} runs",
            )  # fmt: skip
        axes.scatter([params], [tokens], marker="*", s=230, color=RED, label="final run", zorder=5)
        axes.set_xscale("log")
        axes.set_yscale("log")
        smallest, largest = (
            (placed["params_active"].min(), placed["params_active"].max()) if len(placed) else (params, params)
        )
        left, right = smallest / 1.5, params * 2
        between = math.sqrt(float(largest) * params) / (2 if look.narrow else 1.3)  # where no run lies
        for ratio in (20, 200):
            axes.plot([left, right], [ratio * left, ratio * right], color=GREY, linestyle=":", linewidth=1)
            axes.annotate(
                f"{ratio} a parameter" if look.narrow else f"{ratio} tokens per parameter", (between, ratio * between), (0, -4),
                color=GREY, fontsize=9.5, ha="left", textcoords="offset points", va="top",
            )  # fmt: skip
        axes.set_xlim(left, right)
        axes.set_xlabel("active parameters")
        axes.set_ylabel("training tokens")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(COUNTS)
            axis.set_minor_formatter(NullFormatter())
        figure.legend(loc="outside upper left", ncols=1 if look.narrow else 4, fontsize=9.5)
        what = f"{len(runs)} runs by active parameters and training tokens, and the final run"
        return to_svg(figure, "plane" + look.suffix, what)


def confidence_figure(rows: list[dict[str, Any]], level: float, look: Look) -> str:
    """Half of the interval of the mean against what is spent on the law, and its floor."""
    spent, half, floor = (np.array([row[name] for row in rows], float) for name in ("spent", "half_width", "floor"))
    with styled("confidence" + look.suffix):
        figure = Figure(figsize=(look.width, 3.6 if look.narrow else 3.4), layout="constrained")
        axes = figure.subplots()
        axes.plot(spent, 100 * half, color=BLUE, marker="o", label=f"half of the {level:.0%} interval of the mean")
        axes.plot(spent, 100 * floor, color=GREY, linestyle="--", label="floor: what the law itself may miss")
        axes.scatter(spent[:1], 100 * half[:1], color=RED, s=90, zorder=4, label="now")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(0, 115 * half.max())
        axes.set_xlabel("compute spent on the law's runs" + ("" if look.narrow else ", in final runs"))
        axes.set_ylabel("% of the loss")
        figure.legend(loc="outside upper left", ncols=1 if look.narrow else 3, fontsize=9.5)
        what = f"Half-width of the forecast: {half[0]:.2%} now, floor {floor[0]:.2%}"
        return to_svg(figure, "confidence" + look.suffix, what)


def ideas_figure(ideas: list[dict[str, Any]], look: Look) -> str:
    """Compute-equivalent gain of each idea at the final run, with interval and decision."""
    names = [wrapped(idea["variant"], look) for idea in ideas]
    lines = max(1, *(name.count("\n") + 1 for name in names)) if look.narrow else 1
    with styled("ideas" + look.suffix):
        figure = Figure(figsize=(look.width, (0.13 + 0.14 * lines) * len(ideas) + 1.2), layout="constrained")
        axes = figure.subplots()
        place = np.arange(len(ideas))[::-1]
        for decision, colour in VERDICT_COLOUR.items():
            chosen = [index for index, idea in enumerate(ideas) if idea["decision"] == decision]
            if not chosen:
                continue
            gain = np.array([ideas[index]["gain"] for index in chosen])
            edges = np.array([ideas[index]["interval"] for index in chosen]).T
            axes.errorbar(
                gain, place[chosen], xerr=np.abs(edges - gain), fmt=VERDICT_MARK[decision], color=colour, markersize=5, capsize=2.5,
                elinewidth=1.3, label=f"{decision} ({len(chosen)})",
            )  # fmt: skip
        axes.axvline(1, color=GREY, linewidth=1.2)
        axes.set_yticks(place, names, fontsize=9 if look.narrow else 10, parse_math=False)
        axes.set_xlabel("gain at the final run" if look.narrow else "compute-equivalent gain at the final run")
        axes.xaxis.set_major_locator(MaxNLocator(4 if look.narrow else 9))
        axes.set_ylim(-0.8, len(ideas) - 0.2)
        figure.legend(loc="outside upper left", ncols=3, fontsize=9.5)
        return to_svg(figure, "ideas" + look.suffix, "Compute-equivalent gain of each idea with its interval")
