"""Which ideas go how far: a policy of gates, judged by simulation before a single run is spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from planner.decisions.drift import (
    MEAN,
    NULL_MEAN,
    NULL_SD,
    SD,
    SHARED,
    SLOPE,
    USEFUL_MEAN,
    USEFUL_SHARE,
    WALK,
    covariance,
)
from planner.decisions.power import Loss, pair_variance
from planner.errors import InputError
from planner.laws import Chinchilla
from planner.laws.centre import Array

BASELINE_SEEDS = 3  # at least so many per rung, shared by all ideas
NOISE = 0.003  # sd of ln loss between seeds at 1B parameters: assumed
LAW = Chinchilla(**Chinchilla.published[1].values)  # gives the slope of loss in compute where no fit is at hand
REPEATS = 300
MOST_REPEATS, MOST_IDEAS = 5000, 1000
CELLS = 2_000_000  # ideas x repeats held in memory at once
WORTHWHILE = 1.1  # the gain whose power is reported


@dataclass(frozen=True)
class Above:
    """Keep ideas whose probability of helping at the final run is above this."""

    probability: float


@dataclass(frozen=True)
class Top:
    """Keep this share of the ideas, by expected gain at the final run: successive halving."""

    share: float


@dataclass(frozen=True)
class Gate:
    """Pairs of every idea still alive at one size, then the rule that lets it on; the last rule promotes."""

    params: float
    pairs: int
    rule: Above | Top


@dataclass(frozen=True)
class Policy:
    """Gates in the order in which ideas meet them."""

    name: str
    gates: tuple[Gate, ...]


@dataclass(frozen=True)
class IdeaWorld:
    """What is assumed of the ideas and their runs.

    `noise` is the sd of ln loss between seeds at 1B parameters, `correlation` that of two runs of a pair; runs take
    `tokens_per_param`; `final` is (params, tokens). ln gain at `smallest` params is N(null_mean, null_sd), or exponential
    with mean `useful_mean` for a `useful_share` of the ideas; then it drifts with compute.
    """

    ideas: int = 100
    noise: float = NOISE
    correlation: float = SHARED
    final: tuple[float, float] = (7e10, 1.5e13)
    tokens_per_param: float = 20.0
    smallest: float = 1e8
    law: Loss = LAW
    useful_share: float = USEFUL_SHARE
    useful_mean: float = USEFUL_MEAN
    null_mean: float = NULL_MEAN
    null_sd: float = NULL_SD
    slope: float = SLOPE
    walk: float = WALK

    def __post_init__(self) -> None:
        """Refuse what no lab is like."""
        _require(1 <= self.ideas <= MOST_IDEAS, "ideas", self.ideas, f"1 to {MOST_IDEAS}")
        _require(0 < self.noise <= 0.1, "noise", self.noise, "above 0, at most 0.1: it is the sd of ln loss")
        _require(0 <= self.correlation < 1, "correlation", self.correlation, "0 up to, but not, 1")
        _require(0 <= self.useful_share <= 1, "useful share", self.useful_share, "0 to 1")
        for name in ("tokens_per_param", "smallest", "useful_mean", "null_sd"):
            value = getattr(self, name)
            _require(0 < value < math.inf, name.replace("_", " "), value, "above zero")
        _require(min(self.final) > 0, "final run", min(self.final), "above zero")

    @property
    def final_flops(self) -> float:
        """Training FLOPs of the final run."""
        return 6 * self.final[0] * self.final[1]

    def run_flops(self, params: float) -> float:
        """Training FLOPs of one small run."""
        return 6 * params * params * self.tokens_per_param

    @cached_property
    def pool(self) -> tuple[float, float]:
        """Mean and sd of ln gain over ideas, before drift: what a filter with a normal prior believes."""
        null, useful = 1 - self.useful_share, self.useful_share
        mean = null * self.null_mean + useful * self.useful_mean
        square = null * (self.null_sd**2 + self.null_mean**2) + useful * 2 * self.useful_mean**2
        ours = (self.useful_share, self.useful_mean, self.null_mean, self.null_sd)
        if ours == (USEFUL_SHARE, USEFUL_MEAN, NULL_MEAN, NULL_SD):
            return MEAN, SD  # the rounded sd that `compare` uses too
        return mean, math.sqrt(square - mean**2)

    def drift(self, log_flops: Array) -> Array:
        """Covariance of what ln gain adds between the smallest size and computes `(m,)`."""
        anchored = np.append(math.log(self.run_flops(self.smallest)), log_flops)
        return covariance(anchored, sd=0.0, slope=self.slope, walk=self.walk)[1:, 1:]


@dataclass(frozen=True)
class Outcome:
    """How a policy does on average: what it promotes, keeps, and costs.

    `gain_kept` is the sum of ln gain of the promoted over that of all ideas that help; `false_promotion` the share of
    harmful ideas promoted, `harmful` the share of promoted ideas that harm, `power` the share of ideas worth
    1.1x and more promoted. `flops` is the cost of all runs, `of_final` over the final run, `of_everything` over one pair
    of every idea at the policy's reference size. `*_error` are standard errors of the simulation.
    """

    policy: Policy
    promoted: float
    gain_kept: float
    gain_kept_error: float
    false_promotion: float
    false_promotion_error: float
    harmful: float
    power: float
    flops: float
    of_final: float
    of_everything: float
    sd_at_end: float


def simulate(
    policy: Policy, world: IdeaWorld, *, reference: float | None = None, repeats: int = REPEATS, seed: int = 0
) -> Outcome:
    """Run `policy` on `repeats` drawn pools of ideas; a seed draws the same pools for every policy of the same sizes.

    Beliefs are the normal filter over (ln gain at each rung, at the final run) that `compare` uses. `reference` is the
    size of "everything"; the policy's own largest when None.
    """
    _check(policy, repeats)
    chunk = max(1, CELLS // world.ideas)
    parts = [
        _simulated(policy, world, min(chunk, repeats - start), [seed, start]) for start in range(0, repeats, chunk)
    ]
    alive, gain, cost = (np.concatenate([part[index] for part in parts]) for index in range(3))
    every = reference or max(gate.params for gate in policy.gates)
    everything = (world.ideas + BASELINE_SEEDS) * world.run_flops(every)
    return _outcome(policy, world, alive, gain, cost, everything)


def _simulated(
    policy: Policy, world: IdeaWorld, repeats: int, seed: list[int]
) -> tuple[NDArray[np.bool_], Array, Array]:
    """Promoted or not and true final ln gain `(repeats, ideas)`, cost `(repeats,)`."""
    sizes = np.array(sorted({gate.params for gate in policy.gates}))
    gain = _true_gains(world, sizes, repeats, np.random.default_rng([*seed, 0]))
    alive, cost = np.ones(gain.shape[:2], bool), np.zeros(repeats)
    seen: list[Array] = []
    for number, gate in enumerate(policy.gates):
        rng = np.random.default_rng([*seed, 1, number])
        place = int(np.searchsorted(sizes, gate.params))
        own, common = _gate_noise(gate, world)
        noise = rng.normal(size=alive.shape) * own + rng.normal(size=(repeats, 1)) * common
        seen.append(gain[:, :, place] + noise)
        cost += (alive.sum(1) * gate.pairs + max(BASELINE_SEEDS, gate.pairs)) * world.run_flops(gate.params)
        weights, sd, mean = believed(policy.gates[: number + 1], world)
        expected = mean + (np.stack(seen, -1) - mean) @ weights
        alive &= _let_on(gate.rule, expected, sd, alive)
    return alive, gain[:, :, -1], cost


def _true_gains(world: IdeaWorld, sizes: Array, repeats: int, rng: np.random.Generator) -> Array:
    """ln gain `(repeats, ideas, sizes + 1)`, the last at the final run."""
    shape = (repeats, world.ideas)
    useful = rng.random(shape) < world.useful_share
    level = np.where(
        useful, rng.exponential(world.useful_mean, shape), rng.normal(world.null_mean, world.null_sd, shape)
    )
    drift = world.drift(np.log([*map(world.run_flops, sizes.tolist()), world.final_flops]))
    value, vector = np.linalg.eigh(drift)
    root = vector * np.sqrt(np.maximum(value, 0))
    return np.asarray(level[..., None] + rng.normal(size=(*shape, root.shape[0])) @ root.T)


def _gate_noise(gate: Gate, world: IdeaWorld) -> tuple[float, float]:
    """Sd of the error of ln gain at a gate: an idea's own, and that of the baseline's seeds, common to all."""
    one = _pair_variance(gate.params, world)
    return math.sqrt(one / 2 / gate.pairs), math.sqrt(one / 2 / max(BASELINE_SEEDS, gate.pairs))


def _pair_variance(params: float, world: IdeaWorld) -> float:
    tokens = world.tokens_per_param * params
    return float(pair_variance(world.law, params, tokens, noise=world.noise, correlation=world.correlation))


def believed(gates: Sequence[Gate], world: IdeaWorld) -> tuple[Array, float, float]:
    """The filter after `gates`: weights `(k,)` of the gains seen, sd of ln gain at the final run, and the prior's mean."""
    mean, sd = world.pool
    log_flops = np.log([*(world.run_flops(gate.params) for gate in gates), world.final_flops])
    prior = sd**2 + world.drift(log_flops)
    noise = [own**2 + common**2 for own, common in (_gate_noise(gate, world) for gate in gates)]
    weights = np.asarray(np.linalg.solve(prior[:-1, :-1] + np.diag(noise), prior[:-1, -1]), float)
    return weights, math.sqrt(max(prior[-1, -1] - float(prior[-1, :-1] @ weights), 1e-12)), mean


