"""What is looked at before a fit is believed: each check has a name, a severity, a sentence and what to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from planner.errors import InputError
from planner.fitting.backtest_row import BacktestRow
from planner.fitting.columns import require_columns
from planner.fitting.constraints import Constraints
from planner.fitting.design_checks import DESIGN_CHECKS, checkpoints, few_runs
from planner.fitting.estimate import Estimate
from planner.fitting.finding import Finding, Fitted, note, warning
from planner.fitting.isoflop import judge_profiles, profiles
from planner.fitting.order import order_of
from planner.fitting.recipe import Recipe
from planner.fitting.residual_checks import RESIDUAL_CHECKS, outliers, scatter
from planner.laws import HAND_WRITTEN
from planner.laws.centre import Array
from planner.laws.law import Law, of_size_and_data
from planner.laws.scale import COMPUTE
from planner.runs.sample import SIZE_AND_DATA, Sample

SAME = 1.10  # counts within 10 % are one level
ONE_RATIO = 1.15  # tokens per parameter within 15 %: rounding around one ratio
PRIOR_SHARE = 0.8  # of the prior sd left: the runs said little
COUNTED = ("params", "tokens", "flops")  # of which more than two levels are needed
LEVELS = 3  # of size and of data: two cannot show a bend (coverage 0-38 % with two)
SPREAD = 8.0  # of tokens per parameter: below it the two exponents are hard to tell apart
FEW = 5  # held-out runs that a band needs before its coverage says anything
UNMOVED = 1e-9  # change of ln loss with a whole change of a letter
CONDITION = 300.0  # column-scaled condition number: 46-90 on sound grids, 560 on one ratio give or take 7 %


def require_identifiable(sample: Sample, law: type[Law]) -> None:
    """Refuse runs that cannot tell this law's parameters apart, whatever the solver says."""
    needed = law.lower.size
    if sample.loss.size < needed:
        raise InputError(
            f"{sample.name}: {_runs(sample.loss.size)} fewer than the {needed} parameters of the {law.name} law",
            "add runs, or fit a law with fewer parameters",
        )
    require_columns(sample, law)
    ratio = sample.tokens / sample.params
    if set(law.variables).issuperset(SIZE_AND_DATA) and ratio.max() / ratio.min() <= ONE_RATIO:
        raise InputError(
            f"{sample.name}: one tokens-per-parameter ratio only ({np.median(ratio):.3g}): size and data cannot be told apart",
            "add runs at two more ratios, spread over a factor of eight",
        )
    for name, values in zip(law.variables, sample.columns(law.variables), strict=True):
        counted, count = name in COUNTED, str(sample.count) if name == "params" else name
        found, needed = (levels(values), LEVELS) if counted else (np.unique(values).size, 2)
        if found < needed:
            raise InputError(
                f"{sample.name}: {count} has only {found} level{'s' if found > 1 else ''}; the {law.name} law needs {needed}",
                f"add runs at another {count}",
            )


def require_moved(sample: Sample, fitted: Estimate) -> None:
    """Refuse a letter that no run says anything about."""
    solution = fitted.solution
    law = type(solution.law)
    J = solution.gradient(*sample.at(fitted.kept).columns(law.variables))[1][0]
    size = np.abs(J).max(1) * np.maximum(np.abs(solution.theta), 1e-3)
    still = [letter for letter, moved in zip(law.letters, size, strict=True) if not moved > UNMOVED]
    held = (
        set() if solution.affine is None else {law.letters[i] for i in np.flatnonzero(~solution.affine.matrix.any(1))}
    )
    named = [letter for letter in still if letter not in held]
    if named and law not in HAND_WRITTEN:  # those have priors, and theta is bounded where a term ends
        raise InputError(
            f"{sample.name}: no run says anything about {', '.join(named)} of the {law.name} law",
            "leave that term out, or vary what it depends on",
        )


def require_floor_below(sample: Sample, constraints: Constraints, variables: Sequence[str] = SIZE_AND_DATA) -> None:
    """Refuse a floor E that is held, or bounded from below, above a loss that was reached."""
    lowest = int(np.argmin(sample.loss))
    loss = float(sample.loss[lowest])
    floor = constraints.fixed.get("E", constraints.bounds.get("E", (0.0, math.inf))[0])
    if floor >= loss:
        run = sample.told(lowest, variables)
        raise InputError(
            f"{sample.name}: the floor E is at least {floor:g}, and a run ({run}) has a loss of {loss:.4g}",
            "no law goes below its floor: lower E, or drop that run if its loss is wrong",
        )


def _runs(count: int) -> str:
    return "1 run is" if count == 1 else f"{count} runs are"


def levels(values: Array) -> int:
    """Distinct values, those within 10 % of the lowest of their cluster taken as one."""
    count, start = 0, -math.inf
    for value in np.sort(values):
        if value > start * SAME or start < 0:
            count, start = count + 1, float(value)
    return count


def judge(sample: Sample, fitted: Estimate, recipe: Recipe) -> tuple[Finding, ...]:
    """The findings on a finished fit: each check that fires, then what the table of runs has to say."""
    seen = Fitted(sample, sample.at(fitted.kept), fitted, recipe)
    if not of_size_and_data(recipe.law):
        return (*(finding for check in GENERAL if (finding := check(seen)) is not None), *_told(sample))
    fired = [finding for check in CHECKS if (finding := check(seen)) is not None]
    return (*fired, *judge_profiles(profiles(sample)), *_told(sample))


def _told(sample: Sample) -> tuple[Finding, ...]:
    return tuple(note("runs", sentence) for sentence in sample.notes)


