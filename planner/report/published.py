"""Published explorations as small ledgers, each with its scope and source."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cache
from importlib.resources import files

import pandas as pd

from planner.errors import InputError


class Scope(StrEnum):
    """What an exploration includes; figures of two scopes are never compared."""

    SCALING = "scaling"
    PROGRAMME = "programme"
    LAB = "lab"

    @property
    def words(self) -> str:
        """The scope as a sentence without its end."""
        return {
            Scope.SCALING: "the runs a scaling law is fitted to, nothing else",
            Scope.PROGRAMME: "every run of the project before the final one, failed and diverged runs included",
            Scope.LAB: "all research compute of a lab, unreleased models, synthetic data and post-training research included",
        }[self]


UNITS = {
    "flops": "training FLOPs", "gpu_hours": "GPU-hours", "co2_kg": "kg CO2e", "usd_share": "share of compute dollars"
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One published exploration; amounts are in `quantity` (UNITS). `low` and `high` bracket a judged ratio."""

    name: str
    scope: Scope
    quantity: str
    subject: str
    source: str
    note: str
    exploration: tuple[tuple[str, float], ...]
    final: tuple[tuple[str, float], ...]
    judgement: bool = False
    low: float | None = None
    high: float | None = None
    accelerator: str = ""
    usd_per_gpu_hour: float | None = None

    @property
    def ratio(self) -> float:
        """Exploration over final, from the decimals as published."""
        return float(_total(self.exploration) / _total(self.final))

    @property
    def table(self) -> pd.DataFrame:
        """The ledger, one row per published amount."""
        rows = [
            {
                "case": self.name, "scope": self.scope.value, "side": side, "name": name, "amount": amount,
                "unit": UNITS[self.quantity], "usd": amount * self.usd_per_gpu_hour if self.usd_per_gpu_hour else None,
                "judgement": self.judgement and side == "exploration", "accelerator": self.accelerator, "source": self.source,
                "note": self.note,
            }
            for side, amounts in (("final", self.final), ("exploration", self.exploration)) for name, amount in amounts
        ]  # fmt: skip
        return pd.DataFrame(rows)


@cache
def cases() -> tuple[Case, ...]:
    """Every published case of the catalog."""
    raw = tomllib.loads(files("planner.report").joinpath("published.toml").read_text(encoding="utf-8"))
    return tuple(
        Case(
            **{
                **fields,
                "scope": Scope(fields["scope"]),
                **{
                    side: tuple((str(name), float(amount)) for name, amount in fields[side])
                    for side in ("exploration", "final")
                },
            }
        )
        for fields in raw["case"]
    )


def find_case(name: str) -> Case:
    """A case by name; InputError with the nearest name."""
    known = {case.name: case for case in cases()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise InputError(
            f"no published case {name!r}", f"did you mean {near[0]!r}?" if near else f"one of: {', '.join(known)}"
        )
    return known[name]


def _total(amounts: tuple[tuple[str, float], ...]) -> Fraction:
    return sum((Fraction(repr(amount)) for _, amount in amounts), Fraction(0))
