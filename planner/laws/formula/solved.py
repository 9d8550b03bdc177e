"""The linear letters of many samples at once, by weighted least squares; those of fixed sign keep it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.laws.centre import Array
from planner.laws.formula.reading import Reading

SMALL = 0.02  # of y: the least that a letter of fixed sign contributes; in logarithms the way back from zero is flat


def linear_solved(reading: Reading, theta: Array, x: Array, y: Array, weight: Array) -> Array:
    """Thetas `(S, p)` with the linear letters solved for y `(m,)`, what is fitted; relative errors count if it is ln."""
    columns = np.array([reading.letters.index(letter) for letter in reading.linear], int)
    if not columns.size:
        return theta
    raw = np.exp(y) if reading.takes_log else y
    w = weight / raw**2 if reading.takes_log else weight
    held = reading.signs[columns]
    with np.errstate(all="ignore"):
        basis, rest = _affine_parts(reading, theta, columns, x)
        scale = 1 / np.sqrt((w * basis * basis).sum(2) + 1e-300)
        scaled = basis * scale[..., None]
        gram = _finite(np.matmul(scaled * w, scaled.transpose(0, 2, 1)))
        right = _finite(np.matmul(scaled * w, (raw - rest)[..., None])[..., 0])
        letters = _bounded(gram, right, held, SMALL * np.sqrt((w * raw * raw).sum()) * (held != 0)) * scale
        solved = theta.copy()
        solved[:, columns] = np.where(held != 0, np.log(np.abs(letters)), letters)
    return np.asarray(np.clip(np.where(np.isfinite(solved), solved, theta), reading.lower, reading.upper))


def _affine_parts(reading: Reading, theta: Array, columns: NDArray[np.intp], x: Array) -> tuple[Array, Array]:
    """y = sum of letter x basis `(S, l, m)` + rest `(S, m)`, read off the derivatives."""
    at = reading.compiled.expand(theta, x)
    letters = reading.to_letters(theta)[:, columns]
    slope = np.where(reading.signs[columns] != 0, letters, 1.0)
    y = np.exp(at.f) if reading.takes_log else at.f
    basis = at.jacobian()[:, columns] / slope[..., None]
    if reading.takes_log:
        basis = basis * y[:, None]
    return _finite(basis), _finite(y - (basis * letters[..., None]).sum(1))


def _bounded(gram: Array, right: Array, held: Array, least: Array) -> Array:
    """Least squares in which letters of sign `held` keep it: the worst offender is set to `least` until none is left."""
    S, p = right.shape
    value, fixed = np.zeros((S, p)), np.zeros((S, p), bool)
    for _ in range(p + 1):
        known = np.where(fixed, held * least, 0.0)
        A = np.where(fixed[:, :, None] | fixed[:, None, :], 0.0, gram)
        A = A + np.eye(p) * np.where(fixed, 1.0, 1e-12)[:, None]
        b = np.where(fixed, known, right - (gram @ known[..., None])[..., 0])
        value = np.asarray(np.linalg.solve(A, b[..., None])[..., 0])
        short = np.where(fixed | (held == 0), 0.0, least - held * value)
        worst = short.argmax(1)
        wrong = np.flatnonzero(short[np.arange(S), worst] > 0)
        if not wrong.size:
            break
        fixed[wrong, worst[wrong]] = True
    return value


def _finite(values: Array) -> Array:
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
