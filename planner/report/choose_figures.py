"""The picture of a choice among candidate runs: where they lie, and what each is worth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from planner.report.axes import HUMAN, PERCENT
from planner.report.svg import BLUE, GREY, ORANGE, RED
from planner.runs.sample import Sample
from planner.sweep.choose import Choice
from planner.sweep.pool.candidates import Candidates
from planner.text import visible

PLANE = {"params", "tokens"}


def choose_figure(
    choice: Choice, pool: Candidates, targets: Mapping[str, np.ndarray], observed: Sample | None = None
) -> Figure:
    """Pool, observed, chosen and target runs in size and data, where those are known, and the expected sd against the cost."""
    plane = set(pool.columns) >= PLANE and set(targets) >= PLANE
    figure = Figure(figsize=(11 if plane else 6, 4.6), layout="constrained")
    panels = figure.subplots(1, 2 if plane else 1, squeeze=False)[0]
    if plane:
        _plane(panels[0], choice, pool, targets, observed)
    _curve(panels[-1], choice)
    figure.suptitle(f"{len(choice.run_ids)} of {choice.n_candidates} candidates: {visible(choice.belief)}", fontsize=11)
    figure.legend(loc="outside lower center", ncols=4, fontsize=9.5)
    return figure


def _plane(
    axes: Axes, choice: Choice, pool: Candidates, targets: Mapping[str, np.ndarray], observed: Sample | None
) -> None:
    at = {run_id: one for one, run_id in enumerate(pool.run_ids)}
    chosen = [at[run_id] for run_id in choice.run_ids]
    params, tokens = pool.columns["params"], pool.columns["tokens"]
    axes.scatter(params, tokens, s=14, color=GREY, alpha=0.5, linewidths=0, label="candidates")
    if observed is not None:
        axes.scatter(
            observed.params, observed.tokens, s=34, facecolors="none", edgecolors=ORANGE, linewidths=1.4, label="observed"
        )  # fmt: skip
    axes.scatter(params[chosen], tokens[chosen], s=42, color=BLUE, linewidths=0, label="chosen", zorder=4)
    axes.scatter(targets["params"], targets["tokens"], marker="*", s=110, color=RED, label="targets", zorder=5)
    for axis, name in ((axes.xaxis, "parameters"), (axes.yaxis, "training tokens")):
        axis.set_label_text(name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(10, numticks=9))
        axis.set_major_formatter(HUMAN)
        axis.set_minor_formatter(NullFormatter())


def _curve(axes: Axes, choice: Choice) -> None:
    """Expected sd after each run; the first point is before any, where it does not crush the others."""
    spent = np.cumsum(choice.costs)
    axes.plot(spent, choice.sds, color=BLUE, marker="o", markersize=4, label="expected sd after each run")
    axes.axhline(choice.sd_before, color=GREY, linestyle=":", linewidth=1.2, label="before")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(PERCENT)
    axes.yaxis.set_minor_formatter(NullFormatter())
    if len(spent) > 1 and spent[-1] > 30 * spent[0]:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(HUMAN)
    axes.set_xlabel(f"cost so far ({visible(choice.unit)})")
    axes.set_ylabel("expected sd at the targets")
