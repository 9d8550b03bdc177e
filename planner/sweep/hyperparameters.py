"""The learning-rate and batch study: a grid around the prescription at several sizes and data."""

from __future__ import annotations

from planner.errors import InputError
from planner.sweep.request import Request, require_few
from planner.sweep.setting import Setting, Size

FACTORS = (0.35, 0.6, 1.0, 1.7, 2.9)  # of the prescribed rate and batch: half a nat apart, the loss basin inside
DATA_RATIO = 7.0**0.5  # between the amounts of data tried at one size


def hyperparameter_requests(setting: Setting, budget: float) -> list[Request]:
    """A 5 x 5 grid in each of up to nine cells (three sizes, three amounts of data), cheapest cell first.

    What is left after one seed of each goes into further seeds, again cheapest first.
    """
    sizes = (setting.sizes[0], setting.sizes[len(setting.sizes) // 2], setting.sizes[-1])
    cells = [(size, tokens) for size in sizes for tokens in setting.tokens_between(size, DATA_RATIO)[:3]]
    priced = sorted(
        ((setting.gpu_hours(size, tokens) * len(FACTORS) ** 2, size, tokens) for size, tokens in cells),
        key=lambda cell: cell[0],
    )
    if priced[0][0] > budget:
        raise InputError(
            f"a hyperparameter study of {budget:.4g} GPU-hours does not pay one grid",
            f"the cheapest costs {priced[0][0]:.4g}",
        )
    require_few("hyperparameters", budget // sum(cost for cost, _, _ in priced) * len(priced) * len(FACTORS) ** 2)
    requests: list[Request] = []
    seed, left = 0, budget
    while priced[0][0] <= left:
        for cost, size, tokens in priced:
            if cost <= left:
                left -= cost
                requests += _grid(size, tokens, seed)
        seed += 1
    return requests


def _grid(size: Size, tokens: float, seed: int) -> list[Request]:
    return [
        Request("hyperparameters", size, tokens, seed, 1, "best learning rate and batch", "baseline", lr, batch)
        for lr in FACTORS
        for batch in FACTORS
    ]
