"""Real sweeps of seven sources, and the folds on which forecasts are judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from truths import SHARED

from planner.runs.columns import Count
from planner.runs.sample import Sample

DATA = SHARED / "data"
RECORDED = Path(__file__).parents[2] / "results" / "tiny_lm" / "runs.csv"
KAPPAS = (3, 10, 30)  # compute of the hidden runs over the largest compute seen, to three times that
FEWEST = 9  # runs to fit
APART = 0.35  # decades of compute between the ends of two training sets of a series
EDGE = 1.5  # hidden runs lie within this factor of the tokens per parameter seen


@dataclass(frozen=True)
class Series:
    """One sweep of one source."""

    source: str
    name: str
    runs: Sample


@dataclass(frozen=True)
class Fold:
    """Runs to fit, and larger ones to foretell at `kappa` times their compute."""

    source: str
    name: str
    kappa: int
    training: Sample
    hidden: Sample


def sample_from(frame: pd.DataFrame, loss: str = "loss") -> Sample:
    """Runs in order of compute."""
    params, tokens, losses = (frame[column].to_numpy(float) for column in ("params", "tokens", loss))
    order = np.argsort(params * tokens, kind="stable")
    return Sample(params[order], tokens[order], losses[order], Count.PARAMS, "", "nats_per_token", {}, ())


def all_series(*, strict: bool = False) -> list[Series]:
    """Eleven sweeps of seven sources, rows that their publishers flag as outliers left out.

    `strict` keeps what SCIENCE.md 4.1 kept: at least 4 tokens per parameter, 1e18 FLOPs, loss below 5.
    """
    tables = []
    epoch = pd.read_csv(DATA / "chinchilla_epoch.csv")
    tables.append(("chinchilla", "chinchilla", epoch[epoch["epoch_included"]]))
    tables += [("gadre", f"gadre {g}", part) for g, part in pd.read_csv(DATA / "gadre2024.csv").groupby("group")]
    olmo = pd.read_csv(DATA / "olmo_ladder_final.csv")
    tables.append(("olmo", "olmo ladder", olmo[olmo["split"].notna()]))
    grid = pd.read_csv(DATA / "steplaw_dense.csv")
    tables.append(("steplaw", "steplaw minima", grid[grid["best_in_cell"]]))
    tables.append(("llama3", "llama3", _unflagged(pd.read_csv(DATA / "llama3_isoflop.csv"))))
    marin = pd.read_csv(DATA / "marin_isoflop.csv")
    tables += [("marin", f"marin {group}", _unflagged(part)) for group, part in marin.groupby("group")]
    tables.append(("misfitting", "misfitting", _unflagged(pd.read_csv(DATA / "misfitting_isoflop.csv"))))
    series = [Series(source, name, sample_from(frame)) for source, name, frame in tables]
    return [Series(one.source, one.name, _strict(one.runs)) for one in series] if strict else series


def recorded_series() -> Series:
    """The planner's own byte-level study (results/tiny_lm): baseline runs of its grid, replicates and held-out runs.

    Nothing of the default recipe was chosen with it.
    """
    frame = pd.read_csv(RECORDED)
    kept = frame["kind"].isin(["scaling", "replicates", "holdout"]) & (frame["variant"] == "baseline")
    kept &= frame["status"] == "completed"
    return Series("tiny_lm", "tiny_lm", sample_from(frame[kept].assign(params=frame["params_active"])))


def _unflagged(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["oa_outlier"].astype(str).str.lower() != "true"]


def _strict(runs: Sample) -> Sample:
    return runs.at((runs.tokens / runs.params >= 4) & (runs.flops >= 1e18) & (runs.loss < 5))


def folds_of(series: Series) -> list[Fold]:
    """Every half-decade of compute as the end of what is seen; the hidden runs at 3-9x, 10-30x and 30-90x of it."""
    runs, folds = series.runs, []
    ratio = runs.tokens / runs.params
    for kappa in KAPPAS:
        last = -np.inf
        for end in np.unique(np.round(np.log10(runs.flops), 2)):
            seen = runs.flops <= 1.01 * 10**end
            if seen.sum() < FEWEST or end - last < APART:
                continue
            low, high = np.quantile(ratio[seen], [0.02, 0.98])
            hidden = (runs.flops >= kappa * 10**end) & (runs.flops <= 3 * kappa * 10**end)
            hidden &= (ratio > low / EDGE) & (ratio < high * EDGE)
            if hidden.sum() >= 2:
                last = end
                folds.append(Fold(series.source, series.name, kappa, runs.at(seen), runs.at(hidden)))
    return folds
