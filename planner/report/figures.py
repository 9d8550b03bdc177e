"""The report's pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from planner.fitting.fit import Fit
from planner.fitting.predict import Prediction, predict_curve
from planner.quantities import human
from planner.report.axes import flops_axis, loss_label
from planner.report.findings import Findings
from planner.report.fit_figures import isoflop_figure
from planner.report.svg import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, styled, to_svg
from planner.runs.columns import Count, Status
from planner.runs.sample import Sample
from planner.text import visible

STUDY_LOOK = {"scaling": (BLUE, "o"), "hyperparameters": (ORANGE, "s"), "ideas": (GREEN, "^")}
OTHERS = ((PURPLE, "D"), (SKY, "v"), (GREY, "P"), (RED, "X"))
VERDICT_COLOUR = {"promote": GREEN, "hold": ORANGE, "drop": GREY}
VERDICT_MARK = {"promote": "o", "hold": "s", "drop": "v"}
LOST = (Status.FAILED, Status.DIVERGED, Status.PREEMPTED, Status.CANCELLED)
LOOK_OF_DATA = ListedColormap(colormaps["viridis"](np.linspace(0.3, 0.95, 12)))  # seen on white and on black
DRAWN = 1500  # dots in a picture; more hide each other and weigh down the page
COUNTS = FuncFormatter(lambda value, _: human(value))


def figures_of(found: Findings, summary: dict[str, Any]) -> dict[str, str]:
    """Every picture of the page as an svg element; names are those of `summary`, which may be redacted."""
    studies = dict(zip(found.ledger.by_axis["study"], summary["by_study"], strict=True))
    runs = found.runs.assign(study=found.runs["study"].map(lambda name: studies.get(name, name)))
    scaling = [studies[name] for name in found.question["scaling_studies"] if name in studies]
    drawn = {
        "law": law_figure(runs[runs["study"].isin(scaling)], found.fit, found.prediction),
        "plane": plane_figure(runs, found.prediction),
        "confidence": confidence_figure(summary["confidence"], found.fit.level),
        "cost": cost_figure(summary["by_study"], _kept(found, studies), summary["final"]["gpu_hours"]),
    }
    if summary["ideas"]:
        drawn["ideas"] = ideas_figure(summary["ideas"])
    if summary["tornado"]:
        drawn["tornado"] = tornado_figure(
            summary["tornado"], summary["base"], with_dollars=summary["exploration"]["usd"] is not None
        )
    profiles = _isoflop(runs[runs["study"].isin(scaling)], found.fit)
    return drawn | ({"isoflop": profiles} if profiles else {})


def _kept(found: Findings, studies: dict[str, str]) -> dict[str, float]:
    """Hours of entries that were not lost, by study."""
    entries = found.ledger.entries
    kept = entries[(entries["side"] == "exploration") & ~entries["status"].isin(LOST)]
    return {
        studies[str(name)]: float(part.sum())
        for name, part in kept.groupby("study")["reference_gpu_hours"]
        if name in studies
    }


def _isoflop(runs: pd.DataFrame, fit: Fit) -> str | None:
    """The isoFLOP profiles of a design that has them."""
    done = runs[(runs["status"] == Status.COMPLETED) & runs["loss"].notna()]
    if done.empty or fit.count is None:
        return None
    sample = Sample(
        params=done[str(fit.count)].to_numpy(float), tokens=done["tokens"].to_numpy(float), loss=done["loss"].to_numpy(float),
        count=Count(str(fit.count)), group="", loss_unit=fit.loss_unit, dropped={}, notes=(),
    )  # fmt: skip
    with styled("isoflop"):
        figure = isoflop_figure(fit, sample)
        return None if figure is None else to_svg(figure, "isoflop", "Loss against size at each level of compute")


def law_figure(runs: pd.DataFrame, fit: Fit, forecast: Prediction) -> str:
    """Loss against compute: the runs, the law at their and the final run's tokens per parameter, the forecast."""
    done = runs[
        (runs["status"] == Status.COMPLETED)
        & runs["loss"].notna()
        & (runs["is_final"].astype(str).str.lower() != "false")
    ]
    done = done.assign(
        flops=6 * done["params_active"] * done["tokens"]
    )  # a branch's loss is that of its trunk's tokens too
    drawn = done if len(done) <= DRAWN else done.sample(DRAWN, random_state=0)
    ratio, usual = forecast.tokens / forecast.params, float((done["tokens"] / done["params_active"]).median())
    final_flops = 6 * forecast.params * forecast.tokens
    flops = np.geomspace(done["flops"].min(), 2 * final_flops, 120)
    with styled("law"):
        figure = Figure(figsize=(8.6, 5.0), layout="constrained")
        axes = figure.subplots()
        cloud = axes.scatter(
            drawn["flops"], drawn["loss"], c=drawn["tokens"] / drawn["params_active"], s=14, alpha=0.75, linewidths=0,
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
        if fit.reach.flops:
            axes.axvline(fit.reach.flops, color=GREY, linestyle=":", linewidth=1.2)
            axes.annotate(
                f"beyond: extrapolation, {forecast.compute_ratio:.0f}x", (fit.reach.flops, 1), (6, -4), color=GREY,
                xycoords=("data", "axes fraction"), textcoords="offset points", va="top", fontsize=10,
            )  # fmt: skip
        flops_axis(axes, "training compute (FLOPs)")
        few = max(1, round(math.log10(2 * final_flops / float(done["flops"].min())) / 8))
        axes.xaxis.set_major_locator(LogLocator(10.0**few, numticks=12))
        axes.set_ylabel(loss_label(fit))
        bar = figure.colorbar(cloud, ax=axes, pad=0.01, aspect=40, format=COUNTS)
        bar.set_label("tokens per parameter of a run")
        bar.ax.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
        figure.legend(loc="outside upper left", ncols=2, fontsize=9.5)
        thinned = "" if len(drawn) == len(done) else f"; {len(drawn):,} of {len(done):,} runs drawn"
        return to_svg(
            figure,
            "law",
            f"Loss against compute; the final run is forecast at {forecast.loss:.3f} nats per token{thinned}",
        )


def plane_figure(runs: pd.DataFrame, forecast: Prediction) -> str:
    """Where the runs lie in size and data; the area of a mark grows with the number of runs."""
    with styled("plane"):
        figure = Figure(figsize=(8.6, 4.8), layout="constrained")
        axes = figure.subplots()
        for shift, (study, rows) in enumerate(runs.groupby("study", sort=False)):
            colour, marker = _look(str(study), shift)
            cells = (
                rows.assign(near=rows["tokens_planned"].map(lambda t: float(f"{t:.3g}")))
                .groupby(["params_active", "near"])
                .size()
            )
            x, y = np.array(cells.index.to_list(), float).T
            axes.scatter(
                x * 1.05 ** (shift - 1), y, s=14 + 3 * np.sqrt(cells.to_numpy(float)) * 3, marker=marker, color=colour,
                alpha=0.7, linewidths=0, label=f"{visible(str(study))}: {len(rows):,} runs",
            )  # fmt: skip
        axes.scatter([forecast.params], [forecast.tokens], marker="*", s=230, color=RED, label="final run", zorder=5)
        axes.set_xscale("log")
        axes.set_yscale("log")
        left, right = runs["params_active"].min() / 1.5, forecast.params * 2
        between = math.sqrt(float(runs["params_active"].max()) * forecast.params) / 1.3  # where no run lies
        for ratio in (20, 200):
            axes.plot([left, right], [ratio * left, ratio * right], color=GREY, linestyle=":", linewidth=1)
            axes.annotate(
                f"{ratio} tokens per parameter", (between, ratio * between), (0, -4), color=GREY, fontsize=9.5, ha="left",
                textcoords="offset points", va="top",
            )  # fmt: skip
        axes.set_xlim(left, right)
        axes.set_xlabel("active parameters")
        axes.set_ylabel("training tokens")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(COUNTS)
            axis.set_minor_formatter(NullFormatter())
        figure.legend(loc="outside upper left", ncols=4, fontsize=9.5)
        return to_svg(figure, "plane", f"{len(runs)} runs by active parameters and training tokens, and the final run")


def _look(study: str, number: int) -> tuple[str, str]:
    return STUDY_LOOK.get(study, OTHERS[number % len(OTHERS)])


def cost_figure(by_study: dict[str, Any], kept: dict[str, float], final_gpu_hours: float) -> str:
    """Hours of each study, lost ones apart, beside the final run."""
    names = [*by_study, "final run"]
    hours = [float(amounts["gpu_hours"]) for amounts in by_study.values()]
    useful = [kept.get(name, 0.0) for name in by_study]
    with styled("cost"):
        figure = Figure(figsize=(8.6, 0.5 * len(names) + 1.2), layout="constrained")
        axes = figure.subplots()
        place = np.arange(len(names))[::-1]
        axes.barh(place[:-1], useful, color=BLUE, height=0.62, label="finished or running")
        lost = [each - part for each, part in zip(hours, useful, strict=True)]
        axes.barh(place[:-1], lost, left=useful, color=RED, height=0.62, label="failed, diverged or cut short")
        axes.barh(place[-1:], [final_gpu_hours], color=GREY, height=0.62)
        for y, each in zip(place, [*hours, final_gpu_hours], strict=True):
            axes.annotate(f"{human(each)} h", (each, y), (5, 0), textcoords="offset points", va="center", fontsize=10)
        axes.set_yticks(place, [visible(name) for name in names], parse_math=False)
        axes.xaxis.set_major_formatter(COUNTS)
        axes.set_xlabel("accelerator-hours")
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.12)
        figure.legend(loc="outside upper left", ncols=2, fontsize=9.5)
        return to_svg(figure, "cost", "Accelerator-hours by study, and of the final run")


