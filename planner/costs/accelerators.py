"""Accelerators: dense peaks, memory, links and power, from the room's own catalog or a user's TOML file."""

from __future__ import annotations

import difflib
import math
import tomllib
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Annotated, Any, ClassVar

from pydantic import Field, TypeAdapter, ValidationError

from planner.errors import InputError

Positive = Annotated[float, Field(gt=0, strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0, strict=True)]
SPARSITY = 2.0  # 2:4 structured sparsity doubles the printed peak
SAME = 0.005  # relative: peaks are printed to three or four digits


class Precision(StrEnum):
    """What matrix products are computed in."""

    BF16 = "bf16"
    FP8 = "fp8"
    FP4 = "fp4"


@dataclass(frozen=True)
class Accelerator:
    """One chip. Peaks are dense FLOP/s, memory bytes, bandwidths bytes/s per chip in one direction, power watts.

    `measured_matmul_flops` is the best BF16 matrix product measured; `scaleup_domain` chips share the scale-up link,
    `per_node` a host; `scaleout_bandwidth_one_way` is the network card's. `server_power_factor` is the server's maximum
    power over the sum of its chips' TDP. `usd_per_hour` is a user's own rent per chip, `price_basis` where it comes from.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: str
    bf16_flops: Positive
    memory_bytes: Positive
    memory_bandwidth: Positive
    scaleup_bandwidth_one_way: Positive
    scaleup_domain: Count
    server_power_factor: Positive
    per_node: Count
    source: str
    fp8_flops: Positive | None = None
    fp4_flops: Positive | None = None
    measured_matmul_flops: Positive | None = None
    scaleout_bandwidth_one_way: Positive | None = None
    tdp_watts: Positive | None = None
    usd_per_hour: Positive | None = None
    price_basis: str = ""

    def peak(self, precision: Precision) -> float:
        """Dense FLOP/s at `precision`; raises InputError when the chip has no such peak."""
        peaks = {Precision.BF16: self.bf16_flops, Precision.FP8: self.fp8_flops, Precision.FP4: self.fp4_flops}
        found = peaks[precision]
        if found is None:
            has = ", ".join(kind for kind, value in peaks.items() if value)
            raise InputError(f"{self.name} has no {precision} peak", f"it has {has}")
        return found

    @property
    def matmul_ceiling(self) -> float:
        """Best measured BF16 matrix product over the peak; where none was measured, the median of those that were."""
        measured = self.measured_matmul_flops or typical_ceiling() * self.bf16_flops
        return measured / self.bf16_flops

    @property
    def between_nodes(self) -> float:
        """Bytes/s one way that leave a node per chip; a TPU's scale-up link is its only one."""
        return self.scaleout_bandwidth_one_way or self.scaleup_bandwidth_one_way


_ADAPTER = TypeAdapter(Accelerator)


@cache
def accelerators() -> dict[str, Accelerator]:
    """The catalog, by name."""
    raw = tomllib.loads(files("planner.costs").joinpath("catalog.toml").read_text(encoding="utf-8"))
    return {name: Accelerator(name=name, **fields) for name, fields in raw.items()}


@cache
def typical_ceiling() -> float:
    """Median over the catalog of the best measured BF16 matrix product over the peak."""
    return median(
        chip.measured_matmul_flops / chip.bf16_flops for chip in accelerators().values() if chip.measured_matmul_flops
    )


def find_accelerator(name: str, text: str | None = None) -> Accelerator:
    """An accelerator by catalog name, or from `text`, the contents of the TOML file that `name` points to.

    A file may start from a catalog chip with `like` and change some fields. Raises InputError for an unknown name or
    field, a value that is not positive, and for a peak that a data sheet prints with sparsity unless the file says
    `allow_sparse_peak = true`.
    """
    if text is not None:
        return _from_file(name, text)
    known = accelerators()
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, n=1)
        raise InputError(
            f"unknown accelerator {name!r}",
            f"did you mean {near[0]!r}?" if near else "see `planner hardware`, or give a TOML file",
        )
    return known[name.lower()]


def _from_file(place: str, text: str) -> Accelerator:
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{place}: not TOML: {error}", "see docs/costs.md for the form of an accelerator") from None
    sparse = given.pop("allow_sparse_peak", False)
    like = given.pop("like", None)
    base = {**asdict(find_accelerator(str(like))), "measured_matmul_flops": None} if like is not None else {}
    chip = _validated(place, {"source": place, **base, "name": Path(place).stem, **given})
    if sparse is not True:
        _refuse_sparse(place, chip)
    return chip


def _validated(place: str, fields: dict[str, Any]) -> Accelerator:
    try:
        return _ADAPTER.validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] in ("greater_than", "finite_number"):
            raise InputError(f"{place}: {where} = {first['input']} is not positive", "give it in raw units") from None
        if first["type"] == "missing":
            raise InputError(f"{place}: {where} is missing", 'give it, or start from a chip: like = "h100"') from None
        raise InputError(f"{place}: {where}: {first['msg'].lower()}", "docs/costs.md lists the fields") from None


def _refuse_sparse(place: str, chip: Accelerator) -> None:
    """Twice a known dense peak that is nobody's dense peak is the figure with sparsity."""
    for field in ("bf16_flops", "fp8_flops", "fp4_flops"):
        peak = getattr(chip, field)
        dense = {known.name: getattr(known, field) for known in accelerators().values() if getattr(known, field)}
        if peak is None or any(math.isclose(peak, value, rel_tol=SAME) for value in dense.values()):
            continue
        for name, value in dense.items():
            if math.isclose(peak, SPARSITY * value, rel_tol=SAME):
                raise InputError(
                    f"{place}: {field} = {peak:.4g} is the {name}'s peak with sparsity; its dense peak is {value:.4g}",
                    "training is dense: give the dense peak, or allow_sparse_peak = true",
                )
