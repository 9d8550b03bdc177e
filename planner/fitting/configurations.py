"""Runs that trained the same size on the same data, taken together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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


def configurations(params: Array, tokens: Array, loss: Array) -> Configurations:
    """Replicates collapsed to their mean, arrays `(n_runs,)`.

    Replicates share what the law misses at their size and data, so r of them weigh 2r/(1+r), not r: half the variance
    of one run's residual is taken as common.
    """
    cell = np.stack([np.round(np.log(params) / SAME), np.round(np.log(tokens) / SAME)])
    _, index, count = np.unique(cell, axis=1, return_inverse=True, return_counts=True)
    runs = count.astype(float)

    def mean(values: Array) -> Array:
        return np.asarray(np.exp(np.bincount(index.ravel(), np.log(values)) / runs))

    return Configurations(mean(params), mean(tokens), mean(loss), runs * (1 + SHARED) / (1 + SHARED * runs))