def at_bound(fitted: Fitted) -> Finding | None:
    """Letters on the edge of what the law allows."""
    solution = fitted.estimate.solution
    law = type(solution.law)
    room = np.minimum(solution.theta - law.lower, law.upper - solution.theta)
    edge = [name for name, left in zip(law.theta_names, room, strict=True) if left < 1e-6]
    if not edge:
        return None
    return warning("at-bound", f"{', '.join(edge)} on the edge of what is allowed", "widen the range of the runs")


def not_identified(fitted: Fitted) -> Finding | None:
    """Runs that leave a direction of the law open."""
    condition, flat = flattest(fitted)
    if condition <= CONDITION:
        return None
    sentence = f"the runs hardly tell {flat} apart (condition number {condition:.0f})"
    return warning("not-identified", sentence, "trust the loss nearby, not the letters; spread tokens per parameter")


def not_converged(fitted: Fitted) -> Finding | None:
    """A solver that stopped early."""
    if fitted.estimate.solution.converged:
        return None
    return warning("not-converged", "the solver stopped before its tolerance", "report this with the table")


def narrow_ratio(fitted: Fitted) -> Finding | None:
    """Tokens per parameter that hardly vary, or in two values only."""
    ratio = fitted.kept.tokens / fitted.kept.params
    spread, found = float(ratio.max() / ratio.min()), levels(ratio)
    if spread >= SPREAD and found >= LEVELS:
        return None
    sentence = (
        f"tokens per parameter spread only {spread:.3g}x"
        if spread < SPREAD
        else f"only {found} levels of tokens per parameter"
    )
    return warning(
        "narrow-ratio", sentence, "spread them over 8x or more in three levels: best size and tokens rest on it"
    )


def floor_above_data(fitted: Fitted) -> Finding | None:
    """A floor E above the lowest loss that was reached."""
    floor, lowest = vars(fitted.estimate.solution.law).get("E"), float(fitted.sample.loss.min())
    if floor is None or floor < lowest:
        return None
    sentence = f"the law's floor E = {floor:.4g} lies above the lowest loss, {lowest:.4g}"
    return warning(
        "floor-above-data", sentence, "look for outliers and mixed evaluations: larger runs already do better"
    )


def unordered(fitted: Fitted) -> Finding | None:
    """Runs that nothing orders from small to large."""
    if order_of(fitted.sample, fitted.recipe.law) is not None:
        return None
    return note("no-backtest", "nothing in the law or the runs orders them from small to large: no backtest was made",
                "give their FLOPs in a column to see larger runs hidden and foretold")  # fmt: skip


def prior_only(fitted: Fitted) -> Finding | None:
    """Letters of which the runs say little more than the prior did."""
    if fitted.recipe.model_error is None:
        return None
    solution = fitted.estimate.solution
    law = type(solution.law)
    width = np.sqrt(np.diag(fitted.estimate.covariance)) / law.prior(np.log(fitted.kept.loss)).sd
    vague = [
        name for name, share in zip(law.letters, width, strict=True) if share > PRIOR_SHARE and name not in ("A", "B")
    ]
    if not vague:
        return None
    said = f"the runs say little about {', '.join(vague)}: its prior from public sweeps decides"
    return note("prior", said, "spread sizes and tokens per parameter further to learn it")


CHECKS: tuple[Callable[[Fitted], Finding | None], ...] = (
    at_bound, not_identified, not_converged, narrow_ratio, floor_above_data, prior_only, *RESIDUAL_CHECKS, *DESIGN_CHECKS,
)  # fmt: skip


# Those that hold for a law of any variables.
GENERAL: tuple[Callable[[Fitted], Finding | None], ...] = (
    at_bound, not_identified, not_converged, floor_above_data, few_runs, checkpoints, outliers, scatter, unordered,
)  # fmt: skip


def judge_backtest(rows: Sequence[BacktestRow], level: float, scale: str | None = COMPUTE) -> tuple[Finding, ...]:
    """A warning when the sweep's own backtest, runs ordered by `scale`, shows its intervals to be too narrow."""
    limit = failed_from(rows, level)
    if limit is None:
        return ()
    beyond = [row for row in rows if row.kappa >= limit]
    held, hidden = sum(row.coverage * row.n for row in beyond), sum(row.n for row in beyond)
    return (
        warning("backtest", f"from {limit:g}x the {scale} only {held / hidden:.0%} of {hidden} hidden runs fell inside their "
              f"{level:.0%} interval", "trust no extrapolation further than that; look for a cause"),
    )  # fmt: skip


def failed_from(rows: Sequence[BacktestRow], level: float) -> float | None:
    """The lowest kappa from which the backtest's intervals held less than half as often as they promise, or None."""
    for first, row in enumerate(rows):
        beyond = rows[first:]
        hidden = sum(other.n for other in beyond)
        if hidden >= FEW and sum(other.coverage * other.n for other in beyond) < hidden * level / 2:
            return row.kappa
    return None


def flattest(fitted: Fitted) -> tuple[float, str]:
    """Condition number of the Jacobian with columns of length one, and the letters of its flattest direction."""
    J = fitted.jacobian
    length = np.linalg.norm(J, axis=1, keepdims=True)
    _, values, directions = np.linalg.svd((J / np.maximum(length, 1e-300)).T, full_matrices=False)
    heaviest = np.argsort(-np.abs(directions[-1]))[:2]
    letters = type(fitted.estimate.solution.law).letters
    condition = float(values[0] / max(values[-1], 1e-300))
    return condition, " and ".join(letters[i] for i in sorted(heaviest))
