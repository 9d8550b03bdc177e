"""Compute that a chosen size wastes, under any truth and in many worlds at once."""

from __future__ import annotations

import numpy as np

from planner.assess.truths import Truth
from planner.laws.centre import Array

SIZES = 120  # tried for the best one, evenly in logs
WIDE = np.log(300.0)  # either way of the Chinchilla size
REACH, STEPS = np.log(1e4), 30  # how far below the budget the best split is followed: a waste beyond counts as .9999


def wasted(truth: Truth, params: Array, flops: float) -> Array:
    """Fraction of `flops` (6 x params x tokens) that the best split needs less for the loss that `params` `(W,)` reaches.

    1 - C'/C, where the best size at C' has the loss of the size chosen at C: what `decisions.waste` computes of laws whose
    best size is known, by a search for a truth whose best size is not. NaN for a size that is NaN.
    """
    known = np.isfinite(params)
    params = np.where(known, params, 1e9)
    chosen = truth.log_loss(params[:, None], flops / 6 / params[:, None])[:, 0]
    log_flops = np.log(flops) - REACH * np.linspace(0, 1, STEPS) ** 2  # dense where wastes are small
    lowest = np.stack([_lowest(truth, at) for at in log_flops], axis=1)  # rising along each row
    needed = np.array([np.interp(at, row, log_flops) for at, row in zip(chosen, lowest, strict=True)])
    return np.where(known, np.maximum(-np.expm1(needed - np.log(flops)), 0.0), np.nan)


def _lowest(truth: Truth, log_flops: float) -> Array:
    """ln loss `(W,)` of the best size at one compute, a parabola through the lowest of a grid and its neighbours."""
    log_params = 0.5 * (log_flops - np.log(120.0)) + np.linspace(-WIDE, WIDE, SIZES)
    values = truth.log_loss(np.exp(log_params), np.exp(log_flops - np.log(6.0) - log_params))
    at = np.clip(values.argmin(1), 1, SIZES - 2)
    row = np.arange(len(values))
    left, middle, right = (values[row, at + step] for step in (-1, 0, 1))
    bend = np.maximum(left - 2 * middle + right, 1e-300)
    inside = (middle <= left) & (middle <= right)
    lowest = np.where(inside, middle - (right - left) ** 2 / (8 * bend), np.minimum(left, right))
    return np.asarray(np.minimum(lowest, middle))
