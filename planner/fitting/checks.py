"""What is looked at before a fit is believed: each check has a name, a severity, a sentence and what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from planner.errors import InputError
from planner.fitting.backtest_row import BacktestRow
from planner.fitting.estimate import Estimate
from planner.laws.centre import Array
from planner.laws.law import Law
from planner.runs.sample import Sample

SAME = 1.10  # counts or ratios within 10 % are one level
LEVELS = 3  # of size and of data: two cannot show a bend (coverage 0-38 % with two)
SPREAD = 8.0  # of tokens per parameter: below it the two exponents are hard to tell apart
FAR = 5.0  # robust sd: one normal run in two million
SCATTER = 0.05  # of ln loss: public sweeps scatter by 0.2-1.4 %
FEW = 5  # held-out runs that a band needs before its coverage says anything
CONDITION = 1e3  # column-scaled condition number: beyond it the optimum is not identified


class Severity(StrEnum):
    """How much a finding should worry the reader."""

    NOTE = "note"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """A check that fired."""

    name: str
    severity: Severity
    sentence: str
    remedy: str


def require_identifiable(sample: Sample, law: type[Law]) -> None:
    """Refuse runs that cannot tell this law's parameters apart, whatever the solver says."""
    needed = law.lower.size
    if sample.loss.size < needed:
        raise InputError(
            f"{sample.name}: {sample.loss.size} runs are fewer than the {needed} parameters of the {law.name} law",
            "add runs, or fit a law with fewer parameters",
        )
    ratio = sample.tokens / sample.params
    if ratio.max() / ratio.min() <= SAME:
        raise InputError(
            f"{sample.name}: one tokens-per-parameter ratio only ({np.median(ratio):.3g}): size and data cannot be told apart",
            "add runs at two more ratios, spread over a factor of eight",
        )
    for name, values in ((str(sample.count), sample.params), ("tokens", sample.tokens)):
        found = levels(values)
        if found < LEVELS:
            raise InputError(
                f"{sample.name}: {name} has only {found} level{'s' if found > 1 else ''}; the {law.name} law needs {LEVELS}",
                f"add runs at another {name}",
            )


def levels(values: Array) -> int:
    """Distinct values, those within 10 % of the lowest of their cluster taken as one."""
    count, start = 0, -math.inf
    for value in np.sort(values):
        if value > start * SAME or start < 0:
            count, start = count + 1, float(value)
    return count


def judge(sample: Sample, fitted: Estimate) -> tuple[Finding, ...]:
    """The findings on a finished fit: each check below that fires, then what the table of runs has to say."""
    kept = sample.at(fitted.kept)
    fired = [finding for check in _CHECKS if (finding := check(sample, kept, fitted)) is not None]
    return (*fired, *(Finding("runs", Severity.NOTE, note, "") for note in sample.notes))


def _at_bound(_: Sample, __: Sample, fitted: Estimate) -> Finding | None:
    law = type(fitted.solution.law)
    room = np.minimum(fitted.solution.theta - law.lower, law.upper - fitted.solution.theta)
    edge = [name for name, left in zip(law.theta_names, room, strict=True) if left < 1e-6]
    if not edge:
        return None
    return _warn("at-bound", f"{', '.join(edge)} on the edge of what is allowed", "widen the range of the runs")


def _not_identified(_: Sample, kept: Sample, fitted: Estimate) -> Finding | None:
    condition = scaled_condition(kept, fitted)
    if condition <= CONDITION:
        return None
    sentence = f"the runs hardly tell the parameters apart (condition number {condition:.0f})"
    return _warn("not-identified", sentence, "trust the loss nearby, not the parameters; spread tokens per parameter")


def _not_converged(_: Sample, __: Sample, fitted: Estimate) -> Finding | None:
    if fitted.solution.converged:
        return None
    return _warn("not-converged", "the solver stopped before its tolerance", "report this with the table")


def _narrow_ratio(_: Sample, kept: Sample, __: Estimate) -> Finding | None:
    ratio = kept.tokens / kept.params
    spread = float(ratio.max() / ratio.min())
    if spread >= SPREAD:
        return None
    sentence = f"tokens per parameter spread only {spread:.3g}x"
    return _warn("narrow-ratio", sentence, "spread them over 8x or more: best size and tokens rest on it")


def _few_runs(sample: Sample, _: Sample, fitted: Estimate) -> Finding | None:
    parameters = fitted.solution.theta.size
    if sample.loss.size >= parameters + 2:
        return None
    return _warn("few-runs", f"{sample.loss.size} runs for {parameters} parameters", "add at least two runs")


def _outliers(_: Sample, kept: Sample, fitted: Estimate) -> Finding | None:
    residual = np.log(kept.loss) - fitted.predict(kept.params, kept.tokens)[0]
    far = int((np.abs(residual) > FAR * fitted.solution.scale).sum())
    if not far:
        return None
    sentence = f"{far} of {residual.size} runs lie beyond {FAR:g} robust sd ({fitted.solution.scale:.2%})"
    return _warn("outliers", sentence, "look for unfinished, mistuned or mislabelled ones")


def _scatter(_: Sample, __: Sample, fitted: Estimate) -> Finding | None:
    if fitted.solution.scale <= SCATTER:
        return None
    sentence = f"the law misses the runs by {fitted.solution.scale:.1%} (robust sd of ln loss)"
    return _warn("scatter", sentence, "well-run sweeps stay below 1.5 %: look for mixed set-ups, units or metrics")


def _no_trend(sample: Sample, _: Sample, __: Estimate) -> Finding | None:
    low, high = np.quantile(sample.flops, [0.25, 0.75])
    if np.median(sample.loss[sample.flops >= high]) < np.median(sample.loss[sample.flops <= low]):
        return None
    sentence = "loss does not fall with compute: the largest runs are no better than the smallest"
    return _warn("no-trend", sentence, "check the columns: no extrapolation means anything here")


def _window(_: Sample, __: Sample, fitted: Estimate) -> Finding | None:
    if not fitted.window_refused:
        return None
    return Finding("window", Severity.NOTE, "the window of compute held too few runs: all were used", "")


_CHECKS = (
    _at_bound, _not_identified, _not_converged, _narrow_ratio, _few_runs, _outliers, _scatter, _no_trend, _window,
)  # fmt: skip


def judge_backtest(rows: Sequence[BacktestRow], level: float) -> tuple[Finding, ...]:
    """A warning when the sweep's own backtest shows its intervals to be too narrow."""
    limit = failed_from(rows, level)
    if limit is None:
        return ()
    beyond = [row for row in rows if row.kappa >= limit]
    held, hidden = sum(row.coverage * row.n for row in beyond), sum(row.n for row in beyond)
    return (
        _warn("backtest", f"from {limit:g}x the compute only {held / hidden:.0%} of {hidden} hidden runs fell inside their "
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


def scaled_condition(sample: Sample, fitted: Estimate) -> float:
    """Condition number of the Jacobian with columns of length one, in centred coordinates."""
    n, d = fitted.solution.centre.coordinates(sample.params, sample.tokens)
    J = type(fitted.solution.law).gradient(fitted.solution.theta, n, d)[1][0]
    length = np.linalg.norm(J, axis=1, keepdims=True)
    return float(np.linalg.cond(J / np.maximum(length, 1e-300)))


def _warn(name: str, sentence: str, remedy: str) -> Finding:
    return Finding(name, Severity.WARNING, sentence, remedy)
