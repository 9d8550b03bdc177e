"""The report's pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from planner.fitting.fit import Fit
from planner.fitting.predict import Prediction, predict_curve
from planner.quantities import human
from planner.report.ledger import Ledger
from planner.report.svg import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, styled, to_svg
from planner.runs.columns import Status
from planner.text import visible

STUDY_LOOK = {"scaling": (BLUE, "o"), "hyperparameters": (ORANGE, "s"), "ideas": (GREEN, "^")}
VERDICT_COLOUR = {"promote": GREEN, "hold": ORANGE, "drop": GREY}
COUNTS = FuncFormatter(lambda value, _: human(value))


def law_figure(runs: pd.DataFrame, fit: Fit, forecast: Prediction) -> str:
    """Loss against compute: the runs, the law at the final run's tokens per parameter, the forecast."""
    done = runs[(runs["study"] == "scaling") & (runs["status"] == Status.COMPLETED)]
    ratio = forecast.tokens / forecast.params
    final_flops = 6 * forecast.params * forecast.tokens
    flops = np.geomspace(done["flops"].min(), 2 * final_flops, 120)
    params = np.sqrt(flops / (6 * ratio))
    loss, low, high = predict_curve(fit, {"params": params, "tokens": ratio * params})
    with styled("law"):
        figure = Figure(figsize=(8.6, 4.6), layout="constrained")
        axes = figure.subplots()
        cloud = axes.scatter(
            done["flops"], done["loss"], c=done["tokens"] / done["params_active"], s=14, alpha=0.75, linewidths=0,
            cmap=colormaps["cividis"].resampled(16), norm=LogNorm(),
        )  # fmt: skip
        axes.fill_between(
            flops, low, high, color=SKY, alpha=0.35, linewidth=0, label=f"{fit.level:.0%} interval of the mean"
        )
        axes.plot(flops, loss, color=BLUE, label=f"{fit.law.name} law at {ratio:.0f} tokens per parameter")
        edges = forecast.interval_run
        axes.errorbar(
            [final_flops], [forecast.loss], yerr=[[forecast.loss - edges[0]], [edges[1] - forecast.loss]],
            fmt="*", color=RED, markersize=15, capsize=5, label=f"final run: {forecast.loss:.3f}",
        )  # fmt: skip
        axes.axvline(fit.reach.flops, color=GREY, linestyle=":", linewidth=1.2)
        axes.annotate(
            f"beyond: extrapolation, {forecast.compute_ratio:.0f}x", (fit.reach.flops, 1), (6, -4), color=GREY,
            xycoords=("data", "axes fraction"), textcoords="offset points", va="top", fontsize=10,
        )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlabel("training compute (FLOPs)")
        axes.set_ylabel("loss (nats per token)")
        figure.legend(loc="outside upper left", ncols=3, fontsize=9.5)
        bar = figure.colorbar(cloud, ax=axes, pad=0.01, aspect=30)
        bar.set_label("runs: tokens per parameter")
        ticks = [tick for tick in (20, 50, 100, 200, 500, 1000) if cloud.norm.vmin <= tick <= cloud.norm.vmax]  # type: ignore[operator]
        bar.set_ticks(ticks, labels=[str(tick) for tick in ticks])
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
        if bar.solids is not None:
            bar.solids.set_rasterized(False)  # a raster would be an image, which the page's policy forbids
        return to_svg(
            figure, "law", f"Loss against compute; the final run is forecast at {forecast.loss:.3f} nats per token"
        )


