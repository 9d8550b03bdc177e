"""The sweep's own design and its rivals as runs, each within the same accelerator-hours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner.assess.trials import Runs
from planner.errors import InputError
from planner.sweep.file.studies import ScalingStudy
from planner.sweep.patterns import PATTERNS
from planner.sweep.request import Cell
from planner.sweep.setting import Setting
from planner.sweep.studies.scaling import patterned_cells, scaling_requests

RIVALS = ("isoflop", "ladder", "overtrain", "ray", "random")  # shown unless others are asked for


def own_runs(setting: Setting, study: ScalingStudy, budget: float) -> Runs:
    """The scaling study's runs within `budget` accelerator-hours, as the plan has them; trunks cost and show no loss."""
    requests, _ = scaling_requests(setting, study, budget)
    cost = sum(setting.gpu_hours(request.cell) for request in requests if request.cell.is_trunk)
    return _runs(setting, [request.cell for request in requests if not request.cell.is_trunk], cost)


def rival_runs(setting: Setting, name: str, budget: float, seed: int) -> Runs:
    """A design by habit on the sweep's sizes and data, within `budget` accelerator-hours, priced like the plan's runs."""
    if name not in PATTERNS:
        raise InputError(f"no design {name!r}", f"one of: {', '.join(PATTERNS)}")
    cells, runs = patterned_cells(setting, name, budget, seed)
    return _runs(setting, [cell for cell, number in zip(cells, runs, strict=True) for _ in range(int(number))], 0.0)


def _runs(setting: Setting, cells: Sequence[Cell], other_gpu_hours: float) -> Runs:
    hours = {cell: setting.gpu_hours(cell) for cell in set(cells)}
    return Runs(
        np.array([cell.size.active for cell in cells]),
        np.array([cell.size.active_non_embedding for cell in cells]),
        np.array([cell.tokens for cell in cells]),
        float(sum(hours[cell] for cell in cells)) + other_gpu_hours,
    )
