"""How far the fitted runs reach, and how far beyond them a prediction is supported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.errors import InputError
from planner.fitting.backtest import BEYOND, Fold, reached
from planner.fitting.backtest_row import BacktestRow
from planner.fitting.checks import failed_from
from planner.fitting.order import order_of
from planner.laws.centre import Array
from planner.laws.law import Law
from planner.laws.scale import COMPUTE, Scale, scale_of
from planner.runs.sample import Sample

RATIO = "tokens_per_param"
SLACK = 3.0  # times the fitted range that tokens per parameter, and other variables above zero, may leave


@dataclass(frozen=True)
class Reach:
    """The largest fitted run by the law's own scale, the ranges of what else it speaks of, and how far it is supported.

    `scale` names what `largest` counts (`compute`: FLOPs); both are None where the law's variables do not order runs.
    `ranges` holds lowest and highest fitted tokens_per_param, for a law of size and data, and variables outside the scale.
    `order` names what ordered the runs of the backtest: the scale, or the compute of runs that know it (None: no backtest).
    `kappa` is the largest ratio to it backtested, `limit` the largest that is supported.
    """

    scale: str | None
    largest: float | None
    ranges: Mapping[str, tuple[float, float]]
    order: str | None
    kappa: float
    limit: float

    @property
    def flops(self) -> float:
        """The largest fitted compute; InputError for a law of other columns."""
        if self.largest is None or self.scale != COMPUTE:
            raise InputError("this fit does not speak of compute", "fit a law of params and tokens, or of flops")
        return self.largest


def reach_of(sample: Sample, law: type[Law], folds: list[Fold], table: Sequence[BacktestRow], level: float) -> Reach:
    """Three times the largest compute ratio backtested, or the largest ratio of another scale; no further than the
    backtest's own intervals held.
    """
    own, order, named = scale_of(law), order_of(sample, law), sample.named
    kappa, stop = reached(folds), failed_from(table, level)
    limit = BEYOND * kappa if own is not None and own.is_compute else kappa
    return Reach(
        scale=None if own is None else own.name,
        largest=None if own is None else float(own.of(named).max()),
        ranges={name: (float(np.min(v)), float(np.max(v))) for name, v in beside(law, own, named).items()},
        order=None if order is None else order.name,
        kappa=kappa,
        limit=limit if stop is None else min(limit, stop),
    )


def beside(law: type[Law], own: Scale | None, named: Mapping[str, Array]) -> dict[str, Array]:
    """What a law speaks of beside its scale, by name, from raw columns: other variables, and tokens per parameter."""
    inside = () if own is None else own.columns
    found = {name: named[name] for name in law.variables if name not in inside}
    if own is not None and own.is_compute and len(inside) > 1:
        found[RATIO] = own.of(named) / own.times / named[inside[0]] ** 2
    return found


def widened(low: float, high: float) -> tuple[float, float]:
    """A fitted range and what lies near it: a factor SLACK to both sides, nothing where it holds zero or less."""
    return (low / SLACK, high * SLACK) if low > 0 else (low, high)
