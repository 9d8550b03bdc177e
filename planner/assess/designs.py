"""The sweep's own design and its rivals as runs, each within the same accelerator-hours."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from planner.assess.trials import Runs
from planner.errors import InputError
from planner.laws.centre import Array
from planner.models.parameters import count_parameters
from planner.models.shape import shape_for
from planner.sweep.patterns import BRACKET, PATTERNS, PROFILE, Index, Scope
from planner.sweep.scaling import scaling_requests
from planner.sweep.setting import Setting, Size
from planner.sweep.spec import Study

RIVALS = ("isoflop", "ladder", "overtrain", "ray", "random")  # shown unless others are asked for


def own_runs(setting: Setting, study: Study, budget: float) -> Runs:
    """The scaling study's runs within `budget` accelerator-hours, as the plan has them."""
    requests, _ = scaling_requests(setting, study, budget)
    return _runs(setting, [request.size for request in requests], [request.tokens for request in requests])


def rival_runs(setting: Setting, name: str, budget: float, seed: int) -> Runs:
    """A design by habit on the sweep's sizes and data, within `budget` accelerator-hours, priced like the plan's runs."""
    if name not in PATTERNS:
        raise InputError(f"no design {name!r}", f"one of: {', '.join(PATTERNS)}")
    sizes = _profiled(setting) if name == "isoflop" else setting.sizes
    pattern = PATTERNS[name](scope_of(setting, sizes), budget, seed)
    at = np.repeat(np.arange(pattern.runs.size), pattern.runs)
    return _runs(setting, [sizes[index] for index in pattern.size[at]], pattern.tokens[at].tolist())


def scope_of(setting: Setting, sizes: tuple[Size, ...]) -> Scope:
    """These sizes, the data that the sweep lets each see, and the hours a run is planned with."""
    bounds = setting.sweep.file.exploration.tokens
    least, most = (np.array([bound.tokens(size.active) for size in sizes]) for bound in bounds)

    def price(size: Index, tokens: Array) -> Array:
        return np.array([setting.gpu_hours(sizes[i], float(D)) for i, D in zip(size, tokens, strict=True)])

    return Scope(np.array([size.active for size in sizes]), least, most, price)


def _profiled(setting: Setting) -> tuple[Size, ...]:
    """Sizes near enough for profiles of seven within 3x of their middle: between the sweep's own where those are too far."""
    low, high = setting.sizes[0].active, setting.sizes[-1].active
    number = math.ceil(math.log(high / low) / (2 * math.log(BRACKET) / (PROFILE - 1)) - 1e-9) + 1
    if number <= len(setting.sizes):
        return setting.sizes
    shapes = [shape_for(setting.sweep.model, float(target)) for target in np.geomspace(low, high, number)]
    sizes = {size.active: size for size in (Size(shape, count_parameters(shape)) for shape in shapes)}
    return tuple(sizes[active] for active in sorted(sizes))


def _runs(setting: Setting, sizes: list[Size], tokens: list[float]) -> Runs:
    @cache
    def hours(size: Size, amount: float) -> float:
        return setting.gpu_hours(size, amount)

    return Runs(
        np.array([size.active for size in sizes]),
        np.array([size.active_non_embedding for size in sizes]),
        np.array(tokens),
        float(sum(hours(size, amount) for size, amount in zip(sizes, tokens, strict=True))),
    )
