"""Numbers as people write them ("14.8T", "180K", "20 per param", "3x final") and back."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from enum import Enum

from planner.errors import InputError

SUFFIXES = {"": 0, "K": 3, "M": 6, "B": 9, "G": 9, "T": 12, "P": 15, "E": 18, "Z": 21, "Y": 24}
_WHOLE = r"\d{1,3}(?:,\d{3})+|\d+(?:_\d+)*"  # 1,000,000 or 1_000_000; "14,8" is neither
_NUMBER = re.compile(rf"\s*([+-]?(?:(?:{_WHOLE})(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\d.,_])\s*(.*?)\s*", re.DOTALL)


class Unit(Enum):
    """What a budget counts."""

    FLOPS = "FLOPs"
    GPU_HOURS = "GPU-hours"
    USD = "dollars"
    FINAL = "x final"


@dataclass(frozen=True)
class Budget:
    """An amount and what it counts: FLOPs, GPU-hours, dollars, or multiples of the final run."""

    amount: float
    unit: Unit


@dataclass(frozen=True)
class TokenBound:
    """Training tokens: a plain count, or a number of tokens per parameter."""

    amount: float
    per_param: bool

    def tokens(self, params: float) -> float:
        """Tokens for a model of `params` parameters."""
        return self.amount * params if self.per_param else self.amount


def parse_count(value: object) -> float:
    """A plain count from a number or a string such as "14.8T", "2.788M" or "1e24".

    K, M, B (or G), T, P, E, Z, Y are powers of a thousand; upper or lower case.
    Raises InputError for anything else, for an unknown unit, and for a number that is not finite.
    """
    number, rest = _split(value)
    if rest.upper() not in SUFFIXES:
        raise InputError(f"{value!r} has the unknown unit {rest!r}", "write a plain count: 14.8T, 180K, 2.788M or 1e24")
    try:
        result = float(number.scaleb(SUFFIXES[rest.upper()]))
    except (DecimalException, OverflowError):
        result = math.inf
    if not math.isfinite(result):
        raise InputError(f"{value!r} is not a finite number", "write a count such as 14.8T, 180K or 1e24")
    return result


def parse_tokens(value: object) -> TokenBound:
    """Tokens as a count ("1T") or per parameter ("20 per param")."""
    if isinstance(value, str) and (head := re.fullmatch(r"(.*?)\s*(?:tokens?\s+)?per\s+param(?:eter)?", value.strip())):
        return TokenBound(parse_count(head.group(1)), per_param=True)
    if isinstance(value, str):
        value = re.sub(r"\s*tokens?\s*$", "", value)
    return TokenBound(parse_count(value), per_param=False)


def parse_budget(value: object) -> Budget:
    """A budget: "3x final", "1e24 FLOPs", "5M GPU-hours" or "$10M"."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("$"):
            return Budget(parse_count(text[1:]), Unit.USD)
        for pattern, unit in (
            (r"(.*?)\s*x\s*final", Unit.FINAL),
            (r"(.*?)\s*flops?", Unit.FLOPS),
            (r"(.*?)\s*gpu[- ]?hours?", Unit.GPU_HOURS),
            (r"(.*?)\s*(?:usd|dollars?)", Unit.USD),
        ):
            if match := re.fullmatch(pattern, text, re.IGNORECASE):
                return Budget(parse_count(match.group(1)), unit)
    raise InputError(
        f"{value!r} is not a budget", 'say what it counts: "3x final", "1e24 FLOPs", "5M GPU-hours" or "$10M"'
    )


def human(value: float, digits: int = 3) -> str:
    """A count for people: 14.8T, 2.788M, 3.29e24; missing is a dash.

    Above 1000T the power of ten says more than a letter does.
    """
    if not math.isfinite(value):
        return "-"
    size = abs(value)
    if size >= 1e15:
        mantissa, exponent = f"{value:.{max(digits - 1, 0)}e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    for letter, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if size >= scale * (1 - 0.5 * 10**-digits):
            return f"{_trim(value / scale, digits)}{letter}"
    return _trim(value, digits)


def dollars(value: float) -> str:
    """Dollars for people: $5.576M."""
    return "-" if not math.isfinite(value) else f"${human(value, 4)}"


def percent(fraction: float, digits: int = 2) -> str:
    """A fraction as per cent."""
    return f"{100 * fraction:.{digits}f}%"


def times(ratio: float) -> str:
    """A ratio as a multiple: two decimals, or two figures when it is small."""
    return f"{ratio:.2f}x" if ratio >= 0.095 or not ratio else f"{ratio:#.2g}x"


def _trim(value: float, digits: int) -> str:
    return f"{float(f'{value:.{digits}g}'):.10g}"


def _split(value: object) -> tuple[Decimal, str]:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InputError(f"{value!r} is not a number", "write a count such as 14.8T, 180K or 1e24")
    match = _NUMBER.fullmatch(str(value))
    if match is None:
        raise InputError(f"{value!r} is not a number", "write a count such as 14.8T, 180K or 1e24")
    try:
        return Decimal(match.group(1).replace(",", "").replace("_", "")), match.group(2)
    except DecimalException:  # an exponent beyond what even a decimal holds
        raise InputError(f"{value!r} is not a finite number", "write a count such as 14.8T, 180K or 1e24") from None
