"""How much exploration pays: the value of loss, what is worth learning, which multiple of the final run, when to stop.

All spending is in final runs: 0.03 is 3 % of the final run's cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from planner.decisions.waste import drawn_laws, price_of_error
from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.fitting.predict import predict
from planner.laws.centre import Array
from planner.laws.law import Law

EXCESSES = (0.001, 0.002, 0.005, 0.01)  # of the loss
REPEATED = (1.0, 2.0, 5.0, 10.0, 100.0)  # times what was spent
MOST_IDEAS = 20_000
MULTIPLES = np.geomspace(1e-4, 30, 4000)  # of the final run, among which the best is looked for
STEP = 1e-3  # nats of compute, for a slope
SECANTS, FARTHEST = 12, 20.0  # steps; nats of compute


@dataclass(frozen=True)
class LossValue:
    """The fraction of the final run's compute that a loss `excess` (a fraction of it) too high wastes, with its interval."""

    excess: float
    waste: float
    interval: tuple[float, float]


def value_of_loss(fit: Fit, *, flops: float) -> list[LossValue]:
    """What a small excess of loss at the best split of `flops` is worth in compute, for each of EXCESSES."""
    drawn = drawn_laws(fit)
    tail = (1 - fit.level) / 2
    told = []
    for excess in EXCESSES:
        point = compute_worth(fit.law, flops, excess)
        low, high = np.quantile([compute_worth(law, flops, excess) for law in drawn], [tail, 1 - tail])
        told.append(LossValue(excess, point, (min(float(low), point), max(float(high), point))))
    return told


def frontier_elasticity(law: Law, flops: float) -> float:
    """s = -d ln L / d ln C along the best splits at `flops`."""
    more, less = (float(law(*law.optimum(flops * math.exp(sign * STEP)))) for sign in (1, -1))
    return math.log(less / more) / (2 * STEP)


def compute_worth(law: Law, flops: float, excess: float) -> float:
    """1 - C' / C with C' the compute whose best split has a loss `excess` (a fraction) higher: secant steps in ln C from
    1 - exp(-excess / s); everything where the least compute still does better.
    """

    def above(fall: float) -> float:
        return math.log(float(law(*law.optimum(flops * math.exp(-fall))))) - goal

    goal = math.log(float(law(*law.optimum(flops)))) + math.log1p(excess)
    before, at = 0.0, min(math.log1p(excess) / frontier_elasticity(law, flops), FARTHEST)
    low, here = above(before), above(at)
    for _ in range(SECANTS):
        if abs(here) < 1e-13 or here == low:
            break
        before, at, low = at, min(max(at - here * (at - before) / (here - low), 0.0), FARTHEST), here
        here = above(at)
    return -math.expm1(-at)


@dataclass(frozen=True)
class Learning:
    """Something a final run must be told: left at what is known after spending `at`, it wastes `waste`; after x,
    waste (x / at)^-power.
    """

    name: str
    waste: float
    at: float
    power: float
    source: str

    def left(self, spent: float) -> float:
        """Expected waste after spending `spent`, at most everything."""
        return float(min(1.0, self.waste * (spent / self.at) ** -self.power))

    @property
    def best(self) -> float:
        """The spending of least spending + waste: (power x waste x at^power)^(1 / (1 + power))."""
        return float((self.power * self.waste * self.at**self.power) ** (1 / (1 + self.power)))


# Orders of magnitude of this project's own simulations: size and tokens by a coupled law from runs of 1-7B; rates and
# batches taken to be within about 1.25x of the best after some 180 runs of at most 1B. Waste falls as x^-1/2: statistics
# alone would give -1, the error of the law's form, from 10 % of the final run on, hardly any fall.
POWER = 0.5
LAW = Learning("size and tokens", 0.08, 0.01, POWER, "assumed: 8 % after 1 % of the final run")
TUNING = Learning("learning rate and batch", 0.06, 0.003, POWER, "assumed: 6 % after 0.3 % of the final run")


def law_learning(fit: Fit, *, flops: float, spent: float) -> Learning:
    """What the fit itself leaves open about the best split of `flops`, after spending `spent` final runs on it."""
    if not (math.isfinite(spent) and spent > 0):
        raise InputError(f"spent = {spent:g} final runs is not above zero", "give the FLOPs of all runs of the sweep")
    found = price_of_error(fit, params=fit.law.optimum(flops).params, total=flops)
    return Learning("size and tokens", max(found.expected, 1e-9), spent, POWER, "this fit's draws")


@dataclass(frozen=True)
class Confidence:
    """Half of the interval of the mean loss (a fraction of it) at the final run after spending `spent`, and its floor."""

    spent: float
    half_width: float
    floor: float


def spend_to_confidence(fit: Fit, *, flops: float, spent: float) -> list[Confidence]:
    """How the forecast of the best split of `flops` narrows if the fit's design, `spent` final runs of it, grows.

    The variance of the letters falls as 1 / spending, if that buys new configurations (the default recipe lets replicates
    narrow little); what the law itself may miss beyond the largest run stays.
    """
    best = fit.law.optimum(flops)
    exact = replace(fit, uncertainty=replace(fit.uncertainty, drift=0.0))
    whole, letters = (_half_width(each, best.params, best.tokens) for each in (fit, exact))
    floor = math.sqrt(max(0.0, whole**2 - letters**2))
    return [Confidence(spent * times, math.hypot(letters / math.sqrt(times), floor), floor) for times in REPEATED]


