"""The hyperparameter study: a grid around the prescription at several sizes and data, to fit how the optimum moves."""

from __future__ import annotations

import itertools

from planner.sweep.file.studies import HyperparameterStudy
from planner.sweep.request import Cell, Factors, Request
from planner.sweep.setting import Setting
from planner.sweep.studies.listed import placed
from planner.sweep.studies.patterned import patterned

DATA_RATIO = 7.0**0.5  # between the amounts of data tried at one size


def hyperparameter_requests(setting: Setting, study: HyperparameterStudy, budget: float) -> list[Request]:
    """The grid of factors in each of up to `cells` cells, further seeds with what is left.

    The sizes reach as far up as one seed of every grid is affordable: how the optimum moves with size must be seen.
    """
    factors = [
        Factors(*one) for one in itertools.product(study.learning_rate, study.batch, study.weight_decay, study.warmup)
    ]
    if study.at:
        groups = [_grid(cell, factors) for cell in placed(setting, study.name or study.kind, study.at)]
        return patterned(setting, study.name or study.kind, groups, budget, purpose=_purpose(study), every=True)
    for last in range(len(setting.sizes) - 1, 0, -1):
        groups = _grids(setting, study, factors, last)
        if sum(setting.gpu_hours(cell) for group in groups for cell in group) <= budget:
            break
    return patterned(setting, study.name or study.kind, groups, budget, purpose=_purpose(study))


def _grids(setting: Setting, study: HyperparameterStudy, factors: list[Factors], last: int) -> list[list[Cell]]:
    """The grid in every cell of sizes up to the `last`; cells in which some of it is ruled out are left out."""
    groups = [setting.allowed(_grid(cell, factors)) for cell in _cells(setting, study.cells, last)]
    return [group for group in groups if len(group) == len(factors)]


def _grid(cell: Cell, factors: list[Factors]) -> list[Cell]:
    return [Cell(cell.size, cell.tokens, cell.context_length, factor) for factor in factors]


def _cells(setting: Setting, number: int, last: int) -> list[Cell]:
    """Sizes x amounts of data, about as many of either: the smallest, the `last` and between; the least data and more."""
    per_size = max(1, round(number**0.5))
    n_sizes = min(last + 1, max(1, -(-number // per_size)))
    places = sorted({round(index * last / max(1, n_sizes - 1)) for index in range(n_sizes)})
    return [
        setting.cell(setting.sizes[place], tokens)
        for place in places
        for tokens in setting.tokens_between(setting.sizes[place], DATA_RATIO)[:per_size]
    ][:number]


def _purpose(study: HyperparameterStudy) -> str:
    varied = [
        name.replace("_", " ")
        for name in ("learning_rate", "batch", "weight_decay", "warmup")
        if len(getattr(study, name)) > 1
    ]
    return "best " + " and ".join(varied)
