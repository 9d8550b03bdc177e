"""A pool as a design problem: what is believed of the law, what the observed runs hold, what each candidate would tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from planner.errors import InputError
from planner.fitting.recipe import Recipe
from planner.laws.centre import Array
from planner.laws.law import Law
from planner.runs.sample import Sample
from planner.sweep.design.belief import Belief
from planner.sweep.design.bundles import Bundles
from planner.sweep.design.problem import Problem, build
from planner.sweep.pool.belief import DRAWS, known_of
from planner.sweep.pool.candidates import Candidates

NOISE = 0.003  # sd between seeds, of ln loss (of the value for a law that is not fitted in logs): public replicates, .2-.4 %
# sd of a law's own error at a run, per nat of compute between it and the targets: what replicates cannot buy down. Set on the
# pools that tests/benchmarks/pools.py names as tuned on.
MODEL_ERROR = 1e-3
NEAREST = 0.5  # nats: no run is taken for nearer to the targets
SAME_CELL = 0.02  # of the logarithm of a count, rounded: runs as near are replicates
# Tokens per parameter below which laws miss runs by several per cent on the public sweeps that have any; a
# design for an exact law seeks just those corners (tests/benchmarks/pools.py).
LEAST_RATIO = 4.0


@dataclass(frozen=True)
class PoolProblem:
    """The problem, the law, and `belief`: a sentence on what it was made from."""

    problem: Problem
    law: type[Law]
    belief: str


def pool_problem(
    pool: Candidates,
    targets: Mapping[str, ArrayLike],
    recipe: Recipe,
    observed: Sample | None = None,
    *,
    model_error: float = MODEL_ERROR,
    noise: float = NOISE,
    draws: int = DRAWS,
) -> PoolProblem:
    """Every candidate as a bundle of one run, in the pool's order; candidates and observed runs of the same values share a cell."""
    law = recipe.law
    aims = targets_of(law, targets)
    at = [aims[name] for name in law.variables]
    seen = [np.empty(0)] * len(at) if observed is None else observed.columns(law.variables)
    own = _columns(pool.name, pool.columns, law.variables)
    both = [np.append(mine, theirs) for mine, theirs in zip(own, seen, strict=True)]
    known = known_of(recipe, observed, both, at, draws=draws)
    cell, first = _cells(both)
    mine, theirs = cell[: pool.cost.size], cell[pool.cost.size :]
    told = np.ones(theirs.size) if observed is None or observed.weight is None else observed.weight
    problem = build(
        known.belief, [column[first] for column in both], (_Values(at),),
        Bundles(mine[:, None], pool.cost, np.full((mine.size, 1, 1), noise**-2.0)),
        floor=model_error * _nats(law, both, aims, pool, observed)[first],
        base=np.bincount(theirs, told, first.size) / noise**2, budget=1.0,
    )  # fmt: skip
    return PoolProblem(_scaled(problem), law, known.sentence)


def _scaled(problem: Problem) -> Problem:
    """The same problem with letters in units of what is known of them, so that none is lost in floating point."""
    sd = np.diag(problem.prior) ** -0.5
    return replace(problem, J=problem.J * sd, goal=problem.goal * sd[:, None], prior=np.eye(sd.size))


def targets_of(law: type[Law], targets: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """The targets' columns `(t,)` by name, FLOPs added; InputError for one that the law speaks of and that is not there."""
    given = {name: np.atleast_1d(np.asarray(values, float)) for name, values in targets.items()}
    if {"params", "tokens"} <= set(given):
        given.setdefault("flops", 6 * given["params"] * given["tokens"])
    _columns("targets", given, law.variables)
    return given


def well_trained(pool: Candidates, targets: Mapping[str, Array]) -> NDArray[np.bool_]:
    """Candidates with as many tokens per parameter as laws hold for, or as the targets have, `(n,)`; all where not known."""
    if not {"params", "tokens"} <= set(pool.columns):
        return np.ones(pool.cost.size, bool)
    least = LEAST_RATIO
    if {"params", "tokens"} <= set(targets):
        least = min(least, float((targets["tokens"] / targets["params"]).min()))
    return np.asarray(pool.columns["tokens"] / pool.columns["params"] >= least * (1 - 1e-9))


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
