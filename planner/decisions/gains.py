"""Which ideas help: compute-equivalent gains from paired runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy.special import stdtr, stdtrit

from planner.decisions.belief import Belief, Noise
from planner.decisions.drift import GainPrior, constant_prior, pool_prior
from planner.decisions.joint_gain import JointGains, joint_gains
from planner.decisions.pairs import Arms, Pairs, arms_of_pairs
from planner.errors import InputError
from planner.fitting.objective import MAD_TO_SD
from planner.laws.centre import Array
from planner.laws.law import Law

PROMOTE, DROP = 0.8, 0.4  # on P(gain at target > 1): the futility rule, checked by `planner policy`
FARTHEST = 3.0  # nats of compute that an idea may be worth: e^3 is a factor of 20
NOISIEST = 3.0  # times the typical noise, at most: more is the work of broken runs
ENOUGH = 3  # differences of pairs at one size before their spread is taken for that size's
MAD_EFFICIENCY = 0.37  # of the median absolute difference against the sd, on normal values
SMALLEST_SD = 1e-4  # of ln loss of a pair: identical pairs are no proof of no noise
TESTED = 1.01  # times the largest compute tested: up to here a gain needs no drift

Cell = tuple[float, float]


class Verdict(StrEnum):
    """What to do with an idea."""

    PROMOTE = "promote"
    HOLD = "hold"
    DROP = "drop"


@dataclass(frozen=True)
class IdeaGain:
    """Compute-equivalent gain of one idea: the factor in compute at which the baseline would match it.

    `gain` and `interval` speak of the target, with drift on the way there; `gain_tested` of the largest compute
    tested, `flops_tested`. Both are posterior means over the pool of ideas; `gain_face` is the same without it, a gain
    that no scale changes taken at face value. `probability` is that of a gain above 1 at the target. `n_pairs` counts
    the idea's runs (with a baseline beside them, unless the joint model was asked for), `n_broken` those of them whose
    loss is more likely a mistake than noise.
    """

    variant: str
    n_pairs: int
    n_broken: int
    gain: float
    interval: tuple[float, float]
    gain_tested: float
    interval_tested: tuple[float, float]
    gain_face: float
    flops_tested: float
    level: float
    at: str
    probability: float
    decision: Verdict


@dataclass(frozen=True)
class Comparison:
    """Ideas, best first, and the joint estimate they come from; its last point is the target.

    `own` is the sd of ln loss of one run that its pair does not share, by size and tokens; `df` the degrees of freedom it
    was learned with.
    """

    ideas: list[IdeaGain]
    joint: JointGains
    own: dict[Cell, float]
    df: float


def compare(
    ideas: list[Pairs], law: Law, *, target_flops: float, level: float = 0.9, drift: bool = True
) -> list[IdeaGain]:
    """Gains of `ideas` under a common `law`, best first, at `target_flops` (6 x params x tokens).

    A variant is the baseline at more compute, split evenly over params and tokens. Every pair keeps its own level, so
    the law gives only the slope of loss in compute and its error is second order: see `joint_gains` for why this is
    the default. A Gaussian prior over ideas and over drift with scale shrinks the winners.
    """
    return compare_pairs(ideas, law, target_flops=target_flops, level=level, drift=drift).ideas


def compare_pairs(
    ideas: list[Pairs], law: Law, *, target_flops: float, level: float = 0.9, drift: bool = True
) -> Comparison:
    """What `compare` does, with the joint estimate beside it."""
    for idea in ideas:
        _require_explained(idea, law)
    arms = arms_of_pairs(ideas)
    own, df = own_noise(arms)
    noise = _noise(arms, own, math.inf)
    return measured(arms, Belief.exact(law), noise, own, df, target_flops=target_flops, level=level, drift=drift)


def compare_runs(
    arms: Arms,
    belief: Belief,
    *,
    sd: float,
    target_flops: float,
    level: float = 0.9,
    drift: bool = True,
) -> Comparison:
    """Gains from all runs of all `arms` against a law that is itself uncertain: also of runs with no baseline beside them.

    `sd` is the noise of one run about the law; what is more than its own it shares with its pair.
    """
    own, df = own_noise(arms)
    noise = _noise(arms, own, sd)
    return measured(arms, belief, noise, own, df, target_flops=target_flops, level=level, drift=drift)


def measured(
    arms: Arms,
    belief: Belief,
    noise: Noise,
    own: dict[Cell, float],
    df: float,
    *,
    target_flops: float,
    level: float,
    drift: bool,
) -> Comparison:
    """The joint estimate at each idea's largest compute and at the target, judged."""
    largest = np.array([arms.log_flops[arms.arm == number].max() for number in range(1, len(arms.names))])
    prior = pool_prior(arms.log_flops)
    if not drift:
        _require_tested(arms, largest, target_flops)
        prior = replace(prior, slope=0.0, walk=0.0)
    points = np.append(np.unique(arms.log_flops), math.log(target_flops))
    joint = joint_gains(arms, belief, noise, prior, at=points)
    face = joint_gains(arms, belief, noise, _face(arms.log_flops), at=points[-1:])
    found = [
        _judged(arms, number, joint, float(face.mean[number, 0]), float(largest[number]), df, level)
        for number in range(largest.size)
    ]
    return Comparison(sorted(found, key=lambda idea: (-idea.gain, idea.variant)), joint, own, df)


