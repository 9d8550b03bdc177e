"""Do 90 % intervals hold on real sweeps? Each source foretold from its smaller runs, with nothing learned from it.

    python tests/benchmarks/intervals.py

The default recipe's prior over laws is learned from the other six sources; the other constants of the recipe were set on
simulated worlds (worlds.py). Beside it the additive and the coupled law with their textbook (normal) intervals.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.public_sweeps import (
    DATA,
    FEWEST,
    KAPPAS,
    Fold,
    Series,
    all_series,
    folds_of,
    recorded_series,
    sample_from,
)

from planner.fitting.configurations import configurations
from planner.fitting.estimate import Estimate, estimate, t_quantile
from planner.fitting.objective import AdaptiveHuber, Huber
from planner.fitting.posterior import posterior
from planner.fitting.recipe import MODEL_ERROR, Recipe, Spread, default_recipe
from planner.laws import Chinchilla, Coupled
from planner.laws.law import Prior
from planner.runs.sample import Sample

LEVEL = 0.9
ROWS = {False: "all rows", True: "rows of at least 4 tokens per parameter, 1e18 FLOPs and a loss below 5"}
WIDENING = 1.5  # of the spread between sources: six of them tell it poorly
LEARNED = ("ln(lowest loss / E)", "alpha", "beta", "ln k")
VAGUE = ((0.5, 1.0), (0.3, 0.3), (0.3, 0.3), (-0.5, 1.0))  # mean and sd while learning
RIVALS = {
    "additive, textbook": Recipe(Chinchilla, AdaptiveHuber(), None, Spread.NORMAL),
    "coupled, textbook": Recipe(Coupled, AdaptiveHuber(), None, Spread.NORMAL),
}


def prior_from(believed: tuple[tuple[float, float], ...], log_loss: np.ndarray) -> Prior:
    """A prior on theta from (mean, sd) of the four learned numbers."""
    (share, share_sd), *others = believed
    level = float(np.mean(log_loss))
    mean = [float(np.min(log_loss)) - share, level - 2.0, level - 2.0, *(mean for mean, _ in others)]
    return Prior(np.array(mean), np.array([share_sd, 1.5, 1.5, *(sd for _, sd in others)]))


def seen_in(series: Series) -> np.ndarray:
    """The four learned numbers of one sweep under a vague prior; the first averaged over where the sweep might end."""
    runs = series.runs
    data = configurations(runs.params, runs.tokens, runs.loss)
    theta = posterior(Coupled, data, prior_from(VAGUE, np.log(runs.loss)), MODEL_ERROR).solution.theta
    ends = np.geomspace(10 * runs.flops.min(), runs.flops.max(), 6) if np.ptp(np.log10(runs.flops)) > 1.5 else []
    ends = [end for end in ends if (runs.flops <= 1.01 * end).sum() >= FEWEST] or [runs.flops.max()]
    lowest = [np.log(runs.loss[runs.flops <= 1.01 * end].min()) for end in ends]
    return np.array([np.mean(lowest) - theta[0], *theta[3:]])


def learn(series: list[Series]) -> tuple[tuple[float, float], ...]:
    """(mean, sd) of the four numbers: mean over sources, and their spread between sources times WIDENING."""
    by_source: dict[str, list[np.ndarray]] = {}
    for one in series:
        by_source.setdefault(one.source, []).append(seen_in(one))
    sources = np.array([np.mean(rows, axis=0) for rows in by_source.values()])
    return tuple(zip(sources.mean(0).tolist(), (WIDENING * sources.std(0, ddof=1)).tolist(), strict=True))


def recipe_with(believed: tuple[tuple[float, float], ...]) -> Recipe:
    """The default recipe with another prior."""

    class Learned(Coupled):
        @classmethod
        def prior(cls, log_loss: np.ndarray) -> Prior:
            return prior_from(believed, log_loss)

    return Recipe(Learned, AdaptiveHuber(), None, Spread.POSTERIOR, MODEL_ERROR)


@dataclass(frozen=True)
class Scored:
    """One fold under one recipe; fractions of loss, means over its hidden runs (error: the median absolute one)."""

    recipe: str
    source: str
    kappa: int
    coverage: float
    error: float
    bias: float
    width: float
    interval_score: float


def score(fold: Fold, name: str, recipe: Recipe) -> Scored:
    """The 90 % interval of one new run against the hidden runs; interval score of Gneiting and Raftery 2007, eq. 43."""
    fitted = estimate(fold.training, recipe)
    predicted, sd = fitted.predict(fold.hidden.params, fold.hidden.tokens)
    half = t_quantile(LEVEL, fitted.df) * np.hypot(sd, fitted.noise)
    error = predicted - np.log(fold.hidden.loss)
    missed = np.maximum(np.abs(error) - half, 0)
    return Scored(
        name, fold.source, fold.kappa, float((missed == 0).mean()), float(np.median(np.abs(error))), float(error.mean()),
        float(np.median(2 * half)), float(np.mean(2 * half + 2 / (1 - LEVEL) * missed)),
    )  # fmt: skip


def of_source(series: list[Series], source: str) -> list[Scored]:
    """Every fold of one source, under the rivals and the default recipe as the other sources would have it."""
    recipes = {"default, learned elsewhere": recipe_with(learn([one for one in series if one.source != source]))}
    recipes |= {**RIVALS, "default as shipped": default_recipe()}
    folds = [fold for one in series if one.source == source for fold in folds_of(one)]
    return [score(fold, name, recipe) for fold in folds for name, recipe in recipes.items()]


def left_out(*, strict: bool = False, workers: int = 2) -> pd.DataFrame:
    """One row per fold and recipe."""
    series = all_series(strict=strict)
    sources = list(dict.fromkeys(one.source for one in series))
    with ProcessPoolExecutor(workers) as pool:
        scored = [row for rows in pool.map(partial(of_source, series), sources) for row in rows]
    return pd.DataFrame([vars(row) for row in scored])


def recorded() -> pd.DataFrame:
    """One row per fold and recipe of the planner's own study, which nothing was learned from."""
    recipes = {"default as shipped": default_recipe(), **RIVALS}
    folds = folds_of(recorded_series())
    return pd.DataFrame([vars(score(fold, name, recipe)) for name, recipe in recipes.items() for fold in folds])


