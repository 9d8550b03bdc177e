"""How the end of a schedule spreads: the same list packed again with hours and failures drawn anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from planner.costs.run_cost import Percentiles
from planner.laws.centre import Array
from planner.sweep.schedule.jobs import Index
from planner.sweep.schedule.packing import Packer
from planner.sweep.schedule.risk import Risk

WORK = 100_000  # runs packed in all the repeats of a schedule
FEWEST, MOST = 10, 400  # repeats
COMMON = ndtri((np.arange(400) + 0.5) / 400)  # the common draw's distribution, in even steps of probability


@dataclass(frozen=True)
class Spread:
    """Hours at which parts of a plan end in repeats of its schedule, the common draw at its median `(repeats, parts)`.

    The common draw stretches every run alike, and with it the whole schedule, so it is integrated, not simulated.
    """

    ends: Array
    common_sd: float

    def percentiles(self, part: int | None = None) -> Percentiles:
        """P10, P50 and P90 of the hour at which a part ends, or the whole."""
        return Percentiles(*np.quantile(self._all(part), (0.1, 0.5, 0.9)).tolist())

    def probability(self, hours: float) -> float:
        """Probability that everything has ended by then."""
        return float((self._all(None) <= hours).mean())

    @property
    def repeats(self) -> int:
        """How often the schedule was packed."""
        return int(self.ends.shape[0])

    @property
    def error(self) -> float:
        """Standard error of the percentiles that the number of repeats leaves, as a share of them."""
        last = np.log(self.ends.max(1))
        return float(last.std(ddof=1) / np.sqrt(last.size)) if last.size > 1 else float("nan")

    def _all(self, part: int | None) -> Array:
        ends = self.ends.max(1) if part is None else self.ends[:, part]
        return np.asarray(ends[:, None] * np.exp(self.common_sd * COMMON))


def repeats_for(n_runs: int) -> int:
    """Repeats for a plan of so many runs: the ends of small plans differ more, and are had sooner."""
    return min(max(WORK // n_runs, FEWEST), MOST)


def spread_of(
    packer: Packer, planned: Array, part: Index, risk: Risk, *, repeats: int | None = None, seed: int = 0
) -> Spread:
    """Packs the list `repeats` times (None: as many as `repeats_for` says) with drawn hours.

    `planned` `(n,)` are hours before failures, `part` `(n,)` the part of the plan that each run belongs to, from 0 up.
    """
    repeats = repeats or repeats_for(len(packer.jobs))
    ends = np.empty((repeats, int(part.max()) + 1))
    sorted_by_part = np.argsort(part, kind="stable")
    first = np.searchsorted(part[sorted_by_part], np.arange(ends.shape[1]))
    for row, drawn in zip(ends, risk.draws(len(packer.jobs), repeats, seed), strict=True):
        hours = planned * drawn
        row[:] = np.maximum.reduceat((packer.starts(hours) + hours)[sorted_by_part], first)
    return Spread(ends, risk.common_sd)
