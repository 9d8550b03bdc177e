"""Amounts that add up exactly: whole FLOPs, and millionths of an hour, a dollar, a kWh, a kilogram."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

MICRO = 10**6  # amounts are rounded once, to this part, when a row enters the ledger: sums then never drift
RATES = ("gpu_hours", "usd", "usd_owned", "energy_kwh", "co2_kg")
QUANTITIES = ("flops", *RATES)


@dataclass(frozen=True)
class Amounts:
    """Entries that cost something, training FLOPs, accelerator-hours (of the reference accelerator), dollars rented, dollars
    owned, kWh at the wall, kg CO2e. None where some entry does not say, or where entries are not alike."""

    runs: int
    flops: int | None
    gpu_hours: float
    usd: float
    usd_owned: float | None
    energy_kwh: float | None
    co2_kg: float | None


def whole(value: float) -> int:
    """The decimal that a table shows, as a whole number: 1.2058083915046532e+20 is 120580839150465320000."""
    return round(Decimal(repr(float(value))))


def rounded(column: pd.Series) -> pd.Series:
    """A column of floats to the millionth."""
    return column.astype(float).round(6)


def exact_sum(values: Iterable[float]) -> float:
    """The sum of amounts that are whole millionths, itself exact; missing ones make it NaN.

    Exact up to 9e9, where a float no longer tells millionths apart.
    """
    total = 0
    for value in values:
        if not math.isfinite(value):
            return math.nan
        total += round(value * MICRO)
    return total / MICRO


def add_up(rows: pd.DataFrame) -> Amounts:
    """The sum of ledger rows; `runs` counts those that cost something."""
    mixed = rows.loc[rows["flops"].notna(), "flops_rule"].nunique() > 1
    flops = [value for value in rows["flops"] if value is not None and value == value]
    sums = {name: exact_sum(rows[name]) for name in RATES if name != "gpu_hours"}
    return Amounts(
        runs=int(((rows["gpu_hours"] > 0) | (rows["usd"] > 0)).sum()),
        flops=None if mixed or (rows.size and not flops) else sum(int(value) for value in flops),
        gpu_hours=exact_sum(rows["reference_gpu_hours"]),
        usd=sums["usd"],
        **{name: _known(sums[name]) for name in ("usd_owned", "energy_kwh", "co2_kg")},
    )


def by(rows: pd.DataFrame, column: str) -> dict[str, Amounts]:
    """The same for each value of a column, in order of appearance; what is missing is "not given"."""
    keys = rows[column].fillna("").astype(str).replace("", "not given")
    return {str(name): add_up(part) for name, part in rows.groupby(keys, sort=False)}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
