"""A fit: check, solve, judge; the value that predictions and decisions are made from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from itertools import combinations

import numpy as np

from planner.engines import Engine, here
from planner.errors import InputError
from planner.fitting.automatic import for_columns
from planner.fitting.backtest import backtest_table, folds_of
from planner.fitting.backtest_row import BacktestRow
from planner.fitting.checks import (
    judge,
    judge_backtest,
    require_floor_below,
    require_identifiable,
    require_moved,
)
from planner.fitting.columns import read_sample
from planner.fitting.estimate import Estimate, estimate
from planner.fitting.finding import FURTHER, Finding, Severity
from planner.fitting.interval import Points, Uncertainty, uncertainty_of
from planner.fitting.panel import Rival, judge_choice, panel, reaching, with_disagreement
from planner.fitting.reach import Reach, reach_of
from planner.fitting.recipe import Recipe, default_recipe
from planner.laws.centre import Array, Centre
from planner.laws.law import Law, of_size_and_data
from planner.runs.columns import Count
from planner.runs.read import RunTable
from planner.runs.sample import Sample

WIDEST_LEVEL = 0.99  # 500 draws have no quantile further out


class Outcome(Enum):
    """How a fit ended; the value is the sentence to print."""

    SOUND = "the optimum was found and no check warns"
    WARNED = "the optimum was found; read the warnings"
    FAILED = "the solver did not reach its tolerance"


@dataclass(frozen=True)
class Fit:
    """A law fitted to runs, with everything a prediction needs.

    `target` names the column that stands as loss; `count` says which parameters the runs count (None: the law speaks of
    none, and they have none or several). `level` is the nominal coverage of every interval; `objective_value` sums the
    objective over the fitted runs; `constraints` says in words what was asked of the letters; `rivals` are other laws'
    records beside this one's.
    """

    law: Law
    group: str
    count: Count | None
    loss_unit: str
    target: str
    theta: Array
    centre: Centre
    uncertainty: Uncertainty
    level: float
    objective: str
    delta: float
    objective_value: float
    constraints: str
    outcome: Outcome
    n_runs: int
    n_windowed_out: int
    dropped: dict[str, int]
    reach: Reach
    findings: tuple[Finding, ...]
    backtest: tuple[BacktestRow, ...]
    rivals: tuple[Rival, ...]
    data_sha256: str

    @property
    def counted(self) -> Count:
        """Which parameters the runs count; InputError where they count none."""
        if self.count is None:
            raise InputError(
                f"this fit of the {self.law.name} law counts no parameters", "fit a law of params and tokens"
            )
        return self.count

    @property
    def parameters(self) -> dict[str, float]:
        """The law's letters and their fitted values."""
        return {name: float(value) for name, value in vars(self.law).items()}

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Central intervals at `level` of the law's letters."""
        drawn = [vars(type(self.law).from_theta(draw, self.centre)) for draw in self.uncertainty.draws]
        return {
            name: self.interval(np.array([row[name] for row in drawn]), value)
            for name, value in self.parameters.items()
        }

    @property
    def correlations(self) -> dict[tuple[str, str], float]:
        """Correlations of the law's letters (of logs, where one sign) over the draws; a letter that is held has none."""
        drawn = [vars(type(self.law).from_theta(draw, self.centre)) for draw in self.uncertainty.draws]
        logs = {name: _logs(np.array([row[name] for row in drawn])) for name in self.parameters}
        free = [name for name, values in logs.items() if np.ptp(values) > 1e-9]
        return {(a, b): float(np.corrcoef(logs[a], logs[b])[0, 1]) for a, b in combinations(free, 2)}

    def interval(self, drawn: Array, point: float) -> tuple[float, float]:
        """A central interval from draws `(K,)` about `point`, on the log scale where all of them are positive."""
        if not point > 0 or not (drawn > 0).all():
            low, high = self.uncertainty.quantiles(drawn[np.isfinite(drawn)] - point, self.level)
            return point + float(low), point + float(high)
        deviations = np.log(drawn) - math.log(point)
        low, high = self.uncertainty.quantiles(deviations[np.isfinite(deviations)], self.level)
        return point * math.exp(low), point * math.exp(high)


def _logs(values: Array) -> Array:
    return np.log(np.abs(values)) if (values > 0).all() or (values < 0).all() else values


