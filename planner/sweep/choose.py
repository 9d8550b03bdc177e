"""Which runs of a pool to do next, so that the runs beyond it are foretold best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from planner.errors import InputError
from planner.fitting.recipe import Recipe, default_recipe
from planner.laws.centre import Array
from planner.laws.law import Law
from planner.runs.sample import Sample
from planner.sweep.design.belief import Belief
from planner.sweep.design.bundles import Bundles
from planner.sweep.design.polytope import Polytope
from planner.sweep.design.problem import Problem, build
from planner.sweep.pool.belief import DRAWS, known_of
from planner.sweep.pool.candidates import Candidates
from planner.sweep.pool.picking import in_order, picked

NOISE = 0.003  # sd between seeds, of ln loss (of the value for a law that is not fitted in logs): public replicates, .2-.4 %
# sd of a law's own error at a run, per nat of compute between it and the targets: what replicates cannot buy down. Set on the
# pools that tests/benchmarks/pools.py names as tuned on.
MODEL_ERROR = 1e-3
NEAREST = 0.5  # nats: no run is taken for nearer to the targets
SAME_CELL = 0.02  # of the logarithm of a count, rounded: runs as near are replicates


@dataclass(frozen=True)
class Choice:
    """The runs to do next, `run_ids` in the order in which they tell most for their cost, `costs` and `sds` beside them.

    An sd is that of the law at the targets (root mean square over targets; of ln loss, or of the value of a law that is not
    fitted in logs): `sd_before` any of these runs, `sds` after each, `expected_sd` after all. `planned_sd` is expected once the
    whole budget is spent as it would be now; without a batch it is `expected_sd`. `certificate` bounds how far, relatively, the
    variance of the whole choice lies above the best that fractions of runs reach (general equivalence theorem, Kiefer and
    Wolfowitz 1960). `spent_fraction` is of the budget, None without one; `unit` names what `cost` counts, `belief` says what the
    choice was made from.
    """

    run_ids: tuple[str, ...]
    costs: tuple[float, ...]
    sds: tuple[float, ...]
    sd_before: float
    planned_sd: float
    certificate: float
    spent_fraction: float | None
    unit: str
    law: str
    belief: str
    n_candidates: int

    @property
    def expected_sd(self) -> float:
        """After all runs."""
        return self.sds[-1]

    @property
    def cost(self) -> float:
        """Of all runs, in the pool's unit."""
        return float(sum(self.costs))


def choose(
    pool: Candidates,
    targets: Mapping[str, ArrayLike],
    *,
    recipe: Recipe | None = None,
    observed: Sample | None = None,
    budget: float | None = None,
    n: int | None = None,
    batch: float | None = None,
    seed: int = 0,
    model_error: float = MODEL_ERROR,
    noise: float = NOISE,
) -> Choice:
    """The candidates, each once at most, after which `recipe`'s law is known best at `targets` (raw columns by name, `(t,)`).

    `budget` in the unit of the pool's cost is filled; `n` is the largest number of runs (alone: the runs that tell most, whatever
    they cost). Within `batch`, a part of the budget, only the runs of the whole plan that should be done first are returned.
    `observed` runs are fitted by the recipe itself; with none, or too few, a weak prior stands in. A run's variance is noise^2 and,
    once per cell, (model_error x nats of compute to the targets)^2, so that a replicate is chosen only where it tells more than a
    neighbour. `seed` is the order in which exchanges are tried. Raises InputError for what cannot be chosen from or paid.
    """
    recipe = recipe or default_recipe()
    done = set() if observed is None or "run_id" not in observed.extra else set(map(str, observed.extra["run_id"]))
    pool = pool.without(done)
    room = _room(pool, budget, n, batch)
    problem, law, belief = pool_problem(pool, targets, recipe, observed, model_error=model_error, noise=noise)
    whole, bound = picked(problem, room, seed=seed)
    found = problem.at(whole).variance
    now = whole if batch is None else _first(problem, room, whole, batch, seed)
    order = in_order(problem, now)
    return Choice(
        tuple(pool.run_ids[one] for one in order), tuple(float(pool.cost[one]) for one in order),
        _sds(problem, order), float(np.sqrt(problem.at(np.zeros(now.size)).variance)), float(np.sqrt(found)),
        max(found / max(bound, np.finfo(float).tiny) - 1, 0.0),
        None if budget is None else float(pool.cost @ now) / (batch or budget), pool.unit, law.name, belief, now.size,
    )  # fmt: skip


def pool_problem(
    pool: Candidates,
    targets: Mapping[str, ArrayLike],
    recipe: Recipe,
    observed: Sample | None = None,
    *,
    model_error: float = MODEL_ERROR,
    noise: float = NOISE,
    draws: int = DRAWS,
) -> tuple[Problem, type[Law], str]:
    """The design problem of a pool: what is believed of the law, what the observed runs hold, what each candidate would tell."""
    law = recipe.law
    aims, own = _targets(law, targets), _columns(pool.name, pool.columns, law.variables)
    seen = [] if observed is None else observed.columns(law.variables)
    both = [np.append(mine, theirs) for mine, theirs in zip(own, seen or [np.empty(0)] * len(own), strict=True)]
    known = known_of(recipe, observed, both, [aims[name] for name in law.variables], draws=draws)
    cell, first = _cells(both)
    of_pool, of_seen = cell[: pool.cost.size], cell[pool.cost.size :]
    told = 1.0 if observed is None or observed.weight is None else observed.weight
    base = np.bincount(of_seen, told * np.ones(of_seen.size), first.size) / noise**2
    precision = np.full((pool.cost.size, 1, 1), noise**-2.0)
    apart = _nats(law, both, aims, pool, observed)
    problem = build(
        known.belief, [column[first] for column in both], (_Values([aims[name] for name in law.variables]),),
        Bundles(of_pool[:, None], pool.cost, precision), floor=model_error * apart[first], base=base, budget=1.0,
    )  # fmt: skip
    return problem, law, known.sentence


