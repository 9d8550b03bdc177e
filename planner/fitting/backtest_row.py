"""One row of a backtest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BacktestRow:
    """Errors, widths and coverage (fractions of loss) of the runs held out at `kappa` to the next band's kappa.

    `refused` of the `n` runs lay beyond what their training runs could backtest; they are in the figures all the same.
    """

    kappa: float
    n: int
    median_error: float
    p90_error: float
    coverage: float
    median_width: float
    refused: int
