"""A fit: check, solve, judge; the value that predictions and decisions are made from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy.special import ndtri

from planner.errors import InputError
from planner.fitting.backtest import Score, backtest_table, folds_of, inflation, nested_scores
from planner.fitting.backtest_row import BacktestRow
from planner.fitting.checks import Finding, Severity, failed, judge, judge_backtest, require_identifiable
from planner.fitting.estimate import Estimate, estimate, t_quantile
from planner.fitting.recipe import Recipe, Spread, default_recipe
from planner.fitting.solve import bootstrap
from planner.laws.centre import Array, Centre
from planner.laws.law import Law
from planner.runs.columns import Count
from planner.runs.read import RunTable
from planner.runs.sample import Sample, sample_of

DRAWS = 500
WIDEST_LEVEL = 0.99  # 500 draws have no quantile further out


class Outcome(Enum):
    """How a fit ended; the value is the sentence to print."""

    SOUND = "the optimum was found and no check warns"
    WARNED = "the optimum was found; read the warnings"
    FAILED = "the solver did not reach its tolerance"


@dataclass(frozen=True)
class Reach:
    """The fitted runs' largest compute (FLOPs), range of tokens per parameter, and how far the backtest held (kappa)."""

    flops: float
    tokens_per_param: tuple[float, float]
    kappa: float


@dataclass(frozen=True)
class Fit:
    """A law fitted to runs, with everything a prediction needs.

    `draws` `(K, p)` are thetas that spread as the estimate's error does; deviations from the optimum are widened by
    `inflation`. `scale` is the robust sd of ln loss, `df` the degrees of freedom behind it. `level` is the nominal
    coverage of every interval. `objective_value` sums the objective over the fitted runs.
    """

    law: Law
    group: str
    count: Count
    loss_unit: str
    theta: Array
    centre: Centre
    draws: Array
    inflation: float
    scale: float
    df: float
    level: float
    objective: str
    delta: float
    objective_value: float
    outcome: Outcome
    n_runs: int
    n_windowed_out: int
    dropped: dict[str, int]
    reach: Reach
    spread: Spread
    findings: tuple[Finding, ...]
    backtest: tuple[BacktestRow, ...]
    data_sha256: str

    @property
    def parameters(self) -> dict[str, float]:
        """The law's letters and their fitted values."""
        return {name: float(value) for name, value in vars(self.law).items()}

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Central intervals at `level` of the law's letters."""
        drawn = [vars(type(self.law).from_theta(draw, self.centre)) for draw in self.draws]
        return {
            name: self.interval(np.array([row[name] for row in drawn]), value)
            for name, value in self.parameters.items()
        }

    def interval(self, drawn: Array, point: float) -> tuple[float, float]:
        """A central interval from draws `(K,)` of a positive quantity, widened about `point` on the log scale."""
        low, high = self.log_spread(np.log(drawn) - math.log(point))
        return point * math.exp(low), point * math.exp(high)

    def log_spread(self, deviations: Array) -> tuple[float, float]:
        """Quantiles of deviations `(K,)` in logs, times the inflation; they always enclose zero."""
        tail = (1 - self.level) / 2
        low, high = np.quantile(deviations[np.isfinite(deviations)], [tail, 1 - tail]) * self.inflation
        return min(float(low), 0.0), max(float(high), 0.0)

    @property
    def noise(self) -> float:
        """Half-width in ln loss that seed and tuning noise alone give one new run at `level`."""
        return t_quantile(self.level, self.df) * self.scale * self.inflation


def fit(runs: RunTable | Sample, recipe: Recipe | None = None, *, level: float = 0.9, seed: int = 0) -> Fit:
    """Fit `recipe` (the default one when None) to `runs` with intervals at `level`.

    A table of runs counts the one column of parameters it has; `sample_of` chooses among several, or a group. Raises
    InputError when the runs cannot identify the law: fewer than its parameters, one ratio, too few levels.
    """
    recipe = recipe or default_recipe()
    sample = runs if isinstance(runs, Sample) else sample_of(runs)
    _require_level(level)
    require_identifiable(sample, recipe.law)
    fitted = estimate(sample, recipe)
    kept = sample.at(fitted.kept)
    folds = folds_of(sample, recipe, level=level)
    scores = nested_scores(sample, recipe)
    table = backtest_table(folds)
    findings = (*judge(sample, fitted), *judge_backtest(table, level))
    ratio = sample.tokens / sample.params
    return Fit(
        law=fitted.solution.law,
        group=sample.group,
        count=sample.count,
        loss_unit=sample.loss_unit,
        theta=fitted.solution.theta,
        centre=fitted.solution.centre,
        draws=_draws(kept, fitted, recipe, seed),
        inflation=inflation(scores) if recipe.spread is Spread.LAPLACE else 1.0,
        scale=fitted.solution.scale,
        df=fitted.df,
        level=level,
        objective=recipe.objective.name,
        delta=fitted.solution.delta,
        objective_value=fitted.solution.value,
        outcome=_outcome(fitted, findings),
        n_runs=int(fitted.kept.sum()),
        n_windowed_out=int((~fitted.kept).sum()),
        dropped=sample.dropped,
        reach=Reach(
            flops=float(sample.flops.max()),
            tokens_per_param=(float(ratio.min()), float(ratio.max())),
            kappa=_supported(scores, table, level),
        ),
        spread=recipe.spread,
        findings=findings,
        backtest=table,
        data_sha256=sample.sha256,
    )


def run_backtest(
    runs: RunTable | Sample, recipe: Recipe | None = None, *, level: float = 0.9
) -> tuple[BacktestRow, ...]:
    """Hide the large runs of a table or sample, predict them from the small ones; rows by compute ratio."""
    recipe = recipe or default_recipe()
    sample = runs if isinstance(runs, Sample) else sample_of(runs)
    _require_level(level)
    require_identifiable(sample, recipe.law)
    return backtest_table(folds_of(sample, recipe, level=level))


def _supported(scores: list[Score], table: Sequence[BacktestRow], level: float) -> float:
    """The largest compute ratio backtested, or where the intervals of the backtest stopped holding."""
    reached = max((float(score.kappa.max()) for score in scores), default=1.0)
    return min([reached, *(row.kappa for row in table if failed(row, level))])


def _require_level(level: float) -> None:
    if not 0 < level <= WIDEST_LEVEL:
        raise InputError(f"level {level} is not between 0 and {WIDEST_LEVEL}", "0.9 is the default")


def _outcome(fitted: Estimate, findings: tuple[Finding, ...]) -> Outcome:
    if not fitted.solution.converged:
        return Outcome.FAILED
    warned = any(finding.severity is Severity.WARNING for finding in findings)
    return Outcome.WARNED if warned else Outcome.SOUND


def _draws(kept: Sample, fitted: Estimate, recipe: Recipe, seed: int) -> Array:
    if recipe.spread is Spread.BOOTSTRAP:
        x = (kept.params, kept.tokens)
        return bootstrap(recipe.law, x, kept.loss, objective=recipe.objective, resamples=DRAWS, seed=seed)
    values, vectors = np.linalg.eigh(fitted.covariance)
    rng = np.random.default_rng(seed)
    # Uniform draws through quantile functions: the same bytes on every platform's normal generator.
    normal = ndtri(rng.uniform(1e-12, 1, (DRAWS, values.size)))
    heavy = np.sqrt(fitted.df / rng.chisquare(fitted.df, (DRAWS, 1)))
    spread = normal * heavy @ (vectors * np.sqrt(np.maximum(values, 0))).T
    return np.asarray(np.clip(fitted.solution.theta + spread, recipe.law.lower, recipe.law.upper))
