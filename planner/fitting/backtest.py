"""Hide the large runs, predict them: what a fit's intervals are worth on this very sweep."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from planner.errors import InputError
from planner.fitting.backtest_row import BacktestRow
from planner.fitting.checks import require_identifiable
from planner.fitting.estimate import Estimate, estimate
from planner.fitting.interval import uncertainty_of
from planner.fitting.recipe import Recipe
from planner.laws.centre import Array
from planner.laws.law import Law
from planner.runs.sample import Sample

CUTS = (0.40, 0.55, 0.70, 0.85)  # quantiles of compute below which a nested fit sees the runs
SMALLEST_TRAINING = 9
BANDS = (1.0, 3.0, 10.0, 30.0, 100.0, np.inf)  # of held-out compute over the largest compute seen
BEYOND = 3.0  # an interval is supported up to this factor past the largest kappa that could be backtested
BEHIND = 5  # held-out runs that must lie at or beyond a kappa before it counts as backtested
FOLD_DRAWS = 200  # of a bootstrap inside a fold


@dataclass(frozen=True)
class Fold:
    """Held-out runs of one cut, arrays `(m,)`.

    `kappa` is compute over the largest seen, `error` predicted minus actual ln loss, `low` and `high` the deviations that
    the interval of one run allowed; `reach` is the largest kappa that the training runs could backtest themselves.
    """

    kappa: Array
    error: Array
    low: Array
    high: Array
    reach: float


def folds_of(sample: Sample, recipe: Recipe, *, level: float = 0.9) -> list[Fold]:
    """One fold per cut that leaves enough runs on both sides; every fit and its interval see the training runs only."""
    folds = []
    for training, held_out in _splits(sample, recipe.law):
        fitted = estimate(training, recipe)
        scores = nested_scores(training, recipe)
        known = uncertainty_of(training, fitted, recipe, inflation=inflation(scores), seed=0, draws=FOLD_DRAWS)
        theta, centre = fitted.solution.theta, fitted.solution.centre
        low, high = known.one_run(recipe.law, theta, *centre.coordinates(held_out.params, held_out.tokens), level)
        error, _ = _errors(fitted, held_out)
        folds.append(Fold(held_out.flops / training.flops.max(), error, low, high, reached(scores)))
    return folds


@dataclass(frozen=True)
class Score:
    """Held-out runs of one nested refit `(m,)`: kappa, and error over the predicted sd of one new run."""

    kappa: Array
    standardised: Array


def nested_scores(sample: Sample, recipe: Recipe) -> list[Score]:
    """How well refits on the smaller runs predicted the larger ones, cut by cut."""
    scores = []
    for training, held_out in _splits(sample, recipe.law):
        error, sd = _errors(estimate(training, recipe), held_out)
        scores.append(Score(held_out.flops / training.flops.max(), error / sd))
    return scores


def reached(scores: list[Score]) -> float:
    """The largest compute ratio with at least five held-out runs at or beyond it; 1 when there are fewer."""
    kappa = np.sort(np.concatenate([score.kappa for score in scores])) if scores else np.empty(0)
    return float(kappa[-BEHIND]) if kappa.size >= BEHIND else 1.0


def inflation(scores: list[Score]) -> float:
    """max(1, root mean square over folds of standardised errors): never narrows an interval."""
    if not scores:
        return 1.0
    return max(1.0, float(np.sqrt(np.mean([np.mean(score.standardised**2) for score in scores]))))


def backtest_table(folds: list[Fold]) -> tuple[BacktestRow, ...]:
    """The folds by band of kappa, empty bands left out."""
    if not folds:
        return ()
    kappa, error, low_edge, high_edge = (
        np.concatenate([getattr(fold, name) for fold in folds]) for name in ("kappa", "error", "low", "high")
    )
    held = (-error >= low_edge) & (-error <= high_edge)
    refused = np.concatenate([fold.kappa > BEYOND * fold.reach for fold in folds])
    table = []
    for low, high in pairwise(BANDS):
        inside = (kappa >= low) & (kappa < high)
        if inside.any():
            size, width = np.abs(error[inside]), (high_edge - low_edge)[inside]
            table.append(
                BacktestRow(
                    kappa=low,
                    n=int(inside.sum()),
                    median_error=float(np.median(size)),
                    p90_error=float(np.quantile(size, 0.9)),
                    coverage=float(held[inside].mean()),
                    median_width=float(np.median(width)),
                    refused=int(refused[inside].sum()),
                )
            )
    return tuple(table)


def _splits(sample: Sample, law: type[Law]) -> list[tuple[Sample, Sample]]:
    splits = []
    for cut in dict.fromkeys(float(np.quantile(sample.flops, quantile)) for quantile in CUTS):
        below = sample.flops <= cut * (1 + 1e-9)
        if below.sum() < SMALLEST_TRAINING or (~below).sum() < 2:
            continue
        with contextlib.suppress(InputError):  # small runs that cannot identify the law say nothing of the large ones
            require_identifiable(sample.at(below), law)
            splits.append((sample.at(below), sample.at(~below)))
    return splits


def _errors(fitted: Estimate, held_out: Sample) -> tuple[Array, Array]:
    predicted, sd = fitted.predict(held_out.params, held_out.tokens)
    return predicted - np.log(held_out.loss), np.sqrt(sd**2 + fitted.solution.scale**2)
