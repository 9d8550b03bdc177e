"""Everything that is claimed of the fitter, beside its targets and its peers, in one run of a few minutes.

OMP_NUM_THREADS=1 python tests/benchmarks/fitting.py            # needs ../shared/data for the real sweeps
OMP_NUM_THREADS=1 python tests/benchmarks/fitting.py --quick    # a tenth of the simulated sets
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import identifiability, intervals, solve_epoch, worlds
from truths import SHARED, TRUTHS

from planner.fitting.fit import fit
from planner.runs.columns import Count
from planner.runs.sample import Sample

ROWS = 100_000


def timed(work: Callable[[], object], repeats: int = 9) -> float:
    """Median seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def met(holds: bool) -> str:
    """The last word of a line."""
    return "met" if holds else "MISSED"


def many_rows() -> None:
    """A fit of 100,000 checkpoint rows with everything that `planner fit` does."""
    rng = np.random.default_rng(0)
    runs = np.repeat(np.arange(1000), ROWS // 1000)
    params = np.exp(rng.uniform(np.log(1e8), np.log(7e9), 1000))[runs]
    tokens = np.exp(rng.uniform(np.log(2e9), np.log(1e12), ROWS))
    loss = TRUTHS["coupled"](params, tokens) * np.exp(0.004 * rng.normal(size=ROWS))
    sample = Sample(
        params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, (), extra={"run_id": runs.astype(str)}
    )
    seconds = timed(lambda: fit(sample), 3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{ROWS:,} rows: {seconds:.2f} s (<= 2), the process at most {peak:.2f} GiB (<= 1): {met(seconds <= 2 and peak <= 1)}"
    )


def real_sweeps() -> None:
    """Coverage, interval score and error on sources left out; the OLMo ladder's targets."""
    for strict in (False, True):
        print(intervals.ROWS[strict])
        scored = intervals.summary(intervals.left_out(strict=strict))
        mine, rivals = scored.loc["default, learned elsewhere"], [scored.loc[name] for name in intervals.RIVALS]
        for kappa, limit in ((3, 0.008), (10, 0.015), (30, 0.022)):
            row, others = mine.loc[kappa], [rival.loc[kappa, "interval_score"] for rival in rivals]
            covered, score, error = row["coverage"], row["interval_score"], row["error"]
            print(f"  {kappa}x compute, {row['folds']:.0f} folds (means over sources; in brackets over folds)")
            told = f"    coverage {covered:.2f} ({row['coverage_folds']:.2f}; >= .85)"
            print(f"{told}: {met(min(covered, row['coverage_folds']) >= 0.85)}")
            told = f"    interval score {score:.3f} (additive {others[0]:.3f}, coupled {others[1]:.3f})"
            print(f"{told}: {met(score < min(others))}")
            told = f"    median error {error:.2%} ({row['error_folds']:.2%}; <= {limit:.1%})"
            print(f"{told}: {met(max(error, row['error_folds']) <= limit)}")
    olmo = intervals.olmo()
    own = olmo[olmo["recipe"] == "default as shipped"]
    errors = own[["7B-4T error %", "13B-5T error %"]].to_numpy().ravel()
    held = bool(own["inside"].all())
    told = f"OLMo ladder to 7B-4T and 13B-5T, 16 rows and 30: errors {', '.join(f'{error:+.2f} %' for error in errors)}"
    print(f"{told} (<= 2 %), {'all' if held else 'NOT all'} inside: {met(held and np.abs(errors).max() <= 2)}")


def simulated(sets: int) -> None:
    """Coverage of the default interval where the law is right, and the rivals'."""
    found = worlds.table(sets)
    own = found[found["recipe"] == "default"].set_index("world")["coverage"]
    print(found.pivot_table(index="recipe", columns="world", values="coverage", sort=False).round(3).to_string())
    held = {name: round(float(own[name]), 3) for name in "ABCDG"}
    print(
        f"default, 90 % at 100x the compute: {held} (.87-.97): {met(all(0.87 <= value <= 0.97 for value in held.values()))}"
    )


def main() -> None:
    """Every table, in the order of the README."""
    tenth = 10 if "--quick" in sys.argv else 1
    print("## Speed, and the optimum on simulated sets\n")
    solve_epoch.main(1000 // tenth)
    many_rows()
    print("\n## Identifiability, simulated\n")
    identifiability.main(1000 // tenth)
    print("\n## Simulated worlds\n")
    simulated(1000 // tenth)
    if SHARED.is_dir():
        print("\n## Real sweeps, each source predicted with nothing learned from it\n")
        real_sweeps()
        print()
        intervals.main()
    else:
        print("\nThe real sweeps of ../shared are not here: that part is left out.")


if __name__ == "__main__":
    main()
