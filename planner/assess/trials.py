"""One design's runs trained in many worlds, cleaned and fitted as `planner run` would: the errors at the final run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planner.assess.misallocation import wasted
from planner.assess.truths import Kind, Truth, truth_of
from planner.fitting.estimate import Estimate, estimates, t_quantile
from planner.fitting.recipe import default_recipe
from planner.lab.world import (
    BATCH_CURVATURE,
    BROKEN,
    CROSS_CURVATURE,
    DIVERGENT_RATE,
    DIVERGES_TOO_FAST,
    RATE_CURVATURE,
    World,
    draw_world,
)
from planner.laws.centre import Array
from planner.runs.columns import DEFAULT_LOSS_UNIT, Count
from planner.runs.sample import Sample

LEVEL = 0.9
CHUNK = 50  # worlds in one batch: fixed, so that the numbers do not depend on who computes them
FEWEST = 6  # finished runs: a law of six letters cannot be asked of fewer


class Runs(NamedTuple):
    """A design's runs, arrays `(n_runs,)` of raw counts, and the accelerator-hours of all.

    Learning rate and batch follow the published rule, `params_non_embedding` (active) and tokens being what it asks for.
    """

    params: Array
    params_non_embedding: Array
    tokens: Array
    gpu_hours: float


class Rates(NamedTuple):
    """The lab: sd of ln loss between seeds at 1B, fractions of runs that fail, diverge, and hold a mistake."""

    noise: float
    failure: float
    divergence: float
    mistuned: float


@dataclass(frozen=True)
class Task:
    """`count` worlds of one kind from number `first` on, to try one design in; `final` is (params, tokens), raw."""

    runs: Runs
    kind: Kind
    seed: int
    first: int
    count: int
    rates: Rates
    final: tuple[float, float]


class Outcomes(NamedTuple):
    """One row per world `(W,)`: signed error of the final run's ln loss, inside its interval or not, the interval's width,
    fraction of the final compute wasted by the size chosen. NaN where too few runs finished to fit a law."""

    error: Array
    covered: Array
    width: Array
    waste: Array


def play(task: Task) -> Outcomes:
    """Train, clean, fit and score: the same numbers for the same task wherever it is run.

    The fit is the default recipe's own (`estimates`, the batch form of `estimate`). Cleaning is that of `planner fit`: runs
    without a loss are dropped, mistuned ones stay.
    """
    numbers = range(task.first, task.first + task.count)
    worlds = [_world(task, number) for number in numbers]
    rngs = [np.random.default_rng([task.seed, number, *task.kind.encode()]) for number in numbers]
    truth = truth_of(task.kind, worlds, rngs)
    params, tokens = task.final
    noise = np.array([world.noise_sd(params) for world in worlds]) * [rng.normal() for rng in rngs]
    log_loss, finished = trained(task.runs, worlds, truth, task.rates, rngs)
    fitted = np.flatnonzero(finished.sum(1) >= FEWEST)
    found = estimates([_sample(task.runs, np.exp(log_loss[at]), finished[at]) for at in fitted], default_recipe())
    reached = truth.log_loss(np.array([params]), np.array([tokens]))[:, 0] + noise
    outcomes = np.full((4, task.count), np.nan)
    for at, estimate in zip(fitted, found, strict=True):
        outcomes[:3, at] = _against(estimate, task.final, float(reached[at]))
    chosen = np.full(task.count, np.nan)
    chosen[fitted] = [estimate.solution.law.optimum(6 * params * tokens).params for estimate in found]
    outcomes[3] = wasted(truth, chosen, 6 * params * tokens)
    return Outcomes(*outcomes)


def trained(
    runs: Runs, worlds: list[World], truth: Truth, rates: Rates, rngs: list[np.random.Generator]
) -> tuple[Array, NDArray[np.bool_]]:
    """ln loss `(W, n_runs)` of every run, and which finished: the lab's rules (`planner.lab`), for many worlds at once."""
    at = np.stack([np.ones(runs.params.size), np.log(runs.params_non_embedding / 1e9), np.log(runs.tokens / 2e10)])
    rate = -np.array([world.rate_shift for world in worlds]) @ at  # ln of the rate used over the best
    batch = -np.array([world.batch_shift for world in worlds]) @ at
    mistuning = 0.5 * RATE_CURVATURE * rate**2 + 0.5 * BATCH_CURVATURE * batch**2 + CROSS_CURVATURE * rate * batch
    n = runs.params.size
    seeds = np.array([rng.normal(size=n) for rng in rngs])
    fate = np.array([rng.random((5, n)) for rng in rngs])
    sizes, of_size = np.unique(runs.params, return_inverse=True)
    sd = np.array([[world.noise_sd(float(size)) for size in sizes] for world in worlds])[:, of_size]
    mistake = np.where(fate[:, 0] < rates.mistuned, -BROKEN * np.log1p(-fate[:, 1]), 0.0)
    too_fast = (rate > math.log(DIVERGENT_RATE)) & (fate[:, 2] < DIVERGES_TOO_FAST)
    finished = ~(too_fast | (fate[:, 3] < rates.divergence) | (fate[:, 4] < rates.failure))
    return truth.log_loss(runs.params, runs.tokens) + mistuning + sd * seeds + mistake, finished


def _world(task: Task, number: int) -> World:
    """A world of the lab, numbered: its own law is the truth of coupled worlds, its best rate and batch those of all kinds."""
    own = int(np.random.SeedSequence([task.seed, number]).generate_state(1)[0])
    return draw_world(own, [], noise=task.rates.noise, smallest_flops=1.0)


def _sample(runs: Runs, loss: Array, finished: NDArray[np.bool_]) -> Sample:
    return Sample(
        runs.params[finished], runs.tokens[finished], loss[finished], Count.ACTIVE, "", DEFAULT_LOSS_UNIT, {}, ()
    )


def _against(fitted: Estimate, final: tuple[float, float], reached: float) -> tuple[float, bool, float]:
    """Error, covered, width: the interval is that of one run (`Uncertainty.one_run`)."""
    predicted, sd = fitted.predict(np.array([final[0]]), np.array([final[1]]))
    half = t_quantile(LEVEL, fitted.df) * math.hypot(float(sd[0]), fitted.noise)
    error = float(predicted[0]) - reached
    return error, abs(error) <= half, 2 * half
