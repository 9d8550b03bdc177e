"""What an hour of each accelerator costs, rented and owned, draws and counts for, as a report needs it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from planner.costs.accelerators import Accelerator, find_accelerator
from planner.costs.energy import AVERAGE_DRAW, PUE, energy_kwh
from planner.costs.ownership import Ownership, owned_rate
from planner.costs.prices import find_grid, find_purchase, find_rent, rents
from planner.errors import InputError

GRID = "us"


@dataclass(frozen=True)
class Rate:
    """An hour of one accelerator: USD rented (`low` to `high` is what others pay), USD owned (None where no purchase price is
    known), kWh at the wall (None where its power is not known), BF16 peak FLOP/s; sources in words."""

    accelerator: str
    bf16_flops: float
    usd_per_gpu_hour: float | None
    usd_low: float | None
    usd_high: float | None
    usd_source: str
    owned_usd_per_gpu_hour: float | None
    owned_source: str
    kwh_per_gpu_hour: float | None


def rate_of(chip: Accelerator, usd_per_gpu_hour: float | None = None) -> Rate:
    """The rate of a chip at the user's own rent, or the catalog's."""
    try:
        rent = find_rent(chip, usd_per_gpu_hour=usd_per_gpu_hour)
    except InputError:
        rent = None
    listed = _listed(chip)
    owned, source = _owned(chip)
    return Rate(
        accelerator=chip.name,
        bf16_flops=float(chip.bf16_flops),
        usd_per_gpu_hour=rent.usd_per_gpu_hour if rent else None,
        usd_low=min([rent.usd_per_gpu_hour, *listed]) if rent else None,
        usd_high=max([rent.usd_per_gpu_hour, *listed]) if rent else None,
        usd_source="the sweep file" if usd_per_gpu_hour else str(rent) if rent else "no rent is known",
        owned_usd_per_gpu_hour=owned,
        owned_source=source,
        kwh_per_gpu_hour=energy_kwh(1.0, chip) if chip.tdp_watts else None,
    )


def rates_record(chip: Accelerator, usd_per_gpu_hour: float | None) -> dict[str, Any]:
    """What a results folder keeps of prices and power: the final run's accelerator is the reference of all hours."""
    grid = find_grid(GRID)
    return {
        "reference": chip.name,
        "currency": "USD",
        "accelerators": {chip.name: asdict(rate_of(chip, usd_per_gpu_hour))},
        "grid": asdict(grid),
        "average_draw": AVERAGE_DRAW,
        "pue": PUE,
    }


def rates_from(record: dict[str, Any], names: list[str]) -> dict[str, Rate]:
    """The rates of every accelerator named: the folder's own, else the catalog's. InputError for an unknown one."""
    own = {name: Rate(**fields) for name, fields in record["accelerators"].items()}
    return {name: own[name] if name in own else rate_of(find_accelerator(name)) for name in names} | own


def _listed(chip: Accelerator) -> list[float]:
    return [edge for rent in rents() if rent.accelerator == chip.name for edge in (rent.low, rent.high)]


def _owned(chip: Accelerator) -> tuple[float | None, str]:
    try:
        purchase = find_purchase(chip)
        rate = owned_rate(chip, purchase, find_grid(GRID), Ownership())
    except InputError as error:
        return None, error.message
    terms = Ownership()
    return rate.usd_per_gpu_hour, (
        f"${purchase.usd:,.0f} a chip ({purchase.date}; {purchase.source}), ${rate.capital_usd:,.0f} with server and network, "
        f"written off over {terms.years:g} years at {terms.utilisation:.0%} use, with space, electricity, repairs and staff "
        "(Cottier et al., arXiv 2405.21015, and assumptions in docs/costs.md)"
    )
