"""What is looked at before a fit is believed: each check has a name, a severity, a sentence and what to do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from planner.errors import InputError
from planner.fitting.estimate import Estimate
from planner.laws.centre import Array
from planner.laws.law import Law
from planner.runs.sample import Sample

SAME = 1.10  # counts or ratios within 10 % are one level
LEVELS = 3  # of size and of data: two cannot show a bend (coverage 0-38 % with two)
SPREAD = 8.0  # of tokens per parameter: below it the two exponents are hard to tell apart
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
            f"{_who(sample)}{sample.loss.size} runs are fewer than the {needed} parameters of the {law.name} law",
            "add runs, or fit a law with fewer parameters",
        )
    ratio = sample.tokens / sample.params
    if ratio.max() / ratio.min() <= SAME:
        raise InputError(
            f"{_who(sample)}one tokens-per-parameter ratio only ({np.median(ratio):.3g}): size and data cannot be told apart",
            "add runs at two more ratios, spread over a factor of eight",
        )
    for name, values in ((str(sample.count), sample.params), ("tokens", sample.tokens)):
        found = levels(values)
        if found < LEVELS:
            raise InputError(
                f"{_who(sample)}{found} levels of {name} only; the {law.name} law needs {LEVELS}",
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
        findings.append(_warn("at-bound", f"{', '.join(at_bound)} sits on its bound", "widen the range of the runs"))
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
                  "look at them: unfinished, mistuned or mislabelled?"))  # fmt: skip
    findings += [Finding("runs", Severity.NOTE, note, "") for note in sample.notes]
    return tuple(findings)


def scaled_condition(sample: Sample, fitted: Estimate) -> float:
    """Condition number of the Jacobian with columns of length one, in centred coordinates."""
    n, d = fitted.solution.centre.coordinates(sample.params, sample.tokens)
    J = type(fitted.solution.law).gradient(fitted.solution.theta, n, d)[1][0]
    length = np.linalg.norm(J, axis=1, keepdims=True)
    return float(np.linalg.cond(J / np.maximum(length, 1e-300)))


def _warn(name: str, sentence: str, remedy: str) -> Finding:
    return Finding(name, Severity.WARNING, sentence, remedy)


def _who(sample: Sample) -> str:
    return f"group {sample.group!r}: " if sample.group else ""
