"""What one run costs: hours by the step-time model, then dollars and energy, each with its range."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from planner.costs.accelerators import Accelerator
from planner.costs.energy import EMBODIED_KG_PER_GPU_HOUR, co2_kg, energy_kwh
from planner.costs.ownership import OwnedRate, Ownership, break_even_utilisation, owned_rate
from planner.costs.prices import Grid, Purchase, Rent
from planner.costs.reliability import Reliability
from planner.costs.search import Cluster, Fastest, fastest_layout
from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.flops import FlopsRule, flops_per_token

# Published GPU-hours of dense runs are longer than the fastest layout's, interruptions apart: evaluation, slower phases, a
# layout that was not the fastest, stretches trained twice. Geometric mean and sd of logs of modelled over published hours
# over 36 dense runs (tests/benchmarks/final_runs.py).
PRODUCTION = 0.67
PRODUCTION_SPREAD = 0.29
P10, P90 = -1.2815515655446004, 1.2815515655446004  # standard normal quantiles


@dataclass(frozen=True)
class Percentiles:
    """The middle 80 % of an uncertain amount."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True)
class Hours:
    """Accelerator-hours of a run: `ideal` ones of the fastest layout, over `goodput` and `production`.

    `sd` is the standard deviation of ln hours: the throughput's, and that of the rate of interruptions. A measured run's
    hours have neither.
    """

    steps: int
    ideal: float
    goodput: float
    production: float
    sd: float
    sd_of_goodput: float

    @property
    def expected(self) -> float:
        """Median hours."""
        return self.ideal / (self.goodput * self.production)

    @property
    def percentiles(self) -> Percentiles:
        """P10, P50 and P90 of hours, lognormal."""
        spread = math.hypot(self.sd, self.sd_of_goodput)
        return lognormal(self.expected, spread)


@dataclass(frozen=True)
class Terms:
    """What is assumed about money, energy and the cluster."""

    rent: Rent
    grid: Grid
    purchase: Purchase | None = None
    ownership: Ownership = field(default_factory=Ownership)
    reliability: Reliability = field(default_factory=Reliability)
    production: float = PRODUCTION


@dataclass(frozen=True)
class RunCost:
    """One run: FLOPs by `flops_rule`, hours, dollars, energy. `mfu` is FLOPs over the BF16 peak while steps run,
    `utilisation` over all paid hours; `owned` is None where no purchase price is known."""

    tokens: float
    flops: float
    flops_rule: FlopsRule
    fastest: Fastest
    hours: Hours
    mfu: float
    utilisation: float
    days: float
    usd_rental: Percentiles
    usd_owned: Percentiles | None
    owned: OwnedRate | None
    break_even_utilisation: float | None
    energy_kwh: float
    co2_kg: float
    co2_embodied_kg: float


def lognormal(median: float, sd: float) -> Percentiles:
    """P10, P50 and P90 around a median, `sd` of logs."""
    return Percentiles(median * math.exp(sd * P10), median, median * math.exp(sd * P90))


def hours_of(model: Architecture, tokens: float, cluster: Cluster, fastest: Fastest, terms: Terms) -> Hours:
    """Hours of a run of whole steps with the given layout; raises InputError for no tokens."""
    if not (math.isfinite(tokens) and tokens > 0.0):
        raise InputError(f"tokens = {tokens} is not positive", "give a count such as 14.8T")
    steps = math.ceil(tokens / fastest.batch_tokens)
    goodput = terms.reliability.goodput(cluster.count)
    worse = terms.reliability.goodput_quantile(cluster.count, 0.1)
    return Hours(
        steps=steps,
        ideal=steps * fastest.seconds * cluster.count / 3600.0,
        goodput=goodput,
        production=terms.production,
        sd=PRODUCTION_SPREAD,
        sd_of_goodput=math.log(goodput / worse) / P90,
    )


def run_cost(
    model: Architecture,
    tokens: float,
    cluster: Cluster,
    terms: Terms,
    *,
    batch_tokens: float,
    context_length: int,
    measured_gpu_hours: float | None = None,
) -> RunCost:
    """The cost of training `model` on `tokens`, with modelled hours unless `measured_gpu_hours` are given.

    FLOPs are 6 x active parameters x tokens, the rule the whole planner compares runs by. Raises InputError when the model
    does not fit the cluster.
    """
    fastest = fastest_layout(model, cluster, batch_tokens, context_length)
    hours = hours_of(model, tokens, cluster, fastest, terms)
    if measured_gpu_hours is not None:
        hours = Hours(hours.steps, measured_gpu_hours, 1.0, 1.0, 0.0, 0.0)
    rule = FlopsRule.SIX_ND_ACTIVE
    flops = tokens * flops_per_token(model, rule, context_length)
    owned = _owned(cluster.chip, terms)
    kwh = energy_kwh(hours.expected, cluster.chip, average_draw=terms.ownership.average_draw, pue=terms.ownership.pue)
    peak = cluster.chip.bf16_flops
    return RunCost(
        tokens=tokens,
        flops=flops,
        flops_rule=rule,
        fastest=fastest,
        hours=hours,
        mfu=flops / tokens * fastest.batch_tokens / (fastest.seconds * cluster.count * peak),
        utilisation=flops / (hours.expected * 3600.0 * peak),
        days=hours.expected / cluster.count / 24.0,
        usd_rental=_usd(hours, terms.rent.usd_per_gpu_hour, terms.rent.low, terms.rent.high),
        usd_owned=_usd(hours, owned.usd_per_gpu_hour) if owned else None,
        owned=owned,
        break_even_utilisation=_break_even(cluster.chip, terms),
        energy_kwh=kwh,
        co2_kg=co2_kg(kwh, terms.grid),
        co2_embodied_kg=EMBODIED_KG_PER_GPU_HOUR * hours.expected,
    )


def _usd(hours: Hours, rate: float, low: float | None = None, high: float | None = None) -> Percentiles:
    """Dollars: the spread of hours and that of the price, whose low and high are taken for P10 and P90."""
    below = math.log(rate / (low or rate)) / P90
    above = math.log((high or rate) / rate) / P90
    spread = math.hypot(hours.sd, hours.sd_of_goodput)
    middle = hours.expected * rate
    return Percentiles(
        middle * math.exp(P10 * math.hypot(spread, below)), middle, middle * math.exp(P90 * math.hypot(spread, above))
    )


def _owned(chip: Accelerator, terms: Terms) -> OwnedRate | None:
    return owned_rate(chip, terms.purchase, terms.grid, terms.ownership) if terms.purchase else None


def _break_even(chip: Accelerator, terms: Terms) -> float | None:
    if terms.purchase is None:
        return None
    return break_even_utilisation(chip, terms.purchase, terms.grid, terms.ownership, terms.rent)
