"""A whole loss curve as a sum of powers of its learning-rate schedule."""

from __future__ import annotations

import numpy as np

from planner.errors import InputError
from planner.laws.centre import Array
from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Published
from planner.laws.published.example import Example, Limit
from planner.laws.published.family import law_class
from planner.laws.schedules import stage_columns

MOST_STAGES = 10  # a formula may have 200 names, numbers and operations
_DOC = """L(step) = L_0 + A / S^alpha - B sum over k of drop_k (1 - (1 + C area_k / rate_k^gamma)^-beta), changes: {stages}.

    S = lr_area is the sum of learning rates, warm-up included; drop_k is how far the k-th change lowers the rate,
    rate_k the rate after it, area_k the sum of rates since: planner.laws.schedules.stage_columns computes them.
    Exact for a schedule in steps; for a smooth one planner.laws.schedules.binned_columns groups its falls (ten
    groups: within .05 % of the loss). L, L_0 in nats per token; A in nats x rate^alpha, B in nats per rate, C in
    rate^(gamma-1); the exponents without unit. Without changes it is a power law in S; long after a change the loss
    is lower by B drop_k.
    Source: Luo et al. 2025, arXiv 2503.12811; coefficients and form read in thu-yao-01-luo/MultiPowerLaw, README.
    """
_REPOSITORY = "Luo et al. 2025, arXiv 2503.12811, thu-yao-01-luo/MultiPowerLaw README"
_LETTERS = ("L_0", "A", "alpha", "B", "C", "beta", "gamma")
_PUBLISHED = {
    "25M": (3.040, 0.525, 0.508, 363.788, 2.066, 0.583, 0.641),
    "100M": (2.651, 0.601, 0.453, 437.946, 2.132, 0.598, 0.655),
    "400M": (2.375, 0.654, 0.429, 523.425, 2.025, 0.594, 0.635),
}


def multi_power(stages: int) -> type[FromFormula]:
    """The law of schedules that change their rate up to `stages` times; InputError beyond 1 to 10."""
    if not 1 <= stages <= MOST_STAGES:
        raise InputError(f"a multi-power law of {stages} stages", f"ask for 1 to {MOST_STAGES}")
    numbers = range(1, stages + 1)
    drops = " + ".join(f"drop_{k}*(1 - (1 + C*area_{k}/rate_{k}^gamma)^(-beta))" for k in numbers)
    variables = ("lr_area", *(f"{part}_{k}" for k in numbers for part in ("drop", "rate", "area")))
    before = {f"{part}_{k}": 0.0 for k in numbers for part in ("drop", "area")}
    after = {f"drop_{k}": 1e-4 for k in numbers} | {f"area_{k}": 1e90 for k in numbers}
    contents: dict[str, object] = {
        "__doc__": _DOC.format(stages=stages),
        "name": "multi-power",
        "formula": f"L_0 + A/lr_area^alpha - B*({drops})",
        "variables": variables,
        "source": "Luo et al. 2025, arXiv 2503.12811",
        "bounds": {"alpha": (0.02, 2.5), "C": (1e-3, 1e3), "beta": (0.02, 2.5), "gamma": (0.02, 2.5)},
        "published": tuple(
            Published(f"{_REPOSITORY} ({size} parameters)", dict(zip(_LETTERS, values, strict=True)))
            for size, values in _PUBLISHED.items()
        ),
        "example": Example(
            letters=dict(zip(_LETTERS, (2.6, 0.6, 0.45, 440.0, 2.1, 0.6, 0.65), strict=True)),
            columns=_curves(stages),
            limits=(
                Limit({"lr_area": 1e60, **before}, "L_0"),
                Limit({"lr_area": 1.0, **after}, f"L_0 + A - B*{stages}e-4"),
            ),
            falls=("lr_area",),
        ),
    }
    return law_class("MultiPower", _LETTERS, contents)


def _curves(stages: int) -> dict[str, Array]:
    """Points every 250 steps of schedules in `stages` + 1 equal stages, to several last rates."""
    parts = []
    for last in (2e-4, 1e-4, 3e-5, 1e-5):
        rates = np.repeat(np.geomspace(3e-4, last, stages + 1), 12_000 // (stages + 1))
        parts.append({name: column[999::250] for name, column in stage_columns(rates, stages).items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


MultiPower = multi_power(1)
