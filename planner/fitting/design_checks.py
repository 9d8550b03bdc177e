"""What the runs themselves tell: which regimes and settings are mixed, and what the forecast owes to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.fitting.configurations import SAME
from planner.fitting.finding import FURTHER, Finding, Fitted, note, warning
from planner.fitting.objective import AdaptiveHuber
from planner.fitting.ranks import spearman
from planner.fitting.solve import solve
from planner.laws import Chinchilla, Coupled
from planner.laws.centre import Array
from planner.laws.law import Law

UNDER_TRAINED = 4.0  # tokens per parameter: SCIENCE.md 4.1 leaves out what lies below
MOVED = 3.0  # sd of the forecast
SWEPT = 3  # settings at one size before an optimum can be bracketed
LOCKED = 0.95  # rank correlation with size at which a setting cannot be told from it
APART, ALIKE = 1.25, 0.05  # best sizes that differ by more while objectives differ by less
MANY = 5000  # runs that a second law is fitted to at most
FLOPS_SPREAD = 1.5
FEWEST_STEPS = (
    500  # of a run: a first try with 60 to 200 (byte-level, 1e11 to 1e13 FLOPs) scattered by .03 nats and obeyed no law
)


def few_runs(fitted: Fitted) -> Finding | None:
    """Hardly more runs than letters."""
    parameters = fitted.estimate.solution.theta.size
    if fitted.sample.loss.size >= parameters + 2:
        return None
    return warning("few-runs", f"{fitted.sample.loss.size} runs for {parameters} parameters", "add at least two runs")


def no_trend(fitted: Fitted) -> Finding | None:
    """Large runs no better than small ones."""
    flops, loss = fitted.sample.flops, fitted.sample.loss
    low, high = np.quantile(flops, [0.25, 0.75])
    if np.median(loss[flops >= high]) < np.median(loss[flops <= low]):
        return None
    sentence = "loss does not fall with compute: the largest runs are no better than the smallest"
    return warning("no-trend", sentence, "check the columns: no extrapolation means anything here")


def window(fitted: Fitted) -> Finding | None:
    """A window of compute that was not applied."""
    if not fitted.estimate.window_refused:
        return None
    return note("window", "the window of compute held too few runs: all were used")


def checkpoints(fitted: Fitted) -> Finding | None:
    """Several rows of one run: mid-run losses of a schedule that decays are not those of a run that ends there."""
    cluster = fitted.kept.repeated
    if cluster is None:
        return None
    runs = np.unique(cluster).size
    sentence = f"{cluster.size} rows come from {runs} runs: checkpoints before the end of a schedule read too high"
    return warning(
        "checkpoints", sentence, "keep final rows (--where is_final), or runs at a constant rate with a cooldown each"
    )


def under_trained(fitted: Fitted) -> Finding | None:
    """A few runs with hardly any data, and what they do to the forecast."""
    few = fitted.kept.tokens / fitted.kept.params < UNDER_TRAINED
    if not few.any() or few.mean() > 0.5:
        return None
    moved = fitted.moved_without(few)
    if moved is None:
        return None
    sentence = f"{int(few.sum())} runs have fewer than {UNDER_TRAINED:g} tokens per parameter; without them the forecast at " \
               f"{FURTHER:g}x moves by {moved[0]:+.2%}"  # fmt: skip
    if moved[1] < 1:
        return note("under-trained", sentence)
    return warning("under-trained", sentence, "such runs follow no law of well-trained ones: leave them out")


def few_steps(fitted: Fitted) -> Finding | None:
    """Runs so short that warm-up and luck rule their losses."""
    batch: Array | None = fitted.kept.extra.get("batch_tokens")
    if batch is None or not np.issubdtype(batch.dtype, np.number):
        return None
    steps = np.where(np.isfinite(batch) & (batch > 0), fitted.kept.tokens / np.where(batch > 0, batch, 1), np.inf)
    short = steps < FEWEST_STEPS
    if not short.any():
        return None
    sentence = (
        f"{int(short.sum())} of {steps.size} runs have fewer than {FEWEST_STEPS} steps, the shortest {steps.min():.0f}"
    )
    return warning(
        "few-steps", sentence, "warm-up and luck rule such losses: use smaller batches, or leave these runs out"
    )


def smallest_size(fitted: Fitted) -> Finding | None:
    """A forecast that hangs on the smallest size: it may lie below the region where a power law holds."""
    smallest = fitted.kept.params <= fitted.kept.params.min() * (1 + SAME)
    sizes = np.unique(np.round(np.log(fitted.kept.params) / SAME)).size
    if sizes < SWEPT + 1 or smallest.mean() > 0.3:
        return None
    moved = fitted.moved_without(smallest)
    if moved is None or moved[1] < MOVED:
        return None
    size = fitted.kept.params.min()
    sentence = f"without the smallest size ({size:.3g}) the forecast at {FURTHER:g}x moves by {moved[0]:+.2%}, {moved[1]:.1f} sd"
    return warning(
        "smallest-size", sentence, "it may lie below the region of the power law: compare the fit without it (--where)"
    )


def tuning(name: str, what: str) -> Callable[[Fitted], Finding | None]:
    """A check of one hyperparameter column against size: never varied, locked to size, or its optimum not bracketed."""

    def check(fitted: Fitted) -> Finding | None:
        values = fitted.kept.extra.get(name)
        if (
            values is None
            or not np.issubdtype(values.dtype, np.number)
            or not np.isfinite(values).all()
            or (values <= 0).any()
        ):
            return None
        return _edge(fitted, values, name, what) or _confounded(fitted, values, name, what)

    return check


def _edge(fitted: Fitted, values: NDArray[Any], name: str, what: str) -> Finding | None:
    cells, swept, edges = _cells(fitted), 0, 0
    for cell in np.unique(cells):
        here = cells == cell
        tried = np.unique(np.round(np.log(values[here]) / SAME))
        if tried.size < SWEPT:
            continue
        best = np.round(np.log(values[here][np.argmin(fitted.kept.loss[here])]) / SAME)
        swept, edges = swept + 1, edges + int(best in (tried[0], tried[-1]))
    if not swept:
        return None
    if edges:
        sentence = f"in {edges} of {swept} configurations the best {what} lies at the edge of those tried"
        return warning(f"{name}-edge", sentence, f"the optimum is not bracketed there: try {what}s beyond it")
    sentence = f"{swept} configurations hold several {what}s, all fitted as if equal"
    return warning(f"{name}-swept", sentence, "fit the best run of each configuration")


def _confounded(fitted: Fitted, values: NDArray[Any], name: str, what: str) -> Finding | None:
    params = fitted.kept.params
    sizes = np.unique(np.round(np.log(params) / SAME)).size
    if sizes < SWEPT:
        return None
    if np.ptp(np.log(values)) < SAME:
        if params.max() / params.min() < 4:
            return None
        sentence = f"one {what} ({values[0]:.3g}) for sizes from {params.min():.3g} to {params.max():.3g}"
        return warning(
            f"{name}-constant", sentence, "the best one moves with size and data: a law of these runs bends with it"
        )
    per_size = max(
        np.unique(np.round(np.log(values[np.isclose(params, size, rtol=SAME)]), 2)).size for size in np.unique(params)
    )
    rank = abs(float(spearman(params, values).rho))
    if per_size > 1 or rank < LOCKED:
        return None
    sentence = f"{what} moves with size and was never varied at one size: what it does is read as what size does"
    return note(f"{name}-confounded", sentence, "vary it at one size, or say that it follows a tested rule")


def _cells(fitted: Fitted) -> NDArray[Any]:
    cell = np.stack([np.round(np.log(x) / SAME) for x in (fitted.kept.params, fitted.kept.tokens)])
    return np.unique(cell, axis=1, return_inverse=True)[1].ravel()


def logged_flops(fitted: Fitted) -> Finding | None:
    """Logged FLOPs that are not 6 x params x tokens, by a factor that changes between runs."""
    flops = fitted.kept.extra.get("flops")
    if flops is None or not np.issubdtype(flops.dtype, np.number) or not (np.isfinite(flops) & (flops > 0)).all():
        return None
    ratio = flops / fitted.kept.flops
    if ratio.max() / ratio.min() < FLOPS_SPREAD:
        return None
    sentence = f"logged FLOPs are {ratio.min():.2f} to {ratio.max():.2f} times 6 x {fitted.sample.count} x tokens"
    return note(
        "flops-rule",
        sentence,
        "the best split is by 6 x params x tokens; attention or embeddings are counted otherwise in the log",
    )


def forms(fitted: Fitted) -> Finding | None:
    """Two laws that fit alike and disagree on the best size: the residuals cannot choose (MF, arXiv 2502.18969)."""
    if fitted.kept.loss.size > MANY:
        return None
    x, loss, flops = (
        (fitted.kept.params, fitted.kept.tokens),
        fitted.kept.loss,
        FURTHER * float(fitted.sample.flops.max()),
    )
    one, other = (solve(law, x, loss, objective=AdaptiveHuber()) for law in _pair())
    if one.scale < 1e-5 or not (one.converged and other.converged):
        return None
    alike = abs(one.scale / other.scale - 1) < ALIKE
    sizes = [solution.law.optimum(flops).params for solution in (one, other)]
    if not alike or max(sizes) / min(sizes) < APART:
        return None
    sentence = (
        f"the {one.law.name} and the {other.law.name} law fit alike (residual sd {one.scale:.3%}, {other.scale:.3%}) "
        f"and put the best size at {FURTHER:g}x the compute at {sizes[0]:.3g} and {sizes[1]:.3g}"
    )
    return warning(
        "forms-disagree", sentence, "choose by the backtest, not by the residuals; spread tokens per parameter"
    )


def _pair() -> tuple[type[Law], type[Law]]:
    return Chinchilla, Coupled


def repeated_data(fitted: Fitted) -> Finding | None:
    """Runs that saw their data more than once."""
    unique: Array | None = fitted.kept.extra.get("tokens_unique")
    if unique is None or not np.issubdtype(unique.dtype, np.number):
        return None
    again = np.isfinite(unique) & (unique > 0) & (fitted.kept.tokens > unique * 1.01)
    if not again.any():
        return None
    most = float((fitted.kept.tokens[again] / unique[again]).max())
    sentence = f"{int(again.sum())} runs saw their data up to {most:.3g} times over, which this law does not know"
    return warning("repeated-data", sentence, "leave them out, or use a data-constrained law (arXiv 2305.16264)")


DESIGN_CHECKS = (
    few_runs, no_trend, window, checkpoints, repeated_data, under_trained, few_steps, smallest_size,
    tuning("lr_peak", "learning rate"), tuning("batch_tokens", "batch"), logged_flops, forms,
)  # fmt: skip
