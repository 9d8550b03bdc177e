"""Hide the large runs, predict them: what a fit's intervals are worth on this very sweep."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from planner.engines import Engine, carrying, here
from planner.errors import InputError
from planner.fitting.backtest_row import BacktestRow
from planner.fitting.checks import require_identifiable
from planner.fitting.estimate import estimate
from planner.fitting.interval import Points, uncertainty_of
from planner.fitting.order import order_of
from planner.fitting.recipe import Recipe
from planner.laws.centre import Array
from planner.laws.law import Law
from planner.laws.link import linked
from planner.laws.scale import Scale
from planner.runs.sample import Sample

CUTS = (
    0.40,
    0.55,
    0.70,
    0.85,
)  # quantiles of compute (or what else orders the runs) below which a nested fit sees the runs
SMALLEST_TRAINING = 9
BANDS = (1.0, 3.0, 10.0, 30.0, 100.0, np.inf)  # of held-out compute over the largest compute seen
BEYOND = (
    3.0  # of compute past the largest kappa backtested that intervals are supported; of no other scale it was measured
)
BEHIND = 5  # held-out runs that must lie at or beyond a kappa before it counts as backtested
FOLD_DRAWS = 200  # of a bootstrap inside a fold


@dataclass(frozen=True)
class Fold:
    """Held-out runs of one cut, arrays `(m,)`.

    `kappa` is compute (or what else orders the runs) over the largest seen, `error` predicted minus actual ln loss, `low`
    and `high` the deviations that the interval of one run allowed.
    """

    kappa: Array
    error: Array
    low: Array
    high: Array


class _Task(NamedTuple):
    training: Sample
    held_out: Sample
    recipe: Recipe
    order: Scale
    level: float


def folds_of(sample: Sample, recipe: Recipe, *, level: float = 0.9, engine: Engine = here) -> list[Fold]:
    """One fold per cut that leaves enough runs on both sides; every fit and its interval see the training runs only."""
    order = order_of(sample, recipe.law)
    if order is None:
        return []
    tasks = [_Task(*split, recipe, order, level) for split in splits(sample, recipe.law, order)]
    return list(carrying(engine, recipe.law)(_fold, tasks))


def _fold(task: _Task) -> Fold:
    training, held_out, recipe, order, level = task
    fitted = estimate(training, recipe)
    known = uncertainty_of(training, fitted, recipe, seed=0, draws=FOLD_DRAWS)
    law, solution = type(fitted.solution.law), fitted.solution
    low, high = known.one_run(law, solution.theta, Points.of(law, solution.centre, held_out.named), level)
    predicted, _ = fitted.predict(*held_out.columns(law.variables))
    error = predicted - linked(law, held_out.loss)
    kappa = order.of(held_out.named) / order.of(training.named).max()
    return Fold(kappa, error, low, high)


def reached(folds: list[Fold]) -> float:
    """The largest ratio with at least five held-out runs at or beyond it; 1 when there are fewer."""
    kappa = np.sort(np.concatenate([fold.kappa for fold in folds])) if folds else np.empty(0)
    return float(kappa[-BEHIND]) if kappa.size >= BEHIND else 1.0


def backtest_table(folds: list[Fold]) -> tuple[BacktestRow, ...]:
    """The folds by band of kappa, empty bands left out."""
    if not folds:
        return ()
    kappa, error, low_edge, high_edge = (
        np.concatenate([getattr(fold, name) for fold in folds]) for name in ("kappa", "error", "low", "high")
    )
    held = (-error >= low_edge) & (-error <= high_edge)
    table = []
    for low, high in pairwise(BANDS):
        inside = (kappa >= low) & (kappa < high)
        if inside.any():
            size, width = np.abs(error[inside]), (high_edge - low_edge)[inside]
            table.append(
                BacktestRow(
                    kappa=low,
                    n=int(inside.sum()),
                    bias=float(error[inside].mean()),
                    median_error=float(np.median(size)),
                    p90_error=float(np.quantile(size, 0.9)),
                    coverage=float(held[inside].mean()),
                    median_width=float(np.median(width)),
                )
            )
    return tuple(table)


def splits(sample: Sample, law: type[Law], order: Scale) -> list[tuple[Sample, Sample]]:
    """Runs to fit and larger ones to hide, by `order`, one pair per cut that leaves enough of both."""
    size, splits = order.of(sample.named), []
    for cut in dict.fromkeys(float(np.quantile(size, quantile)) for quantile in CUTS):
        below = size <= cut * (1 + 1e-9)
        if below.sum() < SMALLEST_TRAINING or (~below).sum() < 2:
            continue
        with contextlib.suppress(InputError):  # small runs that cannot identify the law say nothing of the large ones
            require_identifiable(sample.at(below), law)
            splits.append((sample.at(below), sample.at(~below)))
    return splits
