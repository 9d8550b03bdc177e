"""Noise that differs between runs, or is shared by runs of one trunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from planner.errors import InputError
from planner.laws.centre import Array


@dataclass(frozen=True)
class Noise:
    """How residuals of ln loss are whitened: (1, the runs') relative precision, then the blocks' correlation undone.

    Inside a block of b runs the covariance is sigma^2 [(1 - rho) I + rho 11'] (trunk and cooldown branches, or a pair),
    whose inverse square root is I/sqrt(1 - rho) + (1/sqrt(1 + (b - 1) rho) - 1/sqrt(1 - rho)) 11'/b.
    `precision` `(m,)` is the median sd over the run's own, so that deltas and scales stay in units of ln loss.
    """

    precision: Array
    alone: Array
    shared: Array
    block: NDArray[np.intp]
    mean: csr_array | None

    @classmethod
    def of(
        cls, runs: int, noise: ArrayLike | None, blocks: Sequence[object] | ArrayLike | None, rho: float
    ) -> Noise | None:
        """From per-run sd of ln loss `(m,)` and block labels `(m,)`; None when nothing needs whitening."""
        if not 0 <= rho < 1:
            raise InputError(
                f"rho = {rho} is not in [0, 1)", "give the correlation of the noise of runs that share a trunk"
            )
        precision = np.ones(runs) if noise is None else _precision(noise, runs)
        if blocks is None and rho > 0:
            raise InputError(f"rho = {rho} without blocks", "say with blocks= which runs share a trunk")
        if blocks is None or rho == 0:
            return None if noise is None else cls(precision, np.ones(runs), np.zeros(0), np.zeros(0, np.intp), None)
        labels = np.asarray(blocks)
        if labels.shape != (runs,):
            raise InputError(f"blocks {labels.shape} and loss {(runs,)} differ in shape", "give one label per run")
        _, index, count = np.unique(labels, return_inverse=True, return_counts=True)
        alone = np.where(count > 1, 1 / np.sqrt(1 - rho), 1.0)
        shared = np.where(count > 1, 1 / np.sqrt(1 + (count - 1) * rho) - alone, 0.0)
        mean = csr_array((1 / count[index], (index, np.arange(runs))), shape=(count.size, runs))
        return cls(precision, alone[index], shared, index, mean)

    def whiten(self, x: Array) -> Array:
        """Along the last axis, which is over runs."""
        return self._decorrelated(x * self.precision)

    def whiten_transposed(self, x: Array) -> Array:
        """The adjoint of `whiten`; the blocks' root is symmetric."""
        return self._decorrelated(x) * self.precision

    def _decorrelated(self, x: Array) -> Array:
        if self.mean is None:
            return x
        flat = x.reshape(-1, x.shape[-1])
        common = (np.asarray(self.mean @ flat.T) * self.shared[:, None]).T[:, self.block]
        return np.asarray(x * self.alone + common.reshape(x.shape))


def _precision(noise: ArrayLike, runs: int) -> Array:
    sd = np.asarray(noise, float)
    if sd.shape != (runs,):
        raise InputError(f"noise {sd.shape} and loss {(runs,)} differ in shape", "give one sd of ln loss per run")
    bad = ~(np.isfinite(sd) & (sd > 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise InputError(f"noise[{at}] = {sd[at]} is not positive", "give the sd of ln loss of each run, e.g. 0.003")
    return np.asarray(np.median(sd) / sd)