def summary(scored: pd.DataFrame) -> pd.DataFrame:
    """By recipe and kappa: folds, then figures averaged over folds within sources, then over sources."""
    figures = ["coverage", "error", "bias", "width", "interval_score"]
    by_source = scored.groupby(["recipe", "kappa", "source"], sort=False)[figures].mean()
    table = by_source.groupby(["recipe", "kappa"], sort=False).mean()
    table.insert(0, "folds", scored.groupby(["recipe", "kappa"], sort=False).size())
    table["coverage_folds"] = scored.groupby(["recipe", "kappa"], sort=False)["coverage"].mean()
    table["error_folds"] = scored.groupby(["recipe", "kappa"], sort=False)["error"].median()
    return table


def olmo() -> pd.DataFrame:
    """The OLMo ladder's targets from the paper's 16 runs and from all 30: error and half-width of one run's interval, %."""
    frame = pd.read_csv(DATA / "olmo_ladder_final.csv")
    target = sample_from(frame[frame["split"] == "test"])
    trained = {
        "16": frame[frame["in_paper_fit"].astype(str).str.lower() == "true"],
        "30": frame[frame["split"] == "train"],
    }
    published = Recipe(Chinchilla, Huber(1e-3), None, Spread.NORMAL)
    elsewhere = recipe_with(learn([one for one in all_series() if one.source != "olmo"]))
    recipes = {"default as shipped": default_recipe(), "default, learned elsewhere": elsewhere,
               "additive, Huber 1e-3 (the paper's)": published, "additive, textbook": RIVALS["additive, textbook"]}  # fmt: skip
    rows = []
    for name, recipe in recipes.items():
        for runs, part in trained.items():
            error, half = _forecast(estimate(sample_from(part), recipe), target)
            rows.append((name, runs, *(100 * error), *(100 * half), bool((np.abs(error) <= half).all())))
    columns = [
        "recipe",
        "runs",
        "7B-4T error %",
        "13B-5T error %",
        "7B-4T half-width %",
        "13B-5T half-width %",
        "inside",
    ]
    return pd.DataFrame(rows, columns=columns)


def _forecast(fitted: Estimate, target: Sample) -> tuple[np.ndarray, np.ndarray]:
    predicted, sd = fitted.predict(target.params, target.tokens)
    return predicted - np.log(target.loss), t_quantile(LEVEL, fitted.df) * np.hypot(sd, fitted.noise)


def main() -> None:
    """The tables."""
    for strict in (False, True):
        scored = left_out(strict=strict)
        print(ROWS[strict], end="\n\n")
        print(summary(scored).round(4).to_string(), end="\n\n")
        own = scored[scored["recipe"] == "default, learned elsewhere"]
        counts = own.pivot_table(index="source", columns="kappa", values="coverage", aggfunc=["size", "mean"])
        print(
            counts.reindex(columns=[(what, k) for what in ("size", "mean") for k in KAPPAS]).round(2).to_string(),
            end="\n\n",
        )
    print("the planner's own recorded study, which nothing was learned from", end="\n\n")
    print(summary(recorded()).round(4).to_string(), end="\n\n")
    learned = learn(all_series())
    print(
        "learned from all seven:",
        ", ".join(f"{n} {m:.3f} sd {s:.3f}" for n, (m, s) in zip(LEARNED, learned, strict=True)),
    )
    print("\n" + olmo().round(2).to_string(index=False))


if __name__ == "__main__":
    main()
