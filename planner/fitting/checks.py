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
    """The findings on a finished fit, worst first."""
    law, theta = type(fitted.solution.law), fitted.solution.theta
    kept = sample.at(fitted.kept)
    findings = []
    at_bound = [
        name
        for name, value, low, high in zip(law.theta_names, theta, law.lower, law.upper, strict=True)
        if value - low < 1e-6 or high - value < 1e-6
    ]
    if at_bound:
        findings.append(
            _warn("at-bound", f"{', '.join(at_bound)} on the edge of what is allowed", "widen the range of the runs")
        )
    condition = scaled_condition(kept, fitted)
    if condition > CONDITION:
        findings.append(
            _warn("not-identified", f"the runs hardly tell the parameters apart (condition number {condition:.0f})",
                  "trust the loss nearby, not the parameters; spread tokens per parameter"))  # fmt: skip
    if not fitted.solution.converged:
        findings.append(_warn("not-converged", "the solver stopped before its tolerance", "report this with the table"))
    ratio = kept.tokens / kept.params
    if ratio.max() / ratio.min() < SPREAD:
        findings.append(
            _warn("narrow-ratio", f"tokens per parameter spread only {ratio.max() / ratio.min():.3g}x",
                  "spread them over 8x or more: best size and tokens rest on it"))  # fmt: skip
    if sample.loss.size < law.lower.size + 2:
        findings.append(
            _warn("few-runs", f"{sample.loss.size} runs for {law.lower.size} parameters", "add at least two runs")
        )
    residual = np.log(kept.loss) - fitted.predict(kept.params, kept.tokens)[0]
    outliers = int((np.abs(residual) > 5 * fitted.solution.scale).sum())
    if outliers:
        findings.append(
            _warn("outliers", f"{outliers} of {residual.size} runs lie beyond 5 robust sd ({fitted.solution.scale:.2%})",
                  "look for unfinished, mistuned or mislabelled ones"))  # fmt: skip
    if fitted.solution.scale > SCATTER:
        findings.append(
            _warn("scatter", f"the law misses the runs by {fitted.solution.scale:.1%} (robust sd of ln loss)",
                  "well-run sweeps stay below 1.5 %: look for mixed set-ups, units or metrics"))  # fmt: skip
    if not _falls(sample):
        findings.append(
            _warn("no-trend", "loss does not fall with compute: the largest runs are no better than the smallest",
                  "check the columns: no extrapolation means anything here"))  # fmt: skip
    if fitted.window_refused:
        findings.append(Finding("window", Severity.NOTE, "the window of compute held too few runs: all were used", ""))
    findings += [Finding("runs", Severity.NOTE, note, "") for note in sample.notes]
    return tuple(findings)


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


def _falls(sample: Sample) -> bool:
    low, high = np.quantile(sample.flops, [0.25, 0.75])
    return bool(np.median(sample.loss[sample.flops >= high]) < np.median(sample.loss[sample.flops <= low]))


def scaled_condition(sample: Sample, fitted: Estimate) -> float:
    """Condition number of the Jacobian with columns of length one, in centred coordinates."""
    n, d = fitted.solution.centre.coordinates(sample.params, sample.tokens)
    J = type(fitted.solution.law).gradient(fitted.solution.theta, n, d)[1][0]
    length = np.linalg.norm(J, axis=1, keepdims=True)
    return float(np.linalg.cond(J / np.maximum(length, 1e-300)))


def _warn(name: str, sentence: str, remedy: str) -> Finding:
    return Finding(name, Severity.WARNING, sentence, remedy)
