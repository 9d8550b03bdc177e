"""One row of a backtest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BacktestRow:
    """Errors, widths and coverage (fractions of loss) of the runs held out at `kappa` to the next band's kappa.

    `bias` is the mean signed error: above zero the law predicts too high a loss.
    """

    kappa: float
    n: int
    bias: float
    median_error: float
    p90_error: float
    coverage: float
    median_width: float
