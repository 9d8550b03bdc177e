"""Runs that trained the same size on the same data, taken together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from planner.errors import InputError
from planner.laws.centre import Array

SAME = 0.02  # of a count, on the log scale: whole steps round the tokens
SHARED = 1.0  # variance that replicates have in common over the variance each has alone


class Configurations(NamedTuple):
    """Distinct (params, tokens), raw counts, with the geometric mean of their losses; arrays `(n_configurations,)`.

    `weight` is the information of a configuration's mean over that of one run: 1 for one run, 2 for very many.
    """

    params: Array
    tokens: Array
    loss: Array
    weight: Array


def configurations(params: Array, tokens: Array, loss: Array, weight: Array | None = None) -> Configurations:
    """Replicates collapsed to their mean, arrays `(n_runs,)`; `weight` is the information of a run, 1 when None.

    Replicates share what the law misses at their size and data, so r of them weigh 2r/(1+r), not r: half the variance
    of one run's residual is taken as common.
    """
    cell = np.stack([np.round(np.log(params) / SAME), np.round(np.log(tokens) / SAME)])
    _, index = np.unique(cell, axis=1, return_inverse=True)
    index = index.ravel()
    w = np.ones(loss.size) if weight is None else weight
    total, squares = np.bincount(index, w), np.bincount(index, w * w)
    if not (total > 0).any():
        raise InputError("every run has weight zero", "give some runs weight")

    def mean(values: Array) -> Array:
        return np.asarray(np.exp(np.bincount(index, w * np.log(values)) / np.maximum(total, 1e-300)))

    runs = total**2 / np.maximum(squares, 1e-300)
    cells = Configurations(mean(params), mean(tokens), mean(loss), total * (1 + SHARED) / (1 + SHARED * runs))
    return Configurations(*(column[total > 0] for column in cells))
