"""How fast a formula is beside the built-in law, and how long and how surely it is fitted from scratch.

    OMP_NUM_THREADS=1 python tests/benchmarks/formula.py

Times of an evaluation are the best of several rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "laws/formula"))
from worlds_of_formulas import WORLDS, fitted, recovered

from planner.laws import Chinchilla
from planner.laws.centre import Centre
from planner.laws.formula import make_law

RUNS, TRUTHS, ROWS = 240, 30, 500


def best_of(call: Callable[[], object], *, rounds: int = 9, seconds: float = 0.02) -> float:
    """Microseconds of a call."""
    call()
    start = time.perf_counter()
    call()
    repeats = max(1, int(seconds / (time.perf_counter() - start)))
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        times.append((time.perf_counter() - start) / repeats)
    return 1e6 * min(times)


def ratio(S: int) -> str:
    """One evaluation with Hessian, by formula and built in, at S thetas."""
    rng = np.random.default_rng(0)
    N, D = np.exp(rng.uniform(17, 23, RUNS)), np.exp(rng.uniform(21, 26, RUNS))
    centre = Centre.of(N, D)
    law = make_law("E + A/params^alpha + B/tokens^beta", ["params", "tokens"], positive=["E", "A", "B"])
    published = Chinchilla.published[0].values
    truth = law(**published)
    thetas = truth.theta() + 0.02 * rng.normal(size=(S, 5))
    places = [law.letters.index(letter) for letter in Chinchilla.letters]
    centred = thetas[:, places] @ np.linalg.inv(Chinchilla.letter_forms(centre)).T
    raw, logs = law.inputs(None, N, D), Chinchilla.inputs(centre, N, D)
    outer, inner = rng.normal(size=(2, S, RUNS))
    formula = best_of(lambda: law.expand(thetas, raw).hessian(outer, inner))
    built_in = best_of(lambda: Chinchilla.expand(centred, logs).hessian(outer, inner))
    return f"S = {S:3d}: formula {formula:6.0f} us, built in {built_in:6.0f} us, ratio {formula / built_in:.2f}"


def fits(name: str) -> str:
    """How many of some truths, drawn near the named one, are recovered, and the median and longest time."""
    world = WORLDS[name]
    outcomes, times = [], []
    for seed in range(TRUTHS):
        truth = world.near(seed)
        start = time.perf_counter()
        found, value = fitted(world, truth, ROWS, seed)
        times.append(1e3 * (time.perf_counter() - start))
        outcomes.append(recovered(found, truth) or value < 1e-20)
    return f"{sum(outcomes):3d} of {TRUTHS}, {np.median(times):4.0f} ms, at most {max(times):4.0f} ms   {world.formula}"


if __name__ == "__main__":
    print(f"expand and hessian, {RUNS} runs")
    print("\n".join(ratio(S) for S in (1, 64)))
    print(f"fits of {ROWS} noise-free rows from nothing: signs, starts and descent")
    for name in WORLDS:
        print(fits(name), flush=True)
