"""Accelerators: dense peaks, power and node size, from the room's own catalog."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from planner.errors import InputError


@dataclass(frozen=True)
class Accelerator:
    """One chip. Peaks are dense FLOP/s; `usd_per_hour` is rent per chip, `price_basis` says from where and when.

    `server_power_factor` is the server's maximum power over the sum of its chips' TDP.
    """

    name: str
    bf16_flops: float
    memory_bytes: float
    tdp_watts: float
    server_power_factor: float
    per_node: int
    usd_per_hour: float
    price_basis: str
    fp8_flops: float | None = None


@cache
def accelerators() -> dict[str, Accelerator]:
    """The catalog, by name."""
    raw = tomllib.loads(files("planner.costs").joinpath("catalog.toml").read_text(encoding="utf-8"))
    return {name: Accelerator(name=name, **fields) for name, fields in raw.items()}


def find_accelerator(name: str) -> Accelerator:
    """An accelerator by name; InputError names the nearest one when there is none."""
    known = accelerators()
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, n=1)
        raise InputError(
            f"unknown accelerator {name!r}", f"did you mean {near[0]!r}?" if near else f"one of: {', '.join(known)}"
        )
    return known[name.lower()]
