"""What dollars, hours and the ratio would be at another price, utilisation or rate of failure."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import pandas as pd

from planner.costs.run_cost import P90, PRODUCTION_SPREAD
from planner.report.amounts import exact_sum
from planner.runs.columns import Status

KEPT = (Status.COMPLETED, Status.RUNNING)  # hours of other runs are lost
UNKNOWN_PRICE = 0.25  # either way, where no other price of the chip is known


@dataclass(frozen=True)
class Levers:
    """USD per GPU-hour; FLOPs over the BF16 peak of the small runs and of the final one; the share of exploration's hours
    that goes into runs that fail."""

    usd_per_gpu_hour: float
    utilisation_small: float
    utilisation_final: float
    lost_share: float


@dataclass(frozen=True)
class Base:
    """What the levers move: hours of runs that were kept, at `now`; other hours of each side; dollars that follow no hour."""

    now: Levers
    kept_gpu_hours: float
    other_gpu_hours: float
    pretraining_gpu_hours: float
    stages_gpu_hours: float
    fixed_usd: float
    final_fixed_usd: float


@dataclass(frozen=True)
class Outcome:
    """Exploration and the final run in GPU-hours and rented dollars, and one over the other."""

    gpu_hours: float
    usd: float
    final_gpu_hours: float
    final_usd: float

    @property
    def ratio(self) -> float:
        """In GPU-hours."""
        return self.gpu_hours / self.final_gpu_hours


def what_if(base: Base, at: Levers) -> Outcome:
    """Hours of runs change inversely with their utilisation and with the share that is kept; dollars follow the price."""
    runs = base.kept_gpu_hours * base.now.utilisation_small / at.utilisation_small / (1 - at.lost_share)
    hours = runs + base.other_gpu_hours
    final = base.pretraining_gpu_hours * base.now.utilisation_final / at.utilisation_final + base.stages_gpu_hours
    price = at.usd_per_gpu_hour
    return Outcome(hours, price * hours + base.fixed_usd, final, price * final + base.final_fixed_usd)


def base_of(entries: pd.DataFrame, question: dict[str, Any]) -> Base | None:
    """The base of a ledger's rows; None where no run has been kept, or no price or FLOPs are known."""
    rates, side = question["rates"], entries["side"]
    rate = rates["accelerators"][rates["reference"]]
    price, hours = rate["usd_per_gpu_hour"], entries["reference_gpu_hours"]
    ran = (side == "exploration") & entries["kind"].isin(["run", "rerun"])
    kept = ran & entries["status"].isin(KEPT)
    trained, spent = sum(v for v in entries.loc[kept, "flops"] if v is not None), exact_sum(hours[ran])
    useful, final = exact_sum(hours[kept]), side == "final"
    if not (price and useful and trained):
        return None
    first, other = final & (entries["kind"] == "pretraining"), (side == "exploration") & ~ran
    return Base(
        now=Levers(price, trained / (useful * 3600 * rate["bf16_flops"]), question["utilisation"]["fraction"], 1 - useful / spent),
        kept_gpu_hours=useful,
        other_gpu_hours=exact_sum(hours[other]),
        pretraining_gpu_hours=exact_sum(hours[first]),
        stages_gpu_hours=exact_sum(hours[final & ~first]),
        fixed_usd=exact_sum(entries.loc[side == "exploration", "usd"]) - price * exact_sum(hours[side == "exploration"]),
        final_fixed_usd=exact_sum(entries.loc[final, "usd"]) - price * exact_sum(hours[final]),
    )  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """One lever from `low` to `high`: what exploration's dollars and the ratio become at either end."""

    lever: str
    words: str
    low: float
    high: float
    usd_low: float
    usd_high: float
    ratio_low: float
    ratio_high: float


WORDS = {
    "usd_per_gpu_hour": "price of a GPU-hour",
    "utilisation_small": "utilisation of the small runs",
    "utilisation_final": "utilisation of the final run",
    "lost_share": "hours lost in failed runs",
}


def ranges(base: Base, question: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Low and high of each lever: other quotes of the chip; P10 and P90 of published utilisation around the model; half and
    twice the losses."""
    rates, now = question["rates"], base.now
    rate = rates["accelerators"][rates["reference"]]
    low, high = rate["usd_low"], rate["usd_high"]
    if low == high:
        low, high = (1 - UNKNOWN_PRICE) * low, (1 + UNKNOWN_PRICE) * high
    off = math.exp(P90 * PRODUCTION_SPREAD)
    return {
        "usd_per_gpu_hour": (low, high),
        "utilisation_small": (now.utilisation_small / off, now.utilisation_small * off),
        "utilisation_final": (now.utilisation_final / off, now.utilisation_final * off),
        "lost_share": (now.lost_share / 2, min(0.9, 2 * now.lost_share)),
    }


def tornado(base: Base, question: dict[str, Any]) -> list[Bar]:
    """Each lever alone, the one that moves the ratio or the dollars most first."""
    bars, middle = [], what_if(base, base.now)
    for field in fields(Levers):
        low, high = ranges(base, question)[field.name]
        ends = [what_if(base, replace(base.now, **{field.name: value})) for value in (low, high)]
        bars.append(
            Bar(field.name, WORDS[field.name], low, high, ends[0].usd, ends[1].usd, ends[0].ratio, ends[1].ratio)
        )
    swing = {
        bar.lever: max(abs(bar.usd_high - bar.usd_low) / middle.usd, abs(bar.ratio_high - bar.ratio_low) / middle.ratio)
        for bar in bars
    }
    return sorted(bars, key=lambda bar: -swing[bar.lever])
