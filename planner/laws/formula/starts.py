"""Starting points found without being told anything: balanced samples, linear letters solved, the best ones refined."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.laws.centre import Array
from planner.laws.formula.balance import samples
from planner.laws.formula.reading import Reading
from planner.laws.formula.refine import refined
from planner.laws.formula.solved import linear_solved

SAMPLES, REFINED = 512, 16  # samples, and how many of the best are refined
SEEN, USED = 128, 1000  # runs on which samples are ranked, and refined, when there are more
DISTINCT, FAR = 0.05, 10.0  # in any coordinate; and times the best misfit, beyond which a start is not worth a descent
SURE = 3.0  # standard errors by which a letter must differ from zero for its sign to be believed


def search(reading: Reading, x: Array, y: Array, weight: Array, keep: int) -> Array:
    """The `keep` best refined starts `(keep, p)`, distinct ones first, for what is fitted y `(m,)` with weights `(m,)`."""
    used = np.flatnonzero(weight > 0)
    few, most = _few(used, SEEN), _few(used, USED)
    raw = np.exp(y) if reading.takes_log else y
    theta = samples(reading, x[:, used], raw[used], SAMPLES)
    theta = linear_solved(reading, theta, x[:, few], y[few], weight[few])
    misfit = _misfit(reading, theta, x[:, few], y[few], weight[few])
    best = theta[np.argsort(misfit, kind="stable")[:REFINED]]
    found = refined(reading, best, x[:, most], y[most], weight[most])
    chosen: list[int] = []
    for i in np.argsort(found.misfit, kind="stable"):
        near = found.misfit[i] <= FAR * found.misfit.min() or not chosen
        if near and all(np.abs(found.theta[i] - found.theta[j]).max() > DISTINCT for j in chosen):
            chosen.append(int(i))
    chosen = chosen[:keep]
    return np.asarray(found.theta[chosen + [chosen[0]] * (keep - len(chosen))])


def sure_signs(reading: Reading, x: Array, y: Array, weight: Array) -> dict[str, int]:
    """Letters of free sign whose sign is beyond doubt at the best start; linear ones with the other letters held."""
    free = [letter for letter in reading.free if letter in reading.plain]
    if not free:
        return {}
    theta = search(reading, x, y, weight, 1)
    alone = _errors(reading, theta, x, y, weight, reading.linear)
    together = _errors(reading, theta, x, y, weight, reading.letters)
    values = dict(zip(reading.letters, theta[0], strict=True))
    errors = {**dict(zip(reading.letters, together, strict=True)), **dict(zip(reading.linear, alone, strict=True))}
    return {letter: int(np.sign(values[letter])) for letter in free if abs(values[letter]) > SURE * errors[letter]}


def _errors(reading: Reading, theta: Array, x: Array, y: Array, weight: Array, letters: tuple[str, ...]) -> Array:
    """Standard errors of some coordinates at one theta `(1, p)`, the others held."""
    at = reading.compiled.expand(theta, x)
    J = at.jacobian()[0, [reading.letters.index(letter) for letter in letters]]
    scale = 1 / np.sqrt((weight * J * J).sum(1) + 1e-300)
    covariance = np.linalg.pinv((J * weight * scale[:, None]) @ (J * scale[:, None]).T, hermitian=True)
    variance = float((weight * (y - at.f[0]) ** 2).sum() / max(1, y.size - theta.shape[1]))
    return np.asarray(np.sqrt(np.maximum(np.diag(covariance), 0) * variance) * scale)


def _misfit(reading: Reading, theta: Array, x: Array, y: Array, weight: Array) -> Array:
    with np.errstate(all="ignore"):
        misfit = (weight * (y - reading.compiled.expand(theta, x).f) ** 2).sum(1)
    return np.where(np.isfinite(misfit), misfit, np.inf)


def _few(used: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    if used.size <= most:
        return used
    return np.sort(np.random.default_rng(0).choice(used, most, replace=False))
