"""Losses in nats per token, whatever they were logged in."""

from __future__ import annotations

import math

from planner.logs.names import BITS_PER_BYTE, BITS_PER_TOKEN, NATS, PERPLEXITY

LN2 = math.log(2.0)


def in_nats(unit: str, bytes_per_token: float | None) -> tuple[str, str, float]:
    """How a loss in `unit` becomes nats: (unit afterwards, function of SQL and numpy applied first, factor).

    Perplexity is exp(nats per token). Bits per byte become nats per token by ln 2 x bytes per token, and stay bits per
    byte where the tokenizer's bytes per token are not known.
    """
    if unit == PERPLEXITY:
        return NATS, "ln", 1.0
    if unit == BITS_PER_TOKEN:
        return NATS, "", LN2
    if unit == BITS_PER_BYTE and bytes_per_token:
        return NATS, "", LN2 * bytes_per_token
    return unit or NATS, "", 1.0
