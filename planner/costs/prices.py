"""Rents, purchase prices and electricity grids, each with its date, basis and source."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from planner.costs.accelerators import Accelerator
from planner.errors import InputError


class Basis(StrEnum):
    """What a rent was quoted for."""

    LIST = "list"
    COMMITTED_1Y = "committed_1y"
    COMMITTED_3Y = "committed_3y"
    SPOT = "spot"
    ASSUMPTION = "assumption"  # of a published report
    OWN = "own"  # the user's


@dataclass(frozen=True)
class Rent:
    """USD per accelerator-hour; `low` and `high` bracket what others pay."""

    accelerator: str
    basis: Basis
    usd_per_gpu_hour: float
    low: float
    high: float
    date: str
    source: str

    def __str__(self) -> str:
        """In words, with basis, date and source."""
        dated = f"{self.basis.replace('_', ' ')}, {self.date}" if self.date else str(self.basis)
        return f"${self.usd_per_gpu_hour:.2f} per GPU-hour ({dated}; {self.source})"


@dataclass(frozen=True)
class Purchase:
    """USD for one chip, with its share of the server if `includes_server`."""

    accelerator: str
    usd: float
    low: float
    high: float
    includes_server: bool
    date: str
    source: str


@dataclass(frozen=True)
class Grid:
    """Electricity: USD and kg CO2e per kWh."""

    name: str
    usd_per_kwh: float
    kg_co2_per_kwh: float
    date: str
    source: str


@cache
def _catalog() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads(files("planner.costs").joinpath("prices.toml").read_text(encoding="utf-8"))


@cache
def rents() -> tuple[Rent, ...]:
    """Every rent of the catalog."""
    return tuple(
        Rent(**{**_bracketed(fields, "usd_per_gpu_hour"), "basis": Basis(fields["basis"])})
        for fields in _catalog()["rent"]
    )


@cache
def purchases() -> tuple[Purchase, ...]:
    """Every purchase price of the catalog."""
    return tuple(Purchase(**_bracketed(fields, "usd")) for fields in _catalog()["purchase"])


@cache
def grids() -> tuple[Grid, ...]:
    """Every grid of the catalog."""
    return tuple(Grid(**fields) for fields in _catalog()["grid"])


def _bracketed(fields: dict[str, Any], price: str) -> dict[str, Any]:
    return {"low": fields[price], "high": fields[price], **fields}


def find_rent(chip: Accelerator, basis: Basis | None = None, usd_per_gpu_hour: float | None = None) -> Rent:
    """The rent of `chip`: the user's own, else the one its file gives, else the catalog's for `basis`, else its first.

    Raises InputError when nothing is known.
    """
    own = usd_per_gpu_hour if usd_per_gpu_hour is not None else chip.usd_per_hour
    if own is not None and basis is None:
        return Rent(chip.name, Basis.OWN, own, own, own, "", chip.price_basis or "given")
    known = [rent for rent in rents() if rent.accelerator == chip.name]
    found = [rent for rent in known if basis in (None, rent.basis)]
    if not found:
        kinds = ", ".join(sorted({rent.basis for rent in known})) or "none"
        wanted = f"{basis} rent" if basis else "rent"
        raise InputError(f"no {wanted} is known for {chip.name}", f"known: {kinds}; give your own price per GPU-hour")
    return found[0]


def find_purchase(chip: Accelerator) -> Purchase:
    """What `chip` costs to buy; raises InputError when nothing is known."""
    for purchase in purchases():
        if purchase.accelerator == chip.name:
            return purchase
    known = ", ".join(purchase.accelerator for purchase in purchases())
    raise InputError(f"no purchase price is known for {chip.name}", f"known: {known}; give your own price of a chip")


def find_grid(name: str) -> Grid:
    """A grid by name; raises InputError for an unknown one."""
    for grid in grids():
        if grid.name == name.lower():
            return grid
    raise InputError(f"unknown grid {name!r}", f"one of: {', '.join(grid.name for grid in grids())}")
