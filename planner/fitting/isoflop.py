"""IsoFLOP profiles: runs of equal compute at several sizes, their quality, and the best size they show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.fitting.finding import Finding, note, warning
from planner.laws.centre import Array
from planner.runs.sample import Sample

WITHIN = 0.10  # of compute: runs of one profile
SIZES = 5  # distinct sizes in a profile, at least
SAME_SIZE = 0.02
SPAN = 2.0  # of size that a profile covers, at least
CENTRE = (0.25, 0.75)  # of the range of ln params in which a minimum is well placed
FLAT = 2.0  # a profile that rises less than this many residual sd from its minimum to its edges has none
FEWEST = 2  # profiles before a power law goes through their minima


@dataclass(frozen=True)
class Profile:
    """One level of compute (6 x params x tokens, the runs' geometric mean) and what a parabola in ln params says of it.

    `params`, `tokens`, `loss` are its runs `(m,)` in order of size; `lowest` the size of the best run, `parabola` and `cubic`
    the sizes where those have their minimum (None: none within the runs); `faults` says what is wrong with the profile.
    """

    flops: float
    params: Array
    tokens: Array
    loss: Array
    lowest: float
    parabola: float | None
    cubic: float | None
    faults: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether its minimum may be used."""
        return not self.faults


def profiles(sample: Sample) -> list[Profile]:
    """The levels of compute (as logged, else 6 x params x tokens; within 10 %) at which five or more sizes were run."""
    flops = _levels_of(sample)
    order = np.argsort(flops)
    logs = np.log(flops[order])
    found: list[Profile] = []
    first = 0
    for last in range(1, order.size + 1):
        if last == order.size or logs[last] - logs[first] > WITHIN:
            here = order[first:last]
            sizes = np.log(sample.params[here])
            if _distinct(sizes) >= SIZES and np.ptp(sizes) >= np.log(SPAN):
                found.append(_profile(sample.at(_mask(here, order.size))))
            first = last
    return found


def _levels_of(sample: Sample) -> Array:
    logged = sample.extra.get("flops")
    if logged is None or not np.issubdtype(logged.dtype, np.number) or not (logged > 0).all():
        return sample.flops
    return np.asarray(logged, float)


def _mask(
    index: np.ndarray[tuple[int, ...], np.dtype[np.intp]], size: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    mask = np.zeros(size, bool)
    mask[index] = True
    return mask


def _distinct(logs: Array) -> int:
    return int((np.diff(np.sort(logs)) > SAME_SIZE).sum()) + 1


def _profile(runs: Sample) -> Profile:
    order = np.argsort(runs.params)
    params, tokens, loss = runs.params[order], runs.tokens[order], runs.loss[order]
    x, y = np.log(params), np.log(loss)
    middle = x.mean()
    square = np.polyfit(x - middle, y, 2)
    cube = np.polyfit(x - middle, y, 3)
    residual = y - np.polyval(square, x - middle)
    sd = float(np.sqrt((residual**2).sum() / max(x.size - 3, 1)))
    at = float(-square[1] / (2 * square[0])) if square[0] > 0 else None
    low, high = float(x[0] - middle), float(x[-1] - middle)
    inside = at is not None and low < at < high
    return Profile(
        flops=float(np.exp(np.log(runs.flops).mean())), params=params, tokens=tokens, loss=loss,
        lowest=float(params[int(np.argmin(loss))]),
        parabola=float(np.exp(at + middle)) if at is not None and inside else None,
        cubic=_cubic_minimum(cube, low, high, middle), faults=tuple(_faults(square, at, low, high, sd)),
    )  # fmt: skip


def _cubic_minimum(cube: Array, low: float, high: float, middle: float) -> float | None:
    roots = np.roots(np.polyder(cube))
    real = roots[np.abs(roots.imag) < 1e-12].real
    minima = [root for root in real if low < root < high and np.polyval(np.polyder(cube, 2), root) > 0]
    return float(np.exp(minima[0] + middle)) if minima else None


def _faults(square: Array, at: float | None, low: float, high: float, sd: float) -> list[str]:
    """What keeps a profile's minimum from being trusted (after Open-Athena's and the survey's quality codes)."""
    if at is None:
        return ["not convex"]
    if not low < at < high:
        return ["minimum not bracketed"]
    faults = []
    left, right = low + CENTRE[0] * (high - low), low + CENTRE[1] * (high - low)
    if not left <= at <= right:
        faults.append("minimum off centre")
    rise = min(np.polyval(square, edge) - np.polyval(square, at) for edge in (low, high))
    if rise < FLAT * sd:
        faults.append("flat against its scatter")
    return faults


@dataclass(frozen=True)
class Frontier:
    """Best size against compute by one approach: params = scale x FLOPs^exponent."""

    approach: str
    exponent: float
    scale: float

    def params(self, flops: float) -> float:
        """Best params (raw count) at `flops`."""
        return float(self.scale * flops**self.exponent)


def frontiers(found: list[Profile]) -> list[Frontier]:
    """Approaches 1 and 2 of Hoffmann et al. (arXiv 2203.15556): power laws through the profiles' best sizes.

    Approach 1 takes each profile's best run, approach 2 the minimum of its parabola, or of its cubic; profiles with
    faults are left out. An approach with fewer than two profiles is missing.
    """
    sound = [profile for profile in found if profile.sound]
    ways: dict[str, list[tuple[float, float | None]]] = {
        "1, best run": [(p.flops, p.lowest) for p in sound],
        "2, parabola": [(p.flops, p.parabola) for p in sound],
        "2, cubic": [(p.flops, p.cubic) for p in sound],
    }
    lines = []
    for name, points in ways.items():
        known = [(flops, size) for flops, size in points if size is not None]
        if len(known) >= FEWEST:
            logs = np.log(np.array(known))
            slope, intercept = np.polyfit(logs[:, 0], logs[:, 1], 1)
            lines.append(Frontier(name, float(slope), float(np.exp(intercept))))
    return lines


def judge_profiles(found: list[Profile]) -> tuple[Finding, ...]:
    """Findings on the profiles: what is wrong with how many."""
    findings = []
    for fault in dict.fromkeys(fault for profile in found for fault in profile.faults):
        where = [profile for profile in found if fault in profile.faults]
        levels = ", ".join(f"{profile.flops:.2g}" for profile in where[:4]) + (", ..." if len(where) > 4 else "")
        sentence = f"{len(where)} of {len(found)} isoFLOP profiles: {fault} (at {levels} FLOPs)"
        name = "isoflop-" + fault.replace("minimum ", "").split(" against")[0].replace(" ", "-")
        if fault == "minimum off centre":
            findings.append(
                note(name, sentence, "its parabola is biased: move the sizes so that the minimum is in the middle")
            )
        else:
            findings.append(
                warning(name, sentence, "left out of approaches 1 and 2: add sizes on the side where loss still falls")
            )
    return tuple(findings)
