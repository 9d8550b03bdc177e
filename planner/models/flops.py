"""Training FLOPs by a named rule."""

from __future__ import annotations

RULE_6ND_ACTIVE = "6nd:params_active"


def training_flops(params_active: float, tokens: float) -> float:
    """6 x params_active x tokens (Kaplan et al., arXiv 2001.08361, section 2.1), attention scores left out.

    Both counts are raw; the product is a float because it overflows 64-bit integers.
    """
    return 6.0 * float(params_active) * float(tokens)
