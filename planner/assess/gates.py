"""Errors of the ideas study before it is run: harmful ideas let through, gains missed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from planner.assess.trials import Rates
from planner.decisions.drift import (
    MEAN,
    NULL_MEAN,
    NULL_SD,
    SHARED,
    SLOPE,
    USEFUL_MEAN,
    USEFUL_SHARE,
    WALK,
    covariance,
)
from planner.decisions.gains import PROMOTE
from planner.decisions.policy import LAW, WORTHWHILE
from planner.decisions.power import pair_variance
from planner.laws.centre import Array
from planner.sweep.file.studies import IdeasStudy
from planner.sweep.setting import Setting
from planner.sweep.studies.ideas import Rung, rungs_of

Truths = NDArray[np.bool_]

EXPECTED_SD = 0.05  # of ln gain about what an idea's authors expect: the simulated lab's
LOST = 1e9  # variance of a rung that no pair came back from


@dataclass(frozen=True)
class GateErrors:
    """What the ideas study would decide, over all worlds.

    `false_promotion` is the share of harmful ideas that are promoted, `missed_gain` the share of what all helpful ideas
    gain (in ln compute) that is not, `missed_worthwhile` the share of gains above 1.1 that are not. `promoted` counts ideas
    a world, `sd` is that of ln gain at the final run after the study. NaN where no world holds such an idea.
    """

    ideas: int
    worlds: int
    pairs: int
    promoted: float
    false_promotion: float
    missed_gain: float
    missed_worthwhile: float
    sd: float
    gpu_hours: float


def gate_errors(setting: Setting, study: IdeasStudy, rates: Rates, *, worlds: int, seed: int) -> GateErrors:
    """The ideas study in worlds of ideas as `planner policy` assumes them.

    Every idea runs on the rungs that the plan gives it until a gate closes; a pair is lost when one of its runs fails,
    diverges, or holds a mistake (which `compare` recognises). The verdict is that of `planner compare`: promoted above .8 of
    probability that the gain at the final run exceeds 1, by a Gaussian filter with the pool's prior and drift with scale.
    """
    rungs = rungs_of(setting, study, setting.budget_of(study))
    params, tokens = np.array([(rung.cell.size.active, rung.cell.tokens) for rung in rungs]).T
    expected = np.array([idea.expected_gain or np.nan for idea in setting.sweep.file.idea])
    rng = np.random.default_rng([seed, 0x1DEA])
    log_flops = np.log(np.append(6 * params * tokens, setting.final.flops))
    gain = _gains(expected, worlds, log_flops, rng)
    one = pair_variance(LAW, params, tokens, noise=max(rates.noise, 1e-6), correlation=SHARED)
    survives = ((1 - rates.failure) * (1 - rates.divergence) * (1 - rates.mistuned)) ** 2
    pairs = rng.binomial([rung.pairs for rung in rungs], survives, gain[..., :-1].shape)
    variance = np.where(pairs > 0, one / np.maximum(pairs, 1), LOST)
    seen = gain[..., :-1] + rng.normal(size=variance.shape) * np.sqrt(variance)
    ran = _through(rungs, study, log_flops, seen, variance)
    mean, sd = _believed(log_flops, seen, np.where(ran, variance, LOST))
    alive = ran[..., -1] if study.gates else np.ones(ran.shape[:2], bool)
    promoted = alive & (ndtr(mean / sd) > PROMOTE)
    return _errors(gain[..., -1], promoted, sd, rungs, _hours(setting, rungs, ran))


def _through(rungs: list[Rung], study: IdeasStudy, log_flops: Array, seen: Array, variance: Array) -> Truths:
    """Which idea runs on which rung `(worlds, ideas, r)`: all on the first, then those that every gate before lets on."""
    ran = np.ones(seen.shape, bool)
    for stage in range(1, len(rungs)):
        known = np.where(ran & (np.arange(len(rungs)) < stage), variance, LOST)
        mean, sd = _believed(log_flops, seen, known)
        passed = ndtr(mean / sd) > rungs[stage - 1].threshold if study.gates else np.ones(mean.shape, bool)
        ran[..., stage:] &= passed[..., None]
    return ran


def _hours(setting: Setting, rungs: list[Rung], ran: Truths) -> float:
    """Accelerator-hours, on average over worlds; the baseline runs on every rung."""
    each = [rung.pairs * setting.gpu_hours(rung.cell) for rung in rungs]
    return float(sum(hours * (1 + ideas) for hours, ideas in zip(each, ran.sum(1).mean(0), strict=True)))


def _gains(expected: Array, worlds: int, log_flops: Array, rng: np.random.Generator) -> Array:
    """True ln gain `(worlds, ideas, rungs + 1)`, the last at the final run: a level, then drift with compute."""
    shape = (worlds, expected.size)
    pool = np.where(
        rng.random(shape) < USEFUL_SHARE, rng.exponential(USEFUL_MEAN, shape), rng.normal(NULL_MEAN, NULL_SD, shape)
    )
    level = np.where(np.isnan(expected), pool, np.log(expected) + EXPECTED_SD * rng.normal(size=shape))
    value, vector = np.linalg.eigh(covariance(log_flops, sd=0.0, slope=SLOPE, walk=WALK))
    root = vector * np.sqrt(np.maximum(value, 0))
    return np.asarray(level[..., None] + rng.normal(size=(*shape, log_flops.size)) @ root.T)


def _believed(log_flops: Array, seen: Array, variance: Array) -> tuple[Array, Array]:
    """Mean and sd `(worlds, ideas)` of ln gain at the final run, given gains seen on the rungs `(worlds, ideas, r)`."""
    prior = covariance(log_flops)
    among = prior[:-1, :-1] + variance[..., None] * np.eye(variance.shape[-1])
    weights = np.linalg.solve(among, np.broadcast_to(prior[:-1, -1:], (*seen.shape, 1)))[..., 0]
    left = prior[-1, -1] - weights @ prior[:-1, -1]
    return MEAN + (weights * (seen - MEAN)).sum(-1), np.sqrt(np.maximum(left, 1e-12))


def _errors(final: Array, promoted: Truths, sd: Array, rungs: list[Rung], gpu_hours: float) -> GateErrors:
    harmful, worthwhile = final < 0, final > np.log(WORTHWHILE)
    gained = np.where(final > 0, final, 0).sum()
    return GateErrors(
        ideas=final.shape[1],
        worlds=final.shape[0],
        pairs=sum(rung.pairs for rung in rungs),
        promoted=float(promoted.sum(1).mean()),
        false_promotion=_share(promoted & harmful, harmful),
        missed_gain=float(np.where(~promoted & (final > 0), final, 0).sum() / gained) if gained else float("nan"),
        missed_worthwhile=_share(~promoted & worthwhile, worthwhile),
        sd=float(sd.mean()),
        gpu_hours=gpu_hours,
    )


def _share(some: Truths, of: Truths) -> float:
    return float(some.sum() / of.sum()) if of.any() else float("nan")