def plane_figure(runs: pd.DataFrame, forecast: Prediction) -> str:
    """Where the runs lie in size and data; the area of a mark grows with the number of runs."""
    with styled("plane"):
        figure = Figure(figsize=(8.6, 4.8), layout="constrained")
        axes = figure.subplots()
        for shift, (study, rows) in enumerate(runs.groupby("study", sort=False)):
            colour, marker = STUDY_LOOK.get(str(study), (PURPLE, "D"))
            cells = (
                rows.assign(near=rows["tokens_planned"].map(lambda t: float(f"{t:.3g}")))
                .groupby(["params_active", "near"])
                .size()
            )
            x, y = np.array(cells.index.to_list(), float).T
            axes.scatter(
                x * 1.04 ** (shift - 1), y, s=14 + 3 * np.sqrt(cells.to_numpy(float)) * 3, marker=marker, color=colour,
                alpha=0.7, linewidths=0, label=f"{study}: {len(rows)} runs",
            )  # fmt: skip
        axes.scatter([forecast.params], [forecast.tokens], marker="*", s=230, color=RED, label="final run", zorder=5)
        axes.set_xscale("log")
        axes.set_yscale("log")
        left, right = runs["params_active"].min() / 1.5, forecast.params * 2
        for ratio in (20, 200):
            axes.plot([left, right], [ratio * left, ratio * right], color=GREY, linestyle=":", linewidth=1)
            axes.annotate(
                f"{ratio} tokens per parameter", (right, ratio * right), (-6, -12), color=GREY, fontsize=9.5, ha="right",
                textcoords="offset points", va="top", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
        axes.set_xlim(left, right)
        axes.set_xlabel("active parameters")
        axes.set_ylabel("training tokens")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(COUNTS)
            axis.set_minor_formatter(NullFormatter())
        figure.legend(loc="outside upper left", ncols=4, fontsize=9.5)
        return to_svg(figure, "plane", f"{len(runs)} runs by active parameters and training tokens, and the final run")


def cost_figure(runs: pd.DataFrame, ledger: Ledger) -> str:
    """Hours of each study, failed and diverged runs apart, beside the final run."""
    good = runs["status"] == Status.COMPLETED
    names = [*ledger.by_axis["study"], "final run"]
    useful = [float(runs.loc[good & (runs["study"] == name), "gpu_hours"].sum()) for name in ledger.by_axis["study"]]
    lost = [amounts.gpu_hours - kept for amounts, kept in zip(ledger.by_axis["study"].values(), useful, strict=True)]
    with styled("cost"):
        figure = Figure(figsize=(8.6, 0.62 * len(names) + 1.2), layout="constrained")
        axes = figure.subplots()
        place = np.arange(len(names))[::-1]
        axes.barh(place[:-1], useful, color=BLUE, height=0.62, label="finished runs")
        axes.barh(place[:-1], lost, left=useful, color=RED, height=0.62, label="failed, diverged or cut short")
        axes.barh(place[-1:], [ledger.final.gpu_hours], color=GREY, height=0.62)
        for y, hours in zip(
            place, [*(a.gpu_hours for a in ledger.by_axis["study"].values()), ledger.final.gpu_hours], strict=True
        ):
            axes.annotate(f"{human(hours)} h", (hours, y), (5, 0), textcoords="offset points", va="center", fontsize=10)
        axes.set_yticks(place, names)
        axes.xaxis.set_major_formatter(COUNTS)
        axes.set_xlabel("accelerator-hours")
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.12)
        figure.legend(loc="outside upper left", ncols=2, fontsize=9.5)
        return to_svg(figure, "cost", "Accelerator-hours by study, and of the final run")


def ideas_figure(ideas: list[dict[str, Any]]) -> str:
    """Compute-equivalent gain of each idea at the final run, with interval and decision."""
    with styled("ideas"):
        figure = Figure(figsize=(8.6, 0.27 * len(ideas) + 1.1), layout="constrained")
        axes = figure.subplots()
        place = np.arange(len(ideas))[::-1]
        for decision, colour in VERDICT_COLOUR.items():
            chosen = [index for index, idea in enumerate(ideas) if idea["decision"] == decision]
            if not chosen:
                continue
            gain = np.array([ideas[index]["gain"] for index in chosen])
            edges = np.array([ideas[index]["interval"] for index in chosen]).T
            axes.errorbar(
                gain, place[chosen], xerr=np.abs(edges - gain), fmt="o", color=colour, markersize=5, capsize=2.5,
                elinewidth=1.3, label=f"{decision} ({len(chosen)})",
            )  # fmt: skip
        axes.axvline(1, color=GREY, linewidth=1.2)
        axes.set_yticks(place, [visible(idea["variant"]) for idea in ideas], fontsize=10, parse_math=False)
        axes.set_xlabel("compute-equivalent gain at the final run (1.1 = as good as 10 % more compute)")
        axes.set_ylim(-0.8, len(ideas) - 0.2)
        figure.legend(loc="outside upper left", ncols=3, fontsize=9.5)
        return to_svg(figure, "ideas", "Compute-equivalent gain of each idea with its interval")
