"""A covariance that does not take the residual variance to be the same everywhere."""

from __future__ import annotations

import numpy as np

from planner.fitting.solve import Solution
from planner.laws.centre import Array
from planner.runs.sample import Sample

LARGEST_LEVERAGE = 0.9  # a run that decides its own prediction tells nothing of its error


def sandwich(solution: Solution, runs: Sample) -> Array:
    """HC3 covariance of theta `(p, p)` under the Huber score (MacKinnon, White 1985; Huber 1981, section 7.6).

    The bread counts the runs inside delta, the meat squares psi / (1 - leverage).
    """
    n, d = solution.centre.coordinates(runs.params, runs.tokens)
    f, J = type(solution.law).gradient(solution.theta, n, d)
    residual = np.log(runs.loss) - f[0]
    inside = np.abs(residual) <= solution.delta
    bread = np.linalg.pinv(np.einsum("pm,m,qm->pq", J[0], inside.astype(float), J[0]), hermitian=True)
    leverage = np.einsum("pm,pq,qm->m", J[0], bread, J[0]) * inside
    score = np.clip(residual, -solution.delta, solution.delta) / (1 - np.minimum(leverage, LARGEST_LEVERAGE))
    meat = np.einsum("pm,m,qm->pq", J[0], score**2, J[0])
    return np.asarray(bread @ meat @ bread)
