"""Does it help to let the laws' disagreement widen a forecast? Each source foretold with nothing learned from it.

    OMP_NUM_THREADS=1 python tests/benchmarks/across_laws.py

The folds, the prior learned elsewhere and the scores are those of intervals.py. On the runs of each fold the rivals are
ranked as `planner fit --law auto` ranks them, and every rule widens the same forecast by what they say. Last, the share
of each rule that does best on the other sources.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.intervals import LEVEL, ROWS, learn, recipe_with
from benchmarks.public_sweeps import Fold, Series, all_series, folds_of

from planner.fitting.estimate import estimate, t_quantile
from planner.fitting.finding import FURTHER
from planner.fitting.interval import normal_draws
from planner.fitting.panel import Rival, competitive, disagreement, judge_choice, panel
from planner.fitting.recipe import Recipe

OWN = "coupled"
NATS = math.log(FURTHER)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Told:
    """One fold: `error`, `sd` and nats `beyond` the runs seen `(m,)`, the sd at 10x the compute, whether the choice warns."""

    fold: Fold
    error: np.ndarray
    sd: np.ndarray
    beyond: np.ndarray
    noise: float
    t: float
    sd_ahead: float
    warns: bool
    rivals: tuple[Rival, ...]

    @property
    def furthest(self) -> float:
        """How far a law of as good a record lies from the own law at 10x the compute, of ln loss."""
        mine = next((rival.loss for rival in self.rivals if rival.law == OWN), None)
        others = [rival.loss for rival in competitive(self.rivals) if rival.loss]
        return max((abs(math.log(loss / mine)) for loss in others), default=0.0) if mine else 0.0


def told_by(fold: Fold, recipe: Recipe) -> Told:
    """The forecast of a fold's hidden runs, and what the rivals say."""
    fitted = estimate(fold.training, recipe)
    law, centre = fitted.solution.law, fitted.solution.centre
    predicted, sd = fitted.predict(fold.hidden.params, fold.hidden.tokens)
    flops = FURTHER * float(fold.training.flops.max())
    best = law.optimum(flops)
    ahead = float(fitted.predict(np.array([best.params]), np.array([best.tokens]))[1][0])
    draws = normal_draws(fitted, recipe.law, 200, 0)
    sizes = np.array([recipe.law.from_theta(draw, centre).optimum(flops).params for draw in draws])
    low, high = np.quantile(sizes, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    rivals = panel(fold.training, recipe, fitted)
    return Told(
        fold, predicted - np.log(fold.hidden.loss), sd, np.maximum(np.log(fold.hidden.flops) - fitted.frontier, 0),
        fitted.noise, t_quantile(LEVEL, fitted.df), ahead, bool(judge_choice(rivals, OWN, (float(low), float(high)))), rivals,
    )  # fmt: skip


def excess(told: Told) -> float:
    """What the disagreement exceeds the forecast's own sd by."""
    return math.sqrt(max(0.0, (disagreement(told.rivals, OWN) * NATS) ** 2 - told.sd_ahead**2)) / NATS


def reach(told: Told) -> float:
    """Just enough that the interval of the mean reaches the furthest law of as good a record."""
    return math.sqrt(max(0.0, (told.furthest / told.t) ** 2 - told.sd_ahead**2)) / NATS


RULES: dict[str, Callable[[Told], float]] = {
    "never": lambda told: 0.0,
    "reach, where law-choice warns (default)": lambda told: reach(told) if told.warns else 0.0,
    "reach, always": reach,
    "excess, where law-choice warns": lambda told: excess(told) if told.warns else 0.0,
    "excess, always": excess,
    "all of it (--across-laws)": lambda told: disagreement(told.rivals, OWN),
}


def of_source(series: list[Series], source: str) -> list[Told]:
    """Every fold of one source, with the prior that the other sources give."""
    recipe = recipe_with(learn([one for one in series if one.source != source]))
    return [told_by(fold, recipe) for one in series if one.source == source for fold in folds_of(one)]


def scored(told: Told, name: str, share: float) -> dict[str, object]:
    """One fold under a share of one rule; the interval score as in intervals.py."""
    drift = share * RULES[name](told)
    half = told.t * np.sqrt(told.sd**2 + told.noise**2 + (drift * told.beyond) ** 2)
    missed = np.maximum(np.abs(told.error) - half, 0)
    return {
        "rule": name, "share": share, "source": told.fold.source, "kappa": told.fold.kappa, "widened": drift > 0,
        "coverage": float((missed == 0).mean()), "score": float(np.mean(2 * half + 2 / (1 - LEVEL) * missed)),
    }  # fmt: skip


def best_elsewhere(table: pd.DataFrame) -> pd.Series:
    """By rule and source: the share that scores best on the other sources, relative to no widening."""
    means = table.groupby(["rule", "share", "kappa", "source"])["score"].mean().unstack("share")
    relative = means.div(means[0.0], axis=0).reset_index("source")
    sources = relative["source"].unique()
    found = {
        source: relative[relative["source"] != source].drop(columns="source").groupby("rule").mean().idxmin(axis=1)
        for source in sources
    }
    return pd.concat(found, axis=1)


def main() -> None:
    """The tables."""
    for strict in (False, True):
        series = all_series(strict=strict)
        with ProcessPoolExecutor(2) as pool:
            sources = list(dict.fromkeys(one.source for one in series))
            folds = [told for part in pool.map(partial(of_source, series), sources) for told in part]
        table = pd.DataFrame([scored(told, name, share) for told in folds for name in RULES for share in SHARES])
        whole = table[table["share"] == 1.0]
        by_source = whole.groupby(["rule", "kappa", "source"], sort=False)[["coverage", "score", "widened"]].mean()
        print(ROWS[strict], end="\n\n")
        print(by_source.groupby(["rule", "kappa"], sort=False).mean().unstack().round(3).to_string(), end="\n\n")
        print("share that does best on the other sources\n" + best_elsewhere(table).to_string(), end="\n\n")


if __name__ == "__main__":
    main()
