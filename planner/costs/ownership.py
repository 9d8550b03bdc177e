"""What an hour of an owned accelerator costs, part by part."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from planner.costs.accelerators import Accelerator
from planner.costs.energy import AVERAGE_DRAW, PUE, server_watts
from planner.costs.prices import Grid, Purchase, Rent
from planner.errors import InputError

HOURS_PER_YEAR = 8766.0
VALUE_LOST_PER_YEAR = 1.0 - 10.0**-0.14  # 27.6 %: 0.14 orders of magnitude a year (Cottier et al., arXiv 2405.21015)


class Depreciation(StrEnum):
    """How the purchase price is spread over the hours."""

    STRAIGHT_LINE = "straight_line"  # over `years`, nothing left
    MARKET_VALUE = "market_value"  # what the cluster loses in value over `years`, from the first


@dataclass(frozen=True)
class Ownership:
    """Assumptions of owning; rates are yearly fractions, prices USD.

    - `server_factor`: server over chip price, 1.64 (Cottier et al., arXiv 2405.21015; 1 where the quote has the server).
    - `network_share`: of the whole cluster's price, 0.19 (same source).
    - `years`: 5 for chips bought since 2023 (same source).
    - `colocation_usd_per_kw_month`: space and cooling per kW of server power, 150 (2024-2026); electricity is apart.
    - `operations`: repair, spares, support per year over the purchase price, 0.03: an assumption.
    - `staff_usd_per_gpu_year`: 300: an assumption, one engineer at $300K for 1,000 chips.
    - `capital_rate`: interest on half the price, 0 as in Cottier et al.
    - `utilisation`: hours used over hours owned, 0.9: an assumption.
    """

    server_factor: float = 1.64
    network_share: float = 0.19
    years: float = 5.0
    depreciation: Depreciation = Depreciation.STRAIGHT_LINE
    colocation_usd_per_kw_month: float = 150.0
    operations: float = 0.03
    staff_usd_per_gpu_year: float = 300.0
    capital_rate: float = 0.0
    utilisation: float = 0.9
    average_draw: float = AVERAGE_DRAW
    pue: float = PUE

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not (math.isfinite(value) and value >= 0.0):
                raise InputError(f"{field.name} = {value} is not zero or more", "give a finite number")
        if not 0.0 < self.utilisation <= 1.0:
            raise InputError(f"utilisation = {self.utilisation} of an owned cluster", "give a share above 0, up to 1")
        if not 0.0 <= self.network_share < 1.0:
            raise InputError(f"network_share = {self.network_share} of a cluster's price", "give a share below 1")
        if self.years == 0.0:
            raise InputError("years = 0 to write a cluster off over", "give a positive number")


@dataclass(frozen=True)
class OwnedRate:
    """USD per used accelerator-hour, by part; `capital_usd` is what one accelerator and its cluster share cost to buy."""

    capital: float
    interest: float
    colocation: float
    electricity: float
    operations: float
    staff: float
    capital_usd: float

    @property
    def parts(self) -> dict[str, float]:
        """USD per hour by part."""
        return {name: value for name, value in vars(self).items() if name != "capital_usd"}

    @property
    def usd_per_gpu_hour(self) -> float:
        """All parts."""
        return sum(self.parts.values())


def capital_usd(purchase: Purchase, terms: Ownership) -> float:
    """One accelerator with its share of server and network."""
    server = purchase.usd * (1.0 if purchase.includes_server else terms.server_factor)
    return server / (1.0 - terms.network_share)


def owned_rate(chip: Accelerator, purchase: Purchase, grid: Grid, terms: Ownership) -> OwnedRate:
    """What a used hour costs; idle hours are paid by the used ones, their electricity is not drawn."""
    capital = capital_usd(purchase, terms)
    lost = capital
    if terms.depreciation is Depreciation.MARKET_VALUE:
        lost = capital * (1.0 - (1.0 - VALUE_LOST_PER_YEAR) ** terms.years)
    used = HOURS_PER_YEAR * terms.utilisation
    kilowatts = server_watts(chip) / 1000.0
    return OwnedRate(
        capital=lost / terms.years / used,
        interest=terms.capital_rate * capital / 2.0 / used,
        colocation=12.0 * terms.colocation_usd_per_kw_month * kilowatts / used,
        electricity=kilowatts * terms.average_draw * terms.pue * grid.usd_per_kwh,
        operations=terms.operations * capital / used,
        staff=terms.staff_usd_per_gpu_year / used,
        capital_usd=capital,
    )


def break_even_utilisation(
    chip: Accelerator, purchase: Purchase, grid: Grid, terms: Ownership, rent: Rent
) -> float | None:
    """The share of hours that must be used for owning to cost what renting does; None when no share is enough."""
    full = owned_rate(chip, purchase, grid, replace(terms, utilisation=1.0))
    margin = rent.usd_per_gpu_hour - full.electricity
    if margin <= 0.0:
        return None
    share = (full.usd_per_gpu_hour - full.electricity) / margin
    return share if share <= 1.0 else None