def _face(log_flops: Array) -> GainPrior:
    return replace(constant_prior(log_flops), sd=FARTHEST, interaction=FARTHEST)


def _judged(
    arms: Arms, number: int, joint: JointGains, face: float, largest: float, df: float, level: float
) -> IdeaGain:
    mine = arms.arm == number + 1
    place = int(np.searchsorted(joint.log_flops[:-1], largest))
    alone = np.eye(len(joint.names))[number]

    def interval(index: int) -> tuple[float, float]:
        freedom = joint.freedom(alone, index, df)
        middle, half = joint.mean[number, index], float(stdtrit(freedom, 0.5 + level / 2)) * joint.sd[number, index]
        return math.exp(middle - half), math.exp(middle + half)

    freedom = joint.freedom(alone, -1, df)
    probability = float(stdtr(freedom, joint.mean[number, -1] / joint.sd[number, -1]))
    return IdeaGain(
        variant=joint.names[number],
        n_pairs=int(mine.sum()),
        n_broken=int((joint.broken[mine] > 0.5).sum()),
        gain=math.exp(joint.mean[number, -1]),
        interval=interval(-1),
        gain_tested=math.exp(joint.mean[number, place]),
        interval_tested=interval(place),
        gain_face=math.exp(face),
        flops_tested=math.exp(largest),
        level=level,
        at="target",
        probability=probability,
        decision=verdict(probability),
    )


def verdict(probability: float) -> Verdict:
    """The futility rule on the probability that an idea helps at the target."""
    return Verdict.PROMOTE if probability > PROMOTE else Verdict.DROP if probability < DROP else Verdict.HOLD


def _require_tested(arms: Arms, largest: Array, target_flops: float) -> None:
    far = int(np.argmin(largest))
    if math.log(target_flops) > largest[far] + math.log(TESTED):
        raise InputError(
            f"idea {arms.names[far + 1]!r} was tested up to {math.exp(largest[far]):.3g} FLOPs; at {target_flops:.3g} its gain "
            "needs the drift term",
            "leave drift on, or ask for the gain at the largest size that was tested",
        )


def effective_compute(law: Law, params: Array, tokens: Array, log_ratio: Array) -> Array:
    """ln factor h of compute with ln L(N e^(h/2), D e^(h/2)) = ln L(N, D) + log_ratio; Newton on a monotone curve.

    A ratio below the law's floor has no answer; there h ends at +-3 nats.
    """
    h = np.zeros_like(log_ratio)
    goal = np.log(law(params, tokens)) + log_ratio
    for _ in range(40):
        step = 1e-4
        at = np.log(law(params * np.exp(h / 2), tokens * np.exp(h / 2)))
        beyond = np.log(law(params * np.exp((h + step) / 2), tokens * np.exp((h + step) / 2)))
        h = np.clip(h - np.clip((at - goal) * step / (beyond - at), -1, 1), -FARTHEST, FARTHEST)
    return h