@dataclass(frozen=True)
class _Values:
    """What the law says at targets, raw columns `(t,)` each: the goal is their mean variance."""

    at: Sequence[Array]
    weight: float = 1.0

    def columns(self, belief: Belief) -> Array:
        """Slopes `(K, p, q)`, gathered into p columns with the same sum of squares where there are more targets."""
        G = belief.gradient(*self.at).transpose(0, 2, 1) / np.sqrt(self.at[0].size)
        if G.shape[2] <= G.shape[1]:
            return np.asarray(G)
        values, vectors = np.linalg.eigh(np.matmul(G, G.transpose(0, 2, 1)))
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None])


def _targets(law: type[Law], targets: Mapping[str, ArrayLike]) -> dict[str, Array]:
    given = {name: np.atleast_1d(np.asarray(values, float)) for name, values in targets.items()}
    if {"params", "tokens"} <= set(given):
        given.setdefault("flops", 6 * given["params"] * given["tokens"])
    _columns("targets", given, law.variables)
    return given


def _columns(what: str, columns: Mapping[str, Array], names: Sequence[str]) -> list[Array]:
    missing = [name for name in names if name not in columns]
    if missing:
        raise InputError(
            f"{what}: no {', '.join(missing)}, of which the law speaks", f"there is {', '.join(columns) or 'nothing'}"
        )
    for name in names:
        if columns[name].size == 0 or not np.isfinite(columns[name]).all():
            raise InputError(f"{what}: {name} is missing or no number", "give one number per run")
    return [np.asarray(columns[name], float) for name in names]


def _cells(columns: Sequence[Array]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The cell of each run `(m,)`, and a run of each cell: those with the same values, but for whole steps, are one."""
    rounded = [np.round(np.log(column) / SAME_CELL) if (column > 0).all() else column for column in columns]
    _, first, cell = np.unique(np.stack(rounded), axis=1, return_index=True, return_inverse=True)
    return cell.ravel().astype(np.intp), first.astype(np.intp)


def _nats(
    law: type[Law], columns: Sequence[Array], targets: Mapping[str, Array], pool: Candidates, observed: Sample | None
) -> Array:
    """Nats of compute between each run and the targets' mean, `(m,)`; of the law's own variables where no compute is known."""
    if "flops" in pool.columns and "flops" in targets:
        seen = np.empty(0) if observed is None else observed.named["flops"]
        steps = [(np.append(pool.columns["flops"], seen), targets["flops"])]
    else:
        steps = [(column, targets[name]) for name, column in zip(law.variables, columns, strict=True)]
    logs = [(np.log(here), np.log(there).mean()) for here, there in steps if (here > 0).all() and (there > 0).all()]
    apart = np.sqrt(sum(((here - there) ** 2 for here, there in logs), np.zeros(columns[0].size)))
    return np.asarray(np.maximum(apart, NEAREST))


def _room(pool: Candidates, budget: float | None, n: int | None, batch: float | None) -> Polytope:
    """Candidates that can be paid, each at most once."""
    if budget is None and n is None:
        raise InputError("neither a budget nor a number of runs", "say how much may be spent, or how many runs")
    if n is not None and not 1 <= n <= pool.cost.size:
        raise InputError(
            f"{n} runs of a pool of {pool.cost.size} candidates", f"ask for 1 to {pool.cost.size}"
        )  # fmt: skip
    spare = float(pool.cost.sum()) if budget is None else budget
    for what, amount in (("a budget", spare), ("a batch", spare if batch is None else batch)):
        if not (np.isfinite(amount) and amount >= pool.cost.min()):
            raise InputError(
                f"{what} of {amount:.4g} {pool.unit} affords none of {pool.cost.size} candidates",
                f"the cheapest costs {pool.cost.min():.4g}",
            )
    if batch is not None and (budget is None or batch > budget):
        raise InputError(f"a batch of {batch:.4g} is no part of the budget", "give a budget, and a batch below it")
    upper = (pool.cost <= spare * (1 + 1e-12)).astype(float)
    most = np.inf if n is None else float(n)
    return Polytope.of(
        pool.cost, spare, np.ones(upper.size, np.intp), most=most, lower=np.zeros(upper.size), upper=upper
    )


def _first(problem: Problem, room: Polytope, whole: Array, batch: float, seed: int) -> Array:
    """The runs of the plan `whole` to do within `batch`."""
    cost = problem.bundles.cost
    fits = (whole > 0) & (cost <= batch)
    if not fits.any():
        fits = cost <= batch
    part = Polytope(room.rows, np.append(batch, room.bounds[1:]), room.lower, fits.astype(float))
    return picked(problem, part, seed=seed)[0]


def _sds(problem: Problem, order: NDArray[np.intp]) -> tuple[float, ...]:
    copies, found = np.zeros(problem.bundles.cost.size), []
    for one in order:
        copies[one] = 1.0
        found.append(float(np.sqrt(problem.at(copies).variance)))
    return tuple(found)
