"""Thousands of refits at once, in chunks that stay in cache."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner.engines import Engine, carrying, here
from planner.fitting.affine import Affine
from planner.fitting.descend import descend
from planner.fitting.problem import Problem
from planner.laws.centre import Array

CHUNK_CELLS = 120_000  # resamples x runs solved together; two threads over such chunks gain nothing (measured)
TOLERANCE = 1e-7  # of the objective, relative; the distance to a tight refit is far below 1e-6 (tested)
MAJORISED_STEPS = 2  # the start is near


def refits(problem: Problem, affine: Affine, phi: Array, weight: Array, engine: Engine = here) -> Array:
    """Thetas `(R, p)` of refits under weights `(R, m)`, each from the same start phi `(q,)`."""
    size = max(CHUNK_CELLS // weight.shape[1], 16)
    parts = [
        (replace(problem, weight=weight[first : first + size]), affine, phi) for first in range(0, len(weight), size)
    ]
    return np.concatenate(list(carrying(engine, problem.law)(_refit, parts)))


def _refit(part: tuple[Problem, Affine, Array]) -> Array:
    problem, affine, phi = part
    start = np.repeat(phi[None], len(problem.weight), 0)
    end = descend(affine.expansion(problem.at), start, affine.box, tolerance=TOLERANCE, majorised=MAJORISED_STEPS)
    return affine.theta(end.theta)