def fit(
    runs: RunTable | Sample,
    recipe: Recipe | None = None,
    *,
    level: float = 0.9,
    seed: int = 0,
    across_laws: bool = False,
) -> Fit:
    """Fit `recipe` (the default one when None) to `runs` with intervals at `level`.

    Other laws that suit the columns are fitted beside the default recipe and ranked by their forecasts of hidden runs.
    Where one with as good a record puts the best size outside its interval, a check `law-choice` warns and intervals of
    the loss beyond the largest run are widened to reach what such laws say; with `across_laws` all their disagreement
    widens them in any case.

    Only what the law speaks of is asked of the runs. Where they have no params or no tokens, the default recipe gives way
    to the listed law that suits their columns and foretells their larger runs best; a check `law-auto` says so.

    A table of runs counts the one column of parameters it has; `sample_of` chooses among several, or a group. Raises
    InputError when columns of the law are missing, and when the runs cannot identify it: fewer than its parameters, one
    ratio, too few levels.
    """
    _require_level(level)
    sample, recipe, ranked, chosen = _posed(runs, recipe)
    require_identifiable(sample, recipe.law)
    require_floor_below(sample, recipe.constraints, recipe.law.variables)
    fitted = estimate(sample, recipe)
    require_moved(sample, fitted)
    folds = folds_of(sample, recipe, level=level)
    table = backtest_table(folds)
    reach = reach_of(sample, recipe.law, folds, table, level)
    findings = (*chosen, *judge(sample, fitted, recipe), *judge_backtest(table, level, reach.order))
    known = uncertainty_of(sample, fitted, recipe, seed=seed)
    rivals = panel(sample, recipe, fitted) if recipe.model_error is not None else ranked
    if across_laws:
        known = with_disagreement(known, rivals, recipe.law.name)
    made = Fit(
        law=fitted.solution.law,
        group=sample.group,
        count=sample.count,
        loss_unit=sample.loss_unit,
        target=sample.target,
        theta=fitted.solution.theta,
        centre=fitted.solution.centre,
        uncertainty=known,
        level=level,
        objective=recipe.objective.name,
        delta=fitted.solution.delta,
        objective_value=fitted.solution.value,
        constraints=recipe.constraints.sentence,
        outcome=_outcome(fitted, findings),
        n_runs=int(fitted.kept.sum()),
        n_windowed_out=int((~fitted.kept).sum()),
        dropped=sample.dropped,
        reach=reach,
        findings=findings,
        backtest=table,
        rivals=rivals,
        data_sha256=sample.sha256,
    )
    return _with_choice(made)


def _with_choice(made: Fit) -> Fit:
    """With a warning when the choice of law moves the best size by more than its interval, and the loss widened to reach
    what the laws of as good a record say.
    """
    if not made.rivals or not of_size_and_data(type(made.law)):
        return made
    flops = FURTHER * made.reach.flops
    law, best = type(made.law), made.law.optimum(flops)
    drawn = [law.from_theta(draw, made.centre).optimum(flops).params for draw in made.uncertainty.draws]
    said = judge_choice(made.rivals, made.law.name, made.interval(np.array(drawn), best.params))
    if not said:
        return made
    at = Points.of(law, made.centre, {name: np.array([value]) for name, value in best._asdict().items()})
    half = float(made.uncertainty.mean(law, made.theta, at, made.level)[1][0])
    known = reaching(made.uncertainty, made.rivals, made.law.name, half, made.level)
    outcome = Outcome.WARNED if made.outcome is Outcome.SOUND else made.outcome
    return replace(made, findings=(*made.findings, *said), outcome=outcome, uncertainty=known)


def run_backtest(
    runs: RunTable | Sample, recipe: Recipe | None = None, *, level: float = 0.9, engine: Engine = here
) -> tuple[BacktestRow, ...]:
    """Hide the large runs of a table or sample, predict them from the small ones; rows by compute ratio.

    `engine` makes the fits (`planner.engines`).
    """
    _require_level(level)
    sample, recipe, _, _ = _posed(runs, recipe)
    require_identifiable(sample, recipe.law)
    return backtest_table(folds_of(sample, recipe, level=level, engine=engine))


def _posed(
    runs: RunTable | Sample, recipe: Recipe | None
) -> tuple[Sample, Recipe, tuple[Rival, ...], tuple[Finding, ...]]:
    """The runs and the recipe for them, and for an automatic law what it was chosen from."""
    recipe = recipe or default_recipe()
    sample = runs if isinstance(runs, Sample) else read_sample(runs, recipe.law, automatic=recipe.automatic)
    return (sample, *for_columns(sample, recipe))


def _require_level(level: float) -> None:
    if not 0 < level <= WIDEST_LEVEL:
        raise InputError(f"level {level} is not between 0 and {WIDEST_LEVEL}", "0.9 is the default")


def _outcome(fitted: Estimate, findings: tuple[Finding, ...]) -> Outcome:
    if not fitted.solution.converged:
        return Outcome.FAILED
    warned = any(finding.severity is Severity.WARNING for finding in findings)
    return Outcome.WARNED if warned else Outcome.SOUND
