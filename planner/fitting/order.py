"""What orders runs from small to large: which of them a backtest hides, and how far a prediction lies beyond them."""

from __future__ import annotations

from planner.errors import InputError
from planner.laws.centre import Array
from planner.laws.law import Law
from planner.laws.scale import LOGGED, Scale, scale_of
from planner.runs.sample import Sample


def order_of(sample: Sample, law: type[Law]) -> Scale | None:
    """The law's own scale; for a law without one the compute of the runs, where they know it; else None."""
    own = scale_of(law)
    if own is not None:
        return own
    flops = sample.named.get("flops")
    return LOGGED if flops is not None and (flops > 0).all() else None


def ordered(sample: Sample, law: type[Law]) -> Array:
    """How large each run is `(n_runs,)`; InputError where nothing orders them."""
    order = order_of(sample, law)
    if order is None:
        raise InputError(
            f"{sample.name}: nothing orders these runs from small to large for the {law.name} law",
            "leave --window out, or give their FLOPs in a column",
        )
    return order.of(sample.named)
