"""Where runs of a law of size and data should lie: candidates, goals and constraints in, a design out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.decisions.power import run_noise
from planner.errors import InputError
from planner.laws.centre import Array
from planner.sweep.design.belief import Belief, prior_belief
from planner.sweep.design.bundles import COOLDOWN, CORRELATION, Bundles, joined, single_runs, trunk_bundles
from planner.sweep.design.constraints import Constraints, Grid, Mask
from planner.sweep.design.design import Design, designed
from planner.sweep.design.estimator import RecipeError
from planner.sweep.design.goals import Goal, LossAt
from planner.sweep.design.problem import Problem, build

SEED_NOISE = 0.003  # sd of ln loss between seeds at 1B parameters: assumed, on the safe side of public replicates
MODEL_ERROR = 1e-4  # sd of ln loss per nat of compute to the target: what no replicate can buy down
SAME_CELL = 0.02  # of ln params and ln tokens: a finished run this near is one of that cell


@dataclass(frozen=True)
class Trunks:
    """Cooldown branches of one constant-rate trunk as candidates: the noise they share, and what a cooldown takes."""

    correlation: float = CORRELATION
    cooldown: float = COOLDOWN


@dataclass(frozen=True)
class Done:
    """Finished runs, raw counts `(n_done,)`; they cost nothing any more. Not beside a fitted belief, which holds them."""

    params: Array
    tokens: Array


def optimal_design(
    params: Array,
    tokens: Array,
    cost: Array,
    *,
    target: tuple[float, float],
    budget: float,
    goals: Sequence[Goal] = (),
    belief: Belief | None = None,
    rules: Constraints | None = None,
    trunks: Trunks | None = None,
    done: Done | None = None,
    allowed: Mask | None = None,
    noise: float = SEED_NOISE,
    model_error: float = MODEL_ERROR,
) -> Design:
    """Least mean variance of the goals (ln loss at `target` = (params, tokens) when none) for a `budget` in the unit of `cost`.

    Cells `(m,)` hold raw counts; `allowed` excludes some. A cell with r runs has variance noise^2 / r + (model_error x nats of
    compute to the target)^2, so replicates are not worth more than neighbours; noise falls as params^-.22 from `noise` at 1B. Runs
    are per bundle: first the cells, one run each, then, with `trunks`, what `candidates` lists after them. Without `rules` nothing
    but the budget holds.
    """
    problem, grid = design_problem(
        params, tokens, cost, target=target, budget=budget, goals=goals, belief=belief, trunks=trunks, done=done,
        allowed=allowed, noise=noise, model_error=model_error,
    )  # fmt: skip
    usable = None if allowed is None else np.asarray(allowed[problem.bundles.cells].all(1))
    error = None
    if belief is None and trunks is None:
        known = np.asarray(grid.done, float)
        recipe = RecipeError.of(prior_belief(), problem, (grid.params, grid.tokens), run_noise(grid.params, noise) ** 2)

        def error(runs: Array) -> float:
            return recipe.mean_square(runs + known)

    return designed(problem, grid, rules or Constraints.none(), budget, allowed=usable, error=error)


def design_problem(
    params: Array,
    tokens: Array,
    cost: Array,
    *,
    target: tuple[float, float],
    budget: float,
    goals: Sequence[Goal] = (),
    belief: Belief | None = None,
    trunks: Trunks | None = None,
    done: Done | None = None,
    allowed: Mask | None = None,
    noise: float = SEED_NOISE,
    model_error: float = MODEL_ERROR,
) -> tuple[Problem, Grid]:
    """The arrays of `optimal_design`'s problem: candidate bundles over the cells and what is known already."""
    _require_sound(params, tokens, cost, budget)
    counts, finished = _finished(params, tokens, done)
    cells = (np.append(params, finished[0]), np.append(tokens, finished[1]))
    seeds = run_noise(cells[0], noise)
    floor = model_error * np.abs(np.log(target[0] * target[1] / (cells[0] * cells[1])))
    problem = build(
        belief or prior_belief(), cells, goals or (LossAt(*target),),
        candidates(params, tokens, cost, noise=noise, trunks=trunks), floor=floor, base=counts / seeds**2, budget=budget,
    )  # fmt: skip
    can = (cost <= budget * (1 + 1e-12)) & (True if allowed is None else allowed)
    largest = float((6 * params * tokens)[can].max(initial=0.0))
    return problem, Grid(*cells, counts.astype(np.intp), largest)


def candidates(
    params: Array, tokens: Array, cost: Array, *, noise: float = SEED_NOISE, trunks: Trunks | None = None
) -> Bundles:
    """Every cell as a run of its own, in order; then every trunk."""
    alone = single_runs(cost, run_noise(params, noise))
    if trunks is None:
        return alone
    together = trunk_bundles(
        params, tokens, cost, run_noise(params, noise), correlation=trunks.correlation, cooldown=trunks.cooldown
    )
    return joined(alone, together)


def _require_sound(params: Array, tokens: Array, cost: Array, budget: float) -> None:
    for name, values in (("params", params), ("tokens", tokens), ("cost", cost)):
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            at = int(np.argmax(bad))
            raise InputError(f"candidate {at + 1}: {name} is {values[at]:g}", "give every candidate's counts and cost")
    if not (np.isfinite(budget) and budget > 0):
        raise InputError(f"a budget of {budget:g}", "give a finite one above zero")


def _finished(params: Array, tokens: Array, done: Done | None) -> tuple[Array, tuple[Array, Array]]:
    """Finished runs per cell `(m + new,)`, and the counts of those that are no candidate."""
    if done is None:
        return np.zeros(params.size), (np.empty(0), np.empty(0))
    all_params, all_tokens, counts = list(params), list(tokens), [0.0] * params.size
    for one, data in zip(done.params, done.tokens, strict=True):
        apart = np.maximum(np.abs(np.log(np.array(all_params) / one)), np.abs(np.log(np.array(all_tokens) / data)))
        if apart.min(initial=np.inf) <= SAME_CELL:
            counts[int(np.argmin(apart))] += 1
        else:
            all_params.append(one)
            all_tokens.append(data)
            counts.append(1.0)
    return np.array(counts), (np.array(all_params[params.size :]), np.array(all_tokens[params.size :]))
