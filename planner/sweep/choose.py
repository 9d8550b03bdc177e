"""Which runs of a pool to do next, so that the runs beyond it are foretold best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from planner.errors import InputError
from planner.fitting.recipe import Recipe, default_recipe
from planner.laws.centre import Array
from planner.runs.sample import Sample
from planner.sweep.design.polytope import Polytope
from planner.sweep.design.problem import Problem
from planner.sweep.pool.candidates import Candidates
from planner.sweep.pool.picking import in_order, picked
from planner.sweep.pool.problem import MODEL_ERROR, NOISE, pool_problem, targets_of, well_trained


@dataclass(frozen=True)
class Choice:
    """The runs to do next, `run_ids` in the order in which they tell most for their cost, `costs` and `sds` beside them.

    An sd is that of the law at the targets (root mean square over targets; of ln loss, or of the value of a law that is not
    fitted in logs): `sd_before` any of these runs, `sds` after each, `expected_sd` after all. `planned_sd` is expected once the
    whole budget is spent as it would be now; without a batch it is `expected_sd`. `certificate` bounds how far, relatively, the
    variance of the whole choice lies above the best that fractions of runs reach (general equivalence theorem, Kiefer and
    Wolfowitz 1960): with few runs that is mostly what cutting runs in parts would be worth;
    None where no bound above zero was found. `spent_fraction` is of the budget (of
    the batch), None without one; `unit` names what `cost` counts, `belief` says what the choice was made from. `n_set_aside`
    candidates were left out for their few tokens per parameter.
    """

    run_ids: tuple[str, ...]
    costs: tuple[float, ...]
    sds: tuple[float, ...]
    sd_before: float
    planned_sd: float
    certificate: float | None
    spent_fraction: float | None
    unit: str
    law: str
    belief: str
    n_candidates: int
    n_set_aside: int

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
    neighbour. Candidates with fewer than four tokens per parameter, and than any target, are set aside while others can be paid.
    `seed` is the order in which exchanges are tried. Raises InputError for what cannot be chosen from or paid.
    """
    recipe = recipe or default_recipe()
    done = set() if observed is None or "run_id" not in observed.extra else set(map(str, observed.extra["run_id"]))
    pool = pool.without(done)
    room = _room(pool, budget, n, batch)
    posed = pool_problem(pool, targets, recipe, observed, model_error=model_error, noise=noise)
    problem = posed.problem
    room, aside = _setting_aside(room, well_trained(pool, targets_of(recipe.law, targets)), n)
    whole, bound = picked(problem, room, seed=seed)
    found = problem.at(whole).variance
    now = whole if batch is None else _first(problem, room, whole, batch, seed)
    order = in_order(problem, now)
    return Choice(
        tuple(pool.run_ids[one] for one in order), tuple(float(pool.cost[one]) for one in order),
        _sds(problem, order), float(np.sqrt(problem.at(np.zeros(now.size)).variance)), float(np.sqrt(found)),
        max(found / bound - 1, 0.0) if bound > 0 else None,
        None if budget is None else float(pool.cost @ now) / (batch or budget), pool.unit, posed.law.name, posed.belief,
        now.size, aside,
    )  # fmt: skip


def _room(pool: Candidates, budget: float | None, n: int | None, batch: float | None) -> Polytope:
    """Candidates that can be paid, each at most once."""
    if budget is None and n is None:
        raise InputError("neither a budget nor a number of runs", "say how much may be spent, or how many runs")
    if n is not None and not 1 <= n <= pool.cost.size:
        raise InputError(f"{n} runs of a pool of {pool.cost.size} candidates", f"ask for 1 to {pool.cost.size}")
    if batch is not None and (budget is None or batch > budget):
        raise InputError(f"a batch of {batch:.4g} {pool.unit} is no part of a budget", "give a larger --budget with it")
    spare = float(pool.cost.sum()) if budget is None else budget
    for what, amount in (("a budget", spare), ("a batch", spare if batch is None else batch)):
        if not (np.isfinite(amount) and amount >= pool.cost.min()):
            raise InputError(
                f"{what} of {amount:.4g} {pool.unit} affords none of {pool.cost.size} candidates",
                f"the cheapest costs {pool.cost.min():.4g}",
            )
    upper = (pool.cost <= spare * (1 + 1e-12)).astype(float)
    runs, lower = np.ones(upper.size, np.intp), np.zeros(upper.size)
    if budget is None and n is not None:  # only their number counts
        return Polytope.of(np.ones(upper.size), float(n), runs, most=np.inf, lower=lower, upper=upper)
    most = np.inf if n is None else float(n)
    return Polytope.of(pool.cost, spare, runs, most=most, lower=lower, upper=upper)


def _setting_aside(room: Polytope, sound: NDArray[np.bool_], n: int | None) -> tuple[Polytope, int]:
    """Without the candidates that are not `sound`, and how many those are; with all where too few sound ones can be paid."""
    upper = np.where(sound, room.upper, 0.0)
    if upper.sum() < (n or 1):
        return room, 0
    return Polytope(room.rows, room.bounds, room.lower, upper), int((~sound).sum())


def _first(problem: Problem, room: Polytope, whole: Array, batch: float, seed: int) -> Array:
    """The runs of the plan `whole` to do within `batch`; of all candidates where none of those can be paid with it."""
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