def _let_on(rule: Above | Top, expected: Array, sd: float, alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which ideas a rule keeps, `(repeats, ideas)`."""
    if isinstance(rule, Above):
        return np.asarray(ndtr(expected / sd) > rule.probability)
    keep = np.ceil(rule.share * alive.sum(1)).astype(int)
    rank = np.argsort(np.argsort(-np.where(alive, expected, -np.inf), axis=1), axis=1)
    return np.asarray(rank < keep[:, None])


def _outcome(
    policy: Policy, world: IdeaWorld, alive: NDArray[np.bool_], gain: Array, cost: Array, everything: float
) -> Outcome:
    harmful = gain < 0
    worthwhile = gain > math.log(WORTHWHILE)
    kept, kept_error = _ratio(np.where(alive, gain, 0).sum(1), np.where(harmful, 0, gain).sum(1))
    false, false_error = _ratio((alive & harmful).sum(1), harmful.sum(1))
    return Outcome(
        policy=policy,
        promoted=float(alive.sum(1).mean()),
        gain_kept=kept,
        gain_kept_error=kept_error,
        false_promotion=false,
        false_promotion_error=false_error,
        harmful=_ratio((alive & harmful).sum(1), alive.sum(1))[0],
        power=_ratio((alive & worthwhile).sum(1), worthwhile.sum(1))[0],
        flops=float(cost.mean()),
        of_final=float(cost.mean()) / world.final_flops,
        of_everything=float(cost.mean()) / everything,
        sd_at_end=believed(policy.gates, world)[1],
    )


def _ratio(above: Array, below: Array) -> tuple[float, float]:
    """Ratio of sums over repeats, and its standard error (delta method)."""
    total = float(below.sum())
    if total == 0:
        return math.nan, math.nan
    ratio = float(above.sum()) / total
    spread = float(np.std(above - ratio * below)) / float(below.mean())
    return ratio, spread / math.sqrt(above.size)


def _check(policy: Policy, repeats: int) -> None:
    _require(bool(policy.gates), "policy", policy.name, "at least one gate")
    _require(1 <= repeats <= MOST_REPEATS, "repeats", repeats, f"1 to {MOST_REPEATS}")
    for gate in policy.gates:
        _require(0 < gate.params < math.inf, "a gate's params", gate.params, "above zero")
        _require(1 <= gate.pairs <= 10_000, "a gate's pairs", gate.pairs, "1 to 10000")
        limit = gate.rule.probability if isinstance(gate.rule, Above) else gate.rule.share
        _require(0 <= limit <= 1, "a gate's threshold", limit, "0 to 1")


def _require(fine: bool, name: str, value: object, wanted: str) -> None:
    if not fine:
        raise InputError(
            f"{name} = {value if isinstance(value, str) else f'{value:g}'} is not possible", f"give {wanted}"
        )