def confidence_figure(rows: list[dict[str, Any]], level: float) -> str:
    """Half of the interval of the mean against what is spent on the law, and its floor."""
    spent, half, floor = (np.array([row[name] for row in rows], float) for name in ("spent", "half_width", "floor"))
    with styled("confidence"):
        figure = Figure(figsize=(8.6, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.plot(spent, 100 * half, color=BLUE, marker="o", label=f"half of the {level:.0%} interval of the mean")
        axes.plot(spent, 100 * floor, color=GREY, linestyle="--", label="floor: what the law itself may miss")
        axes.scatter(spent[:1], 100 * half[:1], color=RED, s=90, zorder=4, label="now")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(0, 115 * half.max())
        axes.set_xlabel("compute spent on the law's runs, in final runs")
        axes.set_ylabel("% of the loss")
        figure.legend(loc="outside upper left", ncols=3, fontsize=9.5)
        return to_svg(figure, "confidence", f"Half-width of the forecast: {half[0]:.2%} now, floor {floor[0]:.2%}")


def tornado_figure(bars: list[dict[str, Any]], base: dict[str, Any], *, with_dollars: bool) -> str:
    """What each lever from low to high makes of the ratio, and of exploration's dollars."""
    panels = [("ratio", "exploration : final, in GPU-hours", lambda v, _: f"{v:g}x")]
    if with_dollars:
        panels.append(("usd", "exploration, dollars", lambda v, _: f"${human(v)}"))
    with styled("tornado"):
        figure = Figure(figsize=(8.6, 0.5 * len(bars) + 1.5), layout="constrained")
        place = np.arange(len(bars))[::-1]
        for axes, (name, label, shown) in zip(
            np.ravel(figure.subplots(1, len(panels), sharey=True)), panels, strict=True
        ):
            middle = _middle(base)[name]
            for end, colour, word in (("low", BLUE, "lever low"), ("high", ORANGE, "lever high")):
                width = [bar[f"{name}_{end}"] - middle for bar in bars]
                axes.barh(place, width, left=middle, color=colour, height=0.6, label=word)
            axes.axvline(middle, color=GREY, linewidth=1.2)
            axes.set_yticks(place, [bar["words"] for bar in bars])
            axes.xaxis.set_major_formatter(FuncFormatter(shown))
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.set_xlabel(label)
            axes.grid(axis="y", visible=False)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=9.5)
        return to_svg(figure, "tornado", "How far each lever moves the ratio and the dollars of exploration")


def _middle(base: dict[str, Any]) -> dict[str, float]:
    """The ratio and the dollars as reported."""
    hours = base["kept_gpu_hours"] / (1 - base["now"]["lost_share"]) + base["other_gpu_hours"]
    price, fixed = base["now"]["usd_per_gpu_hour"] or 0.0, base["fixed_usd"] or 0.0
    return {"ratio": hours / (base["pretraining_gpu_hours"] + base["stages_gpu_hours"]), "usd": price * hours + fixed}


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
                gain, place[chosen], xerr=np.abs(edges - gain), fmt=VERDICT_MARK[decision], color=colour, markersize=5, capsize=2.5,
                elinewidth=1.3, label=f"{decision} ({len(chosen)})",
            )  # fmt: skip
        axes.axvline(1, color=GREY, linewidth=1.2)
        axes.set_yticks(place, [visible(idea["variant"]) for idea in ideas], fontsize=10, parse_math=False)
        axes.set_xlabel("compute-equivalent gain at the final run (1.1 = as good as 10 % more compute)")
        axes.set_ylim(-0.8, len(ideas) - 0.2)
        figure.legend(loc="outside upper left", ncols=3, fontsize=9.5)
        return to_svg(figure, "ideas", "Compute-equivalent gain of each idea with its interval")