def _cells(idea: Pairs) -> list[Cell]:
    return sorted(set(zip(idea.params.tolist(), idea.tokens.tolist(), strict=True)), key=lambda cell: cell[0] * cell[1])


def _at(idea: Pairs, cell: Cell) -> Array:
    """ln loss differences (variant minus baseline) of the pairs at one cell."""
    here = (idea.params == cell[0]) & (idea.tokens == cell[1])
    return np.asarray(np.log(idea.loss[here]) - np.log(idea.baseline_loss[here]))


def own_noise(arms: Arms) -> tuple[dict[Cell, float], float]:
    """Sd of ln loss of one run that its pair does not share, by (params, tokens), and the degrees of freedom behind it.

    From absolute differences, between two seeds, of the difference of two arms; their median is not moved by a few
    broken runs, and arms are taken in a ring so that a broken baseline run touches few. Cells with little to go by have
    the typical sd, and none has more than a few times it.
    """
    apart = {cell: _apart(arms, cell) for cell in _tested_cells(arms)}
    if not any(values.size for values, _ in apart.values()):
        raise InputError("no idea has two pairs at one size", "add a second seed: the noise of a pair is unknown")
    known = {cell: _sd(values) for cell, (values, _) in apart.items() if values.size >= ENOUGH}
    every = np.concatenate([values for values, _ in apart.values()])
    typical = float(np.median(list(known.values()))) if known else _sd(every)
    own = {cell: min(known.get(cell, typical), NOISIEST * typical) for cell in apart}
    return own, max(1.0, MAD_EFFICIENCY * sum(free for _, free in apart.values()))


def _tested_cells(arms: Arms) -> list[Cell]:
    return sorted(set(zip(arms.params.tolist(), arms.tokens.tolist(), strict=True)), key=math.prod)


def _apart(arms: Arms, cell: Cell) -> tuple[Array, int]:
    """Absolute differences between seeds of the differences of neighbouring arms at one cell, and their freedom."""
    here = (arms.params == cell[0]) & (arms.tokens == cell[1])
    rows, arm = np.unique(arms.arm[here], return_inverse=True)
    columns, pair = np.unique(arms.pair[here], return_inverse=True)
    log_loss = np.full((rows.size, columns.size), np.nan)
    log_loss[arm, pair] = np.log(arms.loss[here])
    found: list[Array] = []
    free = 0
    for number in range(rows.size):
        for beside in ((number + 1) % rows.size, 0) if rows[number] else ():
            difference = log_loss[number] - log_loss[beside]
            difference = difference[np.isfinite(difference)]
            if beside != number and difference.size > 1:
                first, second = np.triu_indices(difference.size, k=1)
                found.append(np.abs(difference[first] - difference[second]))
                free += difference.size - 1
                break
    return (np.concatenate(found) if found else np.zeros(0)), free


def _sd(apart: Array) -> float:
    """Sd of one run from absolute differences that hold the noise of four."""
    return max(MAD_TO_SD * float(np.median(apart)) / 2, SMALLEST_SD)


def _noise(arms: Arms, own: dict[Cell, float], sd: float) -> Noise:
    """Each run's own noise, and what is left of `sd` as that of its pair; a cell without pairs has the typical one."""
    typical = float(np.median(list(own.values())))
    each = np.array([own.get(cell, typical) for cell in zip(arms.params.tolist(), arms.tokens.tolist(), strict=True)])
    return Noise(each, np.sqrt(np.maximum(sd**2 - each**2, SMALLEST_SD**2)))


def _require_explained(idea: Pairs, law: Law) -> None:
    """Refuse an idea whose typical loss at some size no compute makes up for."""
    cells = _cells(idea)
    params, tokens = np.array(cells).T
    difference = np.array([float(np.median(_at(idea, cell))) for cell in cells])
    far = np.abs(effective_compute(law, params, tokens, difference)) >= FARTHEST
    if far.any():
        raise InputError(
            f"idea {idea.variant!r}: its loss differs by {math.expm1(difference[far][0]):+.0%} from the baseline's at "
            f"{params[far][0]:.3g} params: no compute makes up for that",
            "compare runs of one evaluation set, unit and tokenizer",
        )
