"""Real runs, bought a few at a time: does the planner's choice foretell the runs beyond the pool better than its rivals?

    python tests/benchmarks/pools.py [seeds] [pool ...]

Pools of finished runs; targets are all runs of the same sweep with more compute. A seed leaves out a random fifth of the pool
(and orders the random rival). 1, 5, 10 or 20 % of what is left, in compute, is spent in three batches (to 20, 50 and 100 % of the
budget) from no observations; after each the default recipe is fitted to the losses that came back. Rivals buy under the same
protocol and are judged by the same fit: `random` and `cheapest` fill the budget; `D-optimal` adds the run that raises ln det of
the information most per cost; `V-optimal` lowers the variance at the targets with the planner's own optimiser, about the fitted
law alone and without model error. The score is the root mean square over targets of predicted ln loss - ln loss, averaged over
seeds. The model error (of 3e-4, 1e-3, 3e-3, 1e-2) and the rule that sets candidates of few tokens per parameter aside were set on
the pools marked tuned, and nothing on the others; none of those has a run that the rule sets aside. Rivals do not have the rule.
Seeds in which a budget pays for no candidate are left out, and the row where they are most; that is said.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.public_sweeps import DATA, sample_from

from planner.fitting.estimate import estimate
from planner.fitting.recipe import default_recipe
from planner.runs.sample import Sample
from planner.sweep.choose import choose
from planner.sweep.design.polytope import Polytope
from planner.sweep.pool.candidates import Candidates
from planner.sweep.pool.picking import picked
from planner.sweep.pool.problem import pool_problem

BUDGETS = (0.01, 0.05, 0.1, 0.2)
BATCHES = (0.2, 0.5, 1.0)
KEPT = 0.8  # of the pool, by seed
WORSE = 1.1  # times a rival's error
TUNED = ("step law", "chinchilla", "gadre rpj", "marin comma", "marin dclm", "marin nemotron", "misfitting", "llama 3")
RECIPE = default_recipe()

Chooser = Callable[[Sample, Sample, list[int], float, np.random.Generator], list[int]]


@dataclass(frozen=True)
class Cut:
    """A pool and the runs beyond it."""

    name: str
    pool: Sample
    targets: Sample


def cuts() -> list[Cut]:
    """Twelve pools of seven sources."""
    grid, epoch = pd.read_csv(DATA / "steplaw_dense.csv"), pd.read_csv(DATA / "chinchilla_epoch.csv")
    olmo, llama = pd.read_csv(DATA / "olmo_ladder_final.csv"), pd.read_csv(DATA / "llama3_isoflop.csv")
    marin, misfit = pd.read_csv(DATA / "marin_isoflop.csv"), pd.read_csv(DATA / "misfitting_isoflop.csv")
    frames = [
        ("step law", grid[grid["best_in_cell"]], 1.1e20),
        ("chinchilla", epoch[epoch["epoch_included"]], 1e21),
        *((f"gadre {name}", part, 5e19) for name, part in pd.read_csv(DATA / "gadre2024.csv").groupby("group")),
        ("olmo ladder", olmo[olmo["split"].notna()], 1e21),
        *((f"marin {name}", part, 6e19) for name, part in _sound(marin).groupby("group")),
        ("misfitting", _sound(misfit), 0.7),
        ("llama 3", _sound(llama), 0.6),
    ]
    return [_cut(name, sample_from(frame), edge) for name, frame, edge in frames]


def _cut(name: str, runs: Sample, edge: float) -> Cut:
    """The pool up to `edge` FLOPs, or up to that quantile."""
    edge = float(np.quantile(runs.flops, edge)) if edge < 1 else edge
    return Cut(name, runs.at(runs.flops <= edge), runs.at(runs.flops > edge))


def _sound(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["oa_outlier"].astype(str).str.lower() != "true"]


def _filled(order: np.ndarray, cost: np.ndarray, got: list[int], left: float) -> list[int]:
    new = []
    for one in order:
        if one not in got and cost[one] <= left * (1 + 1e-9):
            new.append(int(one))
            left -= cost[one]
    return new


def by_chance(pool: Sample, targets: Sample, got: list[int], left: float, rng: np.random.Generator) -> list[int]:
    """Whatever comes, while it fits."""
    return _filled(rng.permutation(pool.loss.size), pool.flops, got, left)


def cheapest(pool: Sample, targets: Sample, got: list[int], left: float, rng: np.random.Generator) -> list[int]:
    """As many runs as can be had."""
    return _filled(np.argsort(pool.flops, kind="stable"), pool.flops, got, left)


def _candidates(pool: Sample, got: list[int]) -> tuple[Candidates, Sample | None]:
    rest = np.array([one for one in range(pool.loss.size) if one not in got])
    left = pool.at(np.isin(np.arange(pool.loss.size), rest))
    columns = {"params": left.params, "tokens": left.tokens, "flops": left.flops}
    seen = pool.at(np.isin(np.arange(pool.loss.size), got)) if got else None
    return Candidates(tuple(map(str, rest)), columns, left.flops, "flops"), seen


def _aims(targets: Sample) -> dict[str, np.ndarray]:
    return {"params": targets.params, "tokens": targets.tokens}


def planners(pool: Sample, targets: Sample, got: list[int], left: float, rng: np.random.Generator) -> list[int]:
    """What `planner choose` says."""
    candidates, seen = _candidates(pool, got)
    made = choose(
        candidates, _aims(targets), recipe=RECIPE, observed=seen, budget=left, seed=int(rng.integers(1 << 31))
    )
    return [int(run_id) for run_id in made.run_ids]


def v_optimal(pool: Sample, targets: Sample, got: list[int], left: float, rng: np.random.Generator) -> list[int]:
    """Least variance at the targets if the fitted law were exact."""
    candidates, seen = _candidates(pool, got)
    problem = pool_problem(candidates, _aims(targets), RECIPE, seen, model_error=0.0, draws=1).problem
    whole, _ = picked(problem, _room(candidates, left), seed=int(rng.integers(1 << 31)))
    return [int(candidates.run_ids[one]) for one in np.flatnonzero(whole)]


def d_optimal(pool: Sample, targets: Sample, got: list[int], left: float, rng: np.random.Generator) -> list[int]:
    """The letters known best, one run after the other by what it tells per cost."""
    candidates, seen = _candidates(pool, got)
    problem = pool_problem(candidates, _aims(targets), RECIPE, seen, model_error=0.0, draws=1).problem
    cells, told = problem.bundles.cells[:, 0], problem.bundles.precision[:, 0, 0]
    J = problem.J[0]
    information, new = problem.prior + (J.T * problem.base) @ J, []
    while can := [one for one in range(cells.size) if one not in new and candidates.cost[one] <= left]:
        rows = J[cells[can]]
        gain = np.log1p(told[can] * (rows @ np.linalg.inv(information) * rows).sum(1)) / candidates.cost[can]
        best = can[int(np.argmax(gain))]
        new.append(best)
        left -= candidates.cost[best]
        information = information + told[best] * np.outer(J[cells[best]], J[cells[best]])
    return [int(candidates.run_ids[one]) for one in new]


def _room(candidates: Candidates, budget: float) -> Polytope:
    upper = (candidates.cost <= budget).astype(float)
    runs = np.ones(upper.size, np.intp)
    return Polytope.of(candidates.cost, budget, runs, most=np.inf, lower=np.zeros(upper.size), upper=upper)


CHOOSERS: dict[str, Chooser] = {
    "planner": planners, "random": by_chance, "cheapest": cheapest, "D-optimal": d_optimal, "V-optimal": v_optimal,
}  # fmt: skip


def bought(pool: Sample, targets: Sample, chooser: Chooser, fraction: float, seed: int) -> list[int]:
    """The runs that a chooser buys in three batches; none where none can be paid."""
    budget, got, rng = fraction * float(pool.flops.sum()), [], np.random.default_rng(seed)
    for share in BATCHES:
        left = share * budget - float(pool.flops[got].sum())
        rest = np.setdiff1d(np.arange(pool.loss.size), got)
        if rest.size and pool.flops[rest].min() <= left:
            got = got + chooser(pool, targets, got, left, rng)
    return got


def error(cut: Cut, chooser: str, fraction: float, seed: int) -> float:
    """Root mean square error of ln loss at the targets; NaN where nothing can be bought."""
    pool = cut.pool.at(np.random.default_rng(1000 + seed).random(cut.pool.loss.size) < KEPT)
    got = bought(pool, cut.targets, CHOOSERS[chooser], fraction, seed)
    if not got:
        return np.nan
    fitted = estimate(pool.at(np.isin(np.arange(pool.loss.size), got)), RECIPE)
    off = fitted.predict(cut.targets.params, cut.targets.tokens)[0] - np.log(cut.targets.loss)
    return float(np.sqrt(np.mean(off**2)))


def row(job: tuple[Cut, float, int]) -> dict[str, np.ndarray]:
    """Errors of every chooser at one budget of one pool, by seed."""
    cut, fraction, seeds = job
    return {name: np.array([error(cut, name, fraction, seed) for seed in range(seeds)]) for name in CHOOSERS}


def main() -> None:
    """The table, then what it says of the targets."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    wanted = sys.argv[2:]
    jobs = [(cut, fraction, seeds) for cut in cuts() if not wanted or cut.name in wanted for fraction in BUDGETS]
    means: dict[tuple[str, float], dict[str, float]] = {}
    print(f"mean over {seeds} seeds of the error of ln loss at the targets, %; * pools that were tuned on")
    print(f"{'pool':18s} budget " + " ".join(f"{name:>10s}" for name in CHOOSERS))
    with ProcessPoolExecutor(2) as workers:
        for (cut, fraction, _), found in zip(jobs, workers.map(row, jobs), strict=True):
            paid = np.isfinite(np.array(list(found.values()))).all(0)
            if paid.mean() < 0.5:
                print(f"{cut.name:18s} {fraction:5.0%}   left out: it affords no run in most seeds", flush=True)
                continue
            means[cut.name, fraction] = {name: float(errors[paid].mean()) for name, errors in found.items()}
            star = "*" if cut.name in TUNED else " "
            cells = " ".join(f"{100 * value:10.2f}" for value in means[cut.name, fraction].values())
            few = "" if paid.all() else f"  ({paid.sum()} seeds that can pay a run)"
            print(f"{cut.name + star:18s} {fraction:5.0%}  {cells}{few}", flush=True)
    for title, kept in (("all pools", lambda name: True), ("pools not tuned on", lambda name: name not in TUNED),
                        ("pools tuned on", lambda name: name in TUNED)):  # fmt: skip
        summary(title, {key: value for key, value in means.items() if kept(key[0])})


def summary(title: str, means: dict[tuple[str, float], dict[str, float]]) -> None:
    """Against each rival: the average errors, the geometric mean of the ratio, and where the planner is more than 10 % worse."""
    if not means:
        return
    table = pd.DataFrame(means).T
    print(f"{title}: {len(table)} rows; mean error of the planner {100 * table['planner'].mean():.2f} %")
    for rival in table.columns.drop("planner"):
        ratio = table["planner"] / table[rival]
        worse = [f"{name} {fraction:.0%} ({value:.2f})" for (name, fraction), value in ratio[ratio > WORSE].items()]
        print(
            f"  {rival:10s} {100 * table[rival].mean():5.2f} %; ratio {np.exp(np.log(ratio).mean()):.2f} (geometric mean), "
            f"lower in {int((ratio < 1).sum())} of {len(ratio)}; more than 10 % worse: {', '.join(worse) or 'nowhere'}"
        )


if __name__ == "__main__":
    main()
