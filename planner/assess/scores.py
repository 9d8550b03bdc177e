"""From errors in many worlds to the score of a design."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planner.assess.trials import Outcomes, Runs
from planner.assess.truths import Kind
from planner.laws.centre import Array

NAN = float("nan")


@dataclass(frozen=True)
class DesignScore:
    """One design over all worlds of one kind; errors, widths, waste are fractions.

    `median_error`, `p90_error`, `rms_error` (standard error `rms_se`) and `bias` are of the final run's loss, `coverage` and
    `median_width` of its 90 % interval; `waste`, `mean_waste` the median and mean fraction of the final compute that the best
    size needs less than the size chosen from the fit; `gpu_hours` what the runs cost as planned, `fraction` of the scaling
    study's budget they were chosen within. `worlds` counts those in which enough runs finished to fit a law. `ratio` is the
    rms error over that of the sweep's own design in the same worlds, `ratio_error` its standard error.
    """

    kind: Kind
    name: str
    fraction: float
    n_runs: int
    gpu_hours: float
    worlds: int
    median_error: float
    p90_error: float
    rms_error: float
    rms_se: float
    bias: float
    coverage: float
    median_width: float
    waste: float
    mean_waste: float
    ratio: float
    ratio_error: float


def score(name: str, kind: Kind, fraction: float, runs: Runs, found: Outcomes, own: Outcomes) -> DesignScore:
    """What `found` says of a design, beside the `own` design's outcomes in the same worlds."""
    fitted = np.isfinite(found.error)
    error, covered, width, waste = (column[fitted] for column in found)
    rms = math.sqrt(_mean(error**2))
    ratio, ratio_error = _ratio(found.error, own.error)
    return DesignScore(
        kind=kind,
        name=name,
        fraction=fraction,
        n_runs=runs.params.size,
        gpu_hours=runs.gpu_hours,
        worlds=int(fitted.sum()),
        median_error=_quantile(np.abs(error), 0.5),
        p90_error=_quantile(np.abs(error), 0.9),
        rms_error=rms,
        rms_se=float(np.std(error**2) / (2 * max(rms, 1e-300) * np.sqrt(error.size))) if error.size else NAN,
        bias=_mean(error),
        coverage=_mean(covered),
        median_width=_quantile(width, 0.5),
        waste=_quantile(waste, 0.5),
        mean_waste=_mean(waste),
        ratio=ratio,
        ratio_error=ratio_error,
    )


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else NAN


def _quantile(values: Array, at: float) -> float:
    return float(np.quantile(values, at)) if values.size else NAN


def _ratio(error: Array, own: Array) -> tuple[float, float]:
    """Root of the ratio of mean squares over the worlds that both fitted, and its standard error (delta method)."""
    both = np.isfinite(error) & np.isfinite(own)
    if both.sum() < 2 or not (own[both] ** 2).mean() > 0:
        return NAN, NAN
    above, below = error[both] ** 2, own[both] ** 2
    square = float(above.mean() / below.mean())
    spread = float(np.std(above - square * below)) / float(below.mean()) / np.sqrt(both.sum())
    return square**0.5, float(spread / (2 * square**0.5))
