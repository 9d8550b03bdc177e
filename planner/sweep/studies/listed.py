"""Runs that the sweep file names one by one, in any study."""

from __future__ import annotations

from collections.abc import Sequence

from planner.errors import InputError
from planner.sweep.file.studies import Place, Run
from planner.sweep.request import Cell, Request
from planner.sweep.setting import Setting


def listed(setting: Setting, study: str, runs: Sequence[Run], budget: float, *, purpose: str) -> list[Request]:
    """One request per seed of every listed run; InputError when they cost more than `budget` accelerator-hours."""
    requests = [
        Request(cell, seed, purpose)
        for run in runs
        for cell in placed(setting, study, [run[:2]])
        for seed in range(run[2] if len(run) > 2 else 1)
    ]
    cost = sum(setting.gpu_hours(request.cell) for request in requests)
    if cost > budget * 1.005:
        raise InputError(
            f"the listed runs cost {cost:.4g} GPU-hours, over the {study} study's {budget:.4g}",
            "raise its share, or shorten the list",
        )
    return requests


def placed(setting: Setting, study: str, places: Sequence[Place]) -> list[Cell]:
    """The cells of (params, tokens); InputError for one with fewer steps than the sweep asks of a run."""
    cells = []
    least = setting.sweep.file.exploration.min_steps or 0
    for params, tokens in places:
        size = setting.size_of(params)
        cell = setting.cell(size, tokens.tokens(size.active))
        if setting.steps(cell) < least:
            raise InputError(
                f"the {study} study: {size.active:.4g} parameters on {cell.tokens:.4g} tokens have {setting.steps(cell):,} steps, "
                f"fewer than exploration.min_steps = {least:,}",
                "give more tokens, or a prescription of smaller batches",
            )
        cells.append(cell)
    return cells
