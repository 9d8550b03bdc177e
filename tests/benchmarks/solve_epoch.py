"""How fast and how low: planner.solve beside scipy's L-BFGS-B on the same points, in one run.

    python tests/benchmarks/solve_epoch.py

The 240 Chinchilla points of Besiroglu et al. where ../shared is there, else 240 synthetic ones. The rival is the usual recipe:
L-BFGS-B in log-sum-exp form with an analytic gradient, uncentred, from a grid of starts.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from truths import SHARED, TRUTHS

import planner
from planner.fitting.objective import Huber, penalty, slope

DELTA, GRID_STARTS, TIMED_STARTS = 1e-3, 4500, 50


def points() -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Params, tokens, loss and what they are."""
    if SHARED.is_dir():
        frame = pd.read_csv(SHARED / "data/chinchilla_epoch.csv").query("epoch_included")
        return (
            frame["params"].to_numpy(float),
            frame["tokens"].to_numpy(float),
            frame["loss"].to_numpy(float),
            "Epoch, 240 points",
        )
    rng = np.random.default_rng(0)
    params, tokens = (
        np.exp(rng.uniform(np.log(6e7), np.log(1.6e10), 240)),
        np.exp(rng.uniform(np.log(1e9), np.log(3e11), 240)),
    )
    loss = TRUTHS["besiroglu"](params, tokens) * np.exp(0.005 * rng.normal(size=240))
    return params, tokens, loss, "synthetic, 240 points"


def rival(params: np.ndarray, tokens: np.ndarray, loss: np.ndarray) -> tuple[float, float]:
    """Seconds for the whole grid (extrapolated from 50 of its starts) and the best objective of those."""
    n, d, y = np.log(params), np.log(tokens), np.log(loss)

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        terms = np.stack([np.full_like(n, theta[0]), theta[1] - theta[3] * n, theta[2] - theta[4] * d])
        top = terms.max(0)
        f = top + np.log(np.exp(terms - top).sum(0))
        p = np.exp(terms - f)
        pulled = slope(y - f, DELTA)
        J = np.stack([p[0], p[1], p[2], -p[1] * n, -p[2] * d])
        return float(penalty(y - f, DELTA).sum()), -J @ pulled

    grid = list(
        itertools.product(
            [-1, -0.5, 0, 0.5, 1],
            [0, 5, 10, 15, 20, 25],
            [0, 5, 10, 15, 20, 25],
            [0, 0.5, 1, 1.5, 2],
            [0, 0.5, 1, 1.5, 2],
        )
    )
    chosen = [grid[i] for i in np.random.default_rng(0).choice(len(grid), TIMED_STARTS, replace=False)]
    start = time.perf_counter()
    best = min(minimize(objective, s, jac=True, method="L-BFGS-B").fun for s in chosen)
    return (time.perf_counter() - start) * GRID_STARTS / TIMED_STARTS, float(best)


def main() -> None:
    """Print both times, both objectives and the ratio."""
    params, tokens, loss, what = points()
    times = []
    for _ in range(9):
        start = time.perf_counter()
        found = planner.solve("chinchilla", (params, tokens), loss, objective=Huber(DELTA))
        times.append(time.perf_counter() - start)
    mine = float(np.median(times))
    theirs, best = rival(params, tokens, loss)
    print(f"{what}, Huber {DELTA:g} on ln loss, sum over runs")
    print(f"  planner.solve        {1e3 * mine:9.1f} ms  objective {found.value:.10f}   (limit 50 ms)")
    print(
        f"  scipy L-BFGS-B grid  {1e3 * theirs:9.0f} ms  objective {best:.10f}   ({GRID_STARTS} starts, timed on {TIMED_STARTS})"
    )
    print(
        f"  {theirs / mine:,.0f} x faster; objective {'not higher' if found.value <= best * (1 + 1e-9) else 'HIGHER'}"
    )


if __name__ == "__main__":
    main()
