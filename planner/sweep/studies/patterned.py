"""Spending a study's budget on a fixed pattern of runs: each group whole, cheapest first, then again with other seeds."""

from __future__ import annotations

from collections.abc import Sequence

from planner.errors import InputError
from planner.sweep.request import Cell, Request, require_few
from planner.sweep.setting import Setting

Group = Sequence[Cell]


def patterned(
    setting: Setting,
    study: str,
    groups: Sequence[Group],
    budget: float,
    *,
    purpose: str,
    least_seeds: int = 1,
    every: bool = False,
) -> list[Request]:
    """One seed of every group that `budget` accelerator-hours pay, the cheapest first; more seeds with what is left.

    A group (one grid, one set of variants) is bought whole or not at all, `least_seeds` of it at first. Raises InputError
    when not even the cheapest can be had, or with `every` not all.
    """
    priced = sorted(
        ((sum(setting.gpu_hours(cell) for cell in group), index, group) for index, group in enumerate(groups) if group),
        key=lambda one: one[:2],
    )
    if not priced or priced[0][0] * least_seeds > budget:
        raise InputError(
            f"the {study} study of {budget:.4g} GPU-hours does not pay {least_seeds} seed(s) of one set of runs",
            f"the cheapest set costs {priced[0][0] * least_seeds:.4g} GPU-hours: raise its share, or ask for less"
            if priced
            else "exploration.exclude, unique_tokens or max_days_per_run leave no set whole: relax one",
        )
    total = least_seeds * sum(cost for cost, _, _ in priced)
    if every and total > budget:
        raise InputError(
            f"the {study} study of {budget:.4g} GPU-hours does not pay all that it names, {total:.4g} GPU-hours",
            "raise its share, or name less",
        )
    require_few(study, budget // sum(cost for cost, _, _ in priced) * sum(len(group) for _, _, group in priced))
    requests: list[Request] = []
    seed, left = 0, budget
    while priced[0][0] <= left:
        for cost, _, group in priced:
            seeds = range(seed, seed + (least_seeds if seed == 0 else 1))
            if cost * len(seeds) <= left:
                left -= cost * len(seeds)
                requests += [Request(cell, one, purpose) for one in seeds for cell in group]
        seed += least_seeds if seed == 0 else 1
    return requests
