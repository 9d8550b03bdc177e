"""How a fit is made: law, objective, window, prior, model error, kind of interval."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from planner.fitting.constraints import Constraints
from planner.fitting.objective import AdaptiveHuber, Huber, Objective
from planner.laws import Coupled, find_law
from planner.laws.centre import Array
from planner.laws.law import Law

MOST_RESAMPLED = 3000  # runs that a bootstrap refits
SMALLEST_WINDOW = 10  # runs; with fewer in the window all are used


class Spread(Enum):
    """Where an interval comes from; the value is how it is called in results."""

    POSTERIOR = "tempered posterior"
    NORMAL = "normal approximation"
    SANDWICH = "sandwich HC3"
    BOOTSTRAP = "case bootstrap"


@dataclass(frozen=True)
class ModelError:
    """What is taken for granted of the error that a law itself makes, in residual standard deviations.

    `drift` is its sd per nat of compute away from the largest run: smaller runs count less, predictions beyond widen.
    `configurations` is how many distinct ones can narrow the law: errors of a law are not independent between runs, so
    more of them temper the likelihood instead. `noise` is a prior guess of the residual sd of ln loss, worth
    `noise_runs` runs.
    """

    drift: float
    configurations: int
    noise: float
    noise_runs: float

    def faded(self, log_compute: Array) -> Array:
        """What a run is worth by its ln compute, both `(m,)`: its misfit has a variance that grows below the largest."""
        return np.asarray(1 / (1 + (self.drift * (np.max(log_compute) - log_compute)) ** 2))


# Coverage of its nominal 90 % intervals at that many times the compute on seven public sources, each predicted with
# nothing learned from it (tests/benchmarks/intervals.py).
LEFT_OUT_COVERAGE = {3: 0.92, 10: 0.92, 30: 0.93}

# Drift and configurations were set so that in-model coverage stays .87-.97 at 100x the compute (worlds A-D, G), noise is
# what seeds differ by in public replicates (.2-.4 %). The law's prior was learned from public sweeps: see docs/fitting.md.
MODEL_ERROR = ModelError(drift=0.2, configurations=25, noise=0.003, noise_runs=2.0)


@dataclass(frozen=True)
class Recipe:
    """The settings of one fit.

    `window` keeps the runs within that factor of the largest run's compute (None: all runs); with a `model_error` the
    law's prior is used, replicates are taken together and intervals allow for what the law misses. `automatic` says
    that nobody asked for this very law: on runs without its columns another takes its place.
    """

    law: type[Law]
    objective: Objective
    window: float | None
    spread: Spread
    model_error: ModelError | None = None
    constraints: Constraints = field(default_factory=Constraints)
    automatic: bool = False

    def spread_for(self, runs: int) -> Spread:
        """The kind of interval for so many runs: beyond a few thousand a bootstrap tells what the sandwich does."""
        many = self.spread is Spread.BOOTSTRAP and runs > MOST_RESAMPLED
        return Spread.SANDWICH if many else self.spread


def default_recipe() -> Recipe:
    """The coupled law on all runs, with a prior learned from public sweeps and an allowance for the law's own error."""
    return Recipe(Coupled, AdaptiveHuber(), None, Spread.POSTERIOR, MODEL_ERROR, automatic=True)


def choose_recipe(law: str | type[Law] = "auto", *, huber_delta: float | None = None) -> Recipe:
    """`auto`, or `coupled` without a delta, is the default recipe; any other law, by name or itself, the plain textbook fit.

    The textbook fit uses all rows, no prior and a case bootstrap; without a delta it adapts it to the residuals.
    """
    if huber_delta is None and law in ("auto", Coupled.name, Coupled):
        return replace(default_recipe(), automatic=law == "auto")
    objective = AdaptiveHuber() if huber_delta is None else Huber(huber_delta)
    chosen = find_law("coupled" if law == "auto" else law) if isinstance(law, str) else law
    return Recipe(chosen, objective, None, Spread.BOOTSTRAP, automatic=law == "auto")