def _half_width(fit: Fit, params: float, tokens: float) -> float:
    low, high = predict(fit, params=params, tokens=tokens).interval_mean
    return math.log(high / low) / 2


@dataclass(frozen=True)
class IdeaPool:
    """Ideas ranked by worth: testing costs `cost` final runs each, the k-th is worth first x k^-decay nats of compute, and
    `kept` of that survives testing.
    """

    cost: float
    first: float = 0.15
    decay: float = 0.8
    kept: float = 0.75

    def __post_init__(self) -> None:
        """Refuse what is no pool."""
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0) or (name == "kept" and value > 1):
                raise InputError(f"ideas: {name} = {value:g} is out of range", "a positive number; kept is at most 1")

    def log_gain(self, spent: Array) -> Array:
        """Nats of effective compute after spending `spent`, `(m,)`: whole ideas only."""
        worth = self.kept * self.first * np.arange(1, MOST_IDEAS + 1) ** -self.decay
        total = np.concatenate([[0.0], np.cumsum(worth)])
        return np.asarray(total[np.minimum(spent / self.cost, MOST_IDEAS).astype(int)])

    def elasticity(self, spent: float) -> float:
        """d ln(effective compute) / d ln(spent): kept x first x k^(1 - decay), k = spent / cost."""
        return float(self.kept * self.first * (spent / self.cost) ** (1 - self.decay))


@dataclass(frozen=True)
class Searched:
    """The best spending on ideas, how many it tests, nats of effective compute gained, and the objective there (none: 0)."""

    multiple: float
    ideas: int
    log_gain: float
    net: float


def best_of_fixed_total(pool: IdeaPool) -> Searched:
    """Out of a fixed total, gains used in the final run alone: most nats of effective compute, gain - ln(1 + x)."""
    gain = pool.log_gain(MULTIPLES)
    return _best(pool, gain, gain - np.log1p(MULTIPLES))


def best_saved(pool: IdeaPool, reuse: float) -> Searched:
    """Gains used in `reuse` final runs' worth of training: most compute saved at equal loss, reuse (1 - exp(-gain)) - x."""
    if not (math.isfinite(reuse) and reuse > 0):
        raise InputError(
            f"reuse = {reuse:g} is not above zero", "1: the gains serve the final run and nothing after it"
        )
    gain = pool.log_gain(MULTIPLES)
    return _best(pool, gain, reuse * -np.expm1(-gain) - MULTIPLES)


def _best(pool: IdeaPool, gain: Array, value: Array) -> Searched:
    at = int(np.argmax(value))
    if value[at] <= 0:
        return Searched(0.0, 0, 0.0, 0.0)
    x = float(MULTIPLES[at])
    return Searched(x, int(x / pool.cost), float(gain[at]), float(value[at]))


@dataclass(frozen=True)
class Implied:
    """What must be true for `multiple` final runs of exploration to be the best: elasticity x reuse equals it.

    `elasticity` is what is needed at this reuse: per cent of effective compute for each per cent more exploration;
    `pool_elasticity` what the assumed ideas give there, `reuse_needed` the reuse at which they would do.
    """

    multiple: float
    reuse: float
    elasticity: float
    pool_elasticity: float
    reuse_needed: float

    @property
    def sentence(self) -> str:
        """In words."""
        enough = "which is enough" if self.pool_elasticity >= self.elasticity else (
            f"which would need its gains in {self.reuse_needed:.3g} final runs' worth of training"
        )  # fmt: skip
        return (
            f"{self.multiple:g}x the final run is the best only if elasticity x reuse = {self.multiple:g}: with a reuse of "
            f"{self.reuse:g}, 1% more exploration must still add {self.elasticity:.3g}% of effective compute; the assumed "
            f"ideas add {self.pool_elasticity:.2g}% there, {enough}"
        )


def implied(multiple: float, reuse: float, pool: IdeaPool) -> Implied:
    """The elasticity that a requested multiple takes for granted: at the best, X / F = reuse x dG / d ln X."""
    if not (math.isfinite(multiple) and multiple > 0):
        raise InputError(f"multiple = {multiple:g} is not above zero", "3 asks about three final runs of exploration")
    there = pool.elasticity(multiple)
    return Implied(multiple, reuse, multiple / reuse, there, multiple / there)


@dataclass(frozen=True)
class StopRule:
    """Whether to go on learning the law; `next_saves` is what spending as much again would save, in final runs."""

    stop: bool
    spent: float
    waste: float
    next_saves: float
    sentence: str


def stop_rule(known: Learning, final: str = "the final run") -> StopRule:
    """Stop when spending as much again costs more than the waste it is expected to save."""
    spent, waste = known.at, known.left(known.at)
    saves = waste - known.left(2 * spent)
    stop = saves <= spent
    sentence = (
        f"{'stop' if stop else 'go on'}: spending as much again ({_share(spent)} of {final}) would lower what is expected to "
        f"be wasted on size and tokens from {_share(waste)} to {_share(waste - saves)}, which saves "
        f"{'less' if stop else 'more'} than it costs"
    )
    return StopRule(stop, spent, waste, saves, sentence)


def _share(fraction: float) -> str:
    return f"{fraction:.2g}x" if fraction >= 1 else f"{100 * fraction:.2g}%"
