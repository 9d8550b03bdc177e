"""A covariance that does not take the residual variance to be the same everywhere, nor runs to be independent."""

from __future__ import annotations

import numpy as np

from planner.fitting.affine import Affine
from planner.fitting.solve import Solution
from planner.laws.centre import Array
from planner.laws.link import linked
from planner.runs.sample import Sample

LARGEST_LEVERAGE = 0.9  # a run that decides its own prediction tells nothing of its error


def sandwich(solution: Solution, runs: Sample) -> Array:
    """HC3 covariance of theta `(p, p)` under the Huber score (MacKinnon, White 1985; Huber 1981, section 7.6).

    The bread counts the runs inside delta, the meat squares psi / (1 - leverage). Rows of one cluster (checkpoints of
    one run) have their scores added first (Liang, Zeger 1986).
    """
    T = (solution.affine or Affine.free(type(solution.law))).matrix
    f, jacobian = solution.gradient(*runs.columns(type(solution.law).variables))
    quiet = 1.0 if runs.noise is None else np.median(runs.noise) / runs.noise
    weight = np.ones(runs.loss.size) if runs.weight is None else runs.weight
    J, residual = T.T @ jacobian[0] * quiet, (linked(type(solution.law), runs.loss) - f[0]) * quiet
    inside = weight * (np.abs(residual) <= solution.delta)
    bread = np.linalg.pinv(np.einsum("pm,m,qm->pq", J, inside, J), hermitian=True)
    leverage = np.einsum("pm,pq,qm->m", J, bread, J) * inside
    pulled = weight * np.clip(residual, -solution.delta, solution.delta) / (1 - np.minimum(leverage, LARGEST_LEVERAGE))
    scores = J * pulled
    if runs.cluster is not None:
        _, member = np.unique(runs.cluster, return_inverse=True)
        scores = np.stack([np.bincount(member.ravel(), row) for row in scores])
    return np.asarray(T @ bread @ scores @ scores.T @ bread @ T.T)
