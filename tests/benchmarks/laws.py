"""How long does the global fit of each law take on 500 rows, from nothing? Target: 200 ms for laws of ten letters or fewer.

    OMP_NUM_THREADS=1 python tests/benchmarks/laws.py

Rows are drawn from each law's own example design with .3 % noise (of the logarithm, or of the value for shares); least
squares, so that no scale is iterated. Median of three seeds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from truths import TRUTHS

from planner.fitting.objective import LeastSquares
from planner.fitting.solve import solve
from planner.laws import Chinchilla, Coupled
from planner.laws.law import Law
from planner.laws.published import PUBLISHED

ROWS, NOISE, SEEDS, LIMIT = 500, 0.003, 3, 0.2


def example(law: type[Law]) -> tuple[Law, list[np.ndarray]]:
    """A law of typical letters and the columns of its design."""
    if law in (Chinchilla, Coupled):
        params, tokens = np.meshgrid(np.geomspace(1e8, 7e9, 8), np.geomspace(2e9, 1e12, 8))
        return TRUTHS["besiroglu" if law is Chinchilla else "coupled"], [params.ravel(), tokens.ravel()]
    return law(**law.example.letters), [law.example.columns[name] for name in law.variables]


def seconds(law: type[Law], seed: int) -> tuple[float, float]:
    """Of one fit; and how far its sum of squares is above that at the true letters (1: no better)."""
    truth, design = example(law)
    rng = np.random.default_rng(seed)
    pick = rng.integers(0, design[0].size, ROWS)
    columns = [column[pick] for column in design]
    noise, clean = NOISE * rng.normal(size=ROWS), np.asarray(truth(*columns))
    loss = clean * np.exp(noise) if law.link == "log" else clean + noise
    start = time.perf_counter()
    found = solve(law, columns, loss, objective=LeastSquares())
    return time.perf_counter() - start, found.value / (0.5 * float((noise**2).sum()))


def main() -> None:
    """One line per law, slowest first."""
    rows = []
    for law in (Chinchilla, Coupled, *PUBLISHED):
        found = [seconds(law, seed) for seed in range(SEEDS)]
        rows.append((float(np.median([each[0] for each in found])), max(each[1] for each in found), law))
    for took, worst, law in sorted(rows, key=lambda row: -row[0]):
        said = "met" if took <= LIMIT else "MISSED" if len(law.letters) <= 10 else "more than ten letters"
        print(
            f"{law.name:<26} {len(law.letters):>2} letters {1e3 * took:7.1f} ms  objective {worst:.3f} of the truth's  {said}"
        )


if __name__ == "__main__":
    main()
