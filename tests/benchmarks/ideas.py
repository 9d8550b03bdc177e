"""Estimates of gains, and promotion policies: do they reach what SCIENCE.md 6 promises?

    python tests/benchmarks/ideas.py [repeats]

First the joint estimate of one idea's gain from three rungs with two seeds each, in the world of SCIENCE.md 6.3 (the
Chinchilla law of Besiroglu et al., noise .3 % at 1B falling as params^-.22, pairs correlated by .5; its noise known),
beside separate fits of both arms. Then forty ideas from the assumed pool, noise estimated and one run in 25 broken. Then the
policies on 100 ideas in the world of SCIENCE.md 6.2.
"""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from planner.decisions.belief import Belief, Noise
from planner.decisions.drift import (
    NULL_MEAN,
    NULL_SD,
    SLOPE,
    USEFUL_MEAN,
    USEFUL_SHARE,
    GainPrior,
    constant_prior,
    sloped_prior,
)
from planner.decisions.gains import compare, effective_compute
from planner.decisions.joint_gain import joint_gains
from planner.decisions.pairs import Arms, Pairs
from planner.decisions.policies import default_policy, rivals
from planner.decisions.policy import LAW, NOISE, IdeaWorld, Outcome, simulate
from planner.decisions.power import run_noise
from planner.laws import Chinchilla, Coupled
from planner.laws.law import Law

RHO, LEVEL_Z = 0.5, 1.6449
FINAL = (7e10, 1.5e13)
FINAL_LOG = math.log(6 * FINAL[0] * FINAL[1])
DESIGNS = {
    ".3, 1, 3B at 20": ((3e8, 1e9, 3e9), (20.0,)),
    "1, 3, 7B at 20": ((1e9, 3e9, 7e9), (20.0,)),
    ".1-3B (5) at 20, 80": ((1e8, 3e8, 7.6e8, 1.5e9, 3e9), (20.0, 80.0)),
}
SEEDS, GAINS, DRIFT = 2, (1.0, 1.1, 1.2), 0.02


class Method(NamedTuple):
    """An estimate: its law and what it lets gains do; `at_target` asks for the final run, else the largest rung."""

    name: str
    law: type[Law]
    prior: object
    at_target: bool


METHODS = (
    Method("joint, constant gain", Chinchilla, constant_prior, False),
    Method("joint, constant gain, coupled law", Coupled, constant_prior, False),
    Method("joint, with drift, at the target", Chinchilla, sloped_prior, True),
    Method("joint, with drift, at the target, coupled law", Coupled, sloped_prior, True),
)


def drawn(design: str, gain: float, drift: float, rng: np.random.Generator) -> tuple[Arms, Noise]:
    """Baseline and variant runs whose ln gain is ln `gain` + `drift` per nat about the middle of the rungs."""
    sizes, ratios = DESIGNS[design]
    params = np.repeat(np.repeat(sizes, len(ratios)), SEEDS)
    tokens = params * np.tile(np.repeat(ratios, SEEDS), len(sizes))
    log_flops = np.log(6 * params * tokens)
    h = math.log(gain) + drift * (log_flops - log_flops.mean())
    sd = run_noise(params, NOISE)
    common = rng.normal(size=params.size)
    arms = []
    for boost in (np.ones_like(h), np.exp(h / 2)):
        own = rng.normal(size=params.size)
        noise = sd * (math.sqrt(RHO) * common + math.sqrt(1 - RHO) * own)
        arms.append(LAW(params * boost, tokens * boost) * np.exp(noise))
    pair = np.tile(np.arange(params.size), 2)
    made = Arms(
        ("baseline", "idea"), np.repeat([0, 1], params.size), pair, np.tile(params, 2), np.tile(tokens, 2),
        np.concatenate(arms), ((), ()), (None, None),
    )  # fmt: skip
    return made, Noise.correlated(np.tile(sd, 2), RHO)


def estimated(method: Method, arms: Arms, noise: Noise) -> tuple[float, float]:
    """ln gain and its sd."""
    prior: GainPrior = method.prior(arms.log_flops)  # type: ignore[operator]
    at = np.array([FINAL_LOG if method.at_target else arms.log_flops.max()])
    found = joint_gains(arms, Belief.vague(method.law, arms), noise, prior, at=at)
    return float(found.mean[0, 0]), float(found.sd[0, 0])


def separate(arms: Arms, noise: Noise) -> float:
    """ln gain at the final run from two fits, one per arm, with the law's weak prior: compute at equal loss."""
    laws = []
    for arm in (0, 1):
        mine = arms.arm == arm
        belief = Belief.vague(Chinchilla, arms)
        x = Chinchilla.inputs(belief.centre, arms.params[mine], arms.tokens[mine])
        sd = np.hypot(noise.own, noise.shared)[mine]
        spread = np.sqrt(np.diag(belief.covariance))

        def apart(z: np.ndarray, mine=mine, x=x, sd=sd, belief=belief, spread=spread) -> np.ndarray:
            f = Chinchilla.gradient(belief.theta + spread * z, x)[0][0]
            return np.concatenate([(np.log(arms.loss[mine]) - f) / sd, z])

        z = least_squares(apart, np.zeros(5)).x
        laws.append(Chinchilla.from_theta(belief.theta + spread * z, belief.centre))
    params, tokens = np.array([FINAL[0]]), np.array([FINAL[1]])
    ratio = np.log(laws[1](params, tokens) / laws[0](params, tokens))
    return float(effective_compute(laws[0], params, tokens, ratio)[0])


def gain_table(repeats: int) -> pd.DataFrame:
    """One row per design, method and kind of truth, over all true gains."""
    rows = []
    for design in DESIGNS:
        for name in ("separate fits, at the target", *(method.name for method in METHODS)):
            method = next((method for method in METHODS if method.name == name), None)
            for drifts in (False, True) if method and method.at_target else (False,):
                errors, sds = _errors(design, method, drifts, repeats)
                held = np.abs(errors) <= LEVEL_Z * sds
                rows.append({
                    "rungs": design, "estimate": name, "truth": "drifts" if drifts else "constant", "n": errors.size,
                    "bias": errors.mean(), "sd of ln gain": errors.std(),
                    "said sd": np.median(sds), "90 % covers": held.mean() if method else math.nan,
                })  # fmt: skip
    return pd.DataFrame(rows)


def _errors(design: str, method: Method | None, drifts: bool, repeats: int) -> tuple[np.ndarray, np.ndarray]:
    errors, sds = [], []
    for gain in GAINS:
        for seed in range(repeats):
            rng = np.random.default_rng([seed, round(100 * gain)])
            drift = DRIFT * rng.normal() if drifts else 0.0
            arms, noise = drawn(design, gain, drift, rng)
            middle = float(arms.log_flops.mean())
            truth = math.log(gain) + (drift * (FINAL_LOG - middle) if method is None or method.at_target else 0.0)
            value, sd = (separate(arms, noise), math.nan) if method is None else estimated(method, arms, noise)
            errors.append(value - truth)
            sds.append(sd)
    return np.array(errors), np.array(sds)


def forty(seed: int, seeds: int = 3, broken: float = 0.04) -> pd.DataFrame:
    """Forty ideas from the pool on three rungs, what `compare` says and what is true at the final run."""
    rng = np.random.default_rng([seed, 40])
    params = np.repeat((1e9, 3e9, 7e9), seeds)
    tokens, log_flops = 20 * params, np.log(120 * params**2)
    sd = run_noise(params, NOISE)
    common = rng.normal(size=params.size)

    def losses(h: np.ndarray) -> np.ndarray:
        mistake = rng.exponential(0.02, params.size) * (rng.random(params.size) < broken)
        noise = sd * (math.sqrt(RHO) * common + math.sqrt(1 - RHO) * rng.normal(size=params.size)) + mistake
        return LAW(params * np.exp(h / 2), tokens * np.exp(h / 2)) * np.exp(noise)

    base, ideas, truth = losses(np.zeros(params.size)), [], {}
    for number in range(40):
        useful = rng.random() < USEFUL_SHARE
        level = rng.exponential(USEFUL_MEAN) if useful else rng.normal(NULL_MEAN, NULL_SD)
        slope = SLOPE * rng.normal()
        name = f"idea {number:02d}"
        truth[name] = level + slope * (FINAL_LOG - log_flops.min())
        loss = losses(level + slope * (log_flops - log_flops.min()))
        ideas.append(Pairs(name, params, tokens, loss, base))
    found = compare(ideas, LAW, target_flops=math.exp(FINAL_LOG))
    return pd.DataFrame({
        "seed": seed, "gain": [math.log(i.gain) for i in found], "face": [math.log(i.gain_face) for i in found],
        "held": [i.interval[0] <= math.exp(truth[i.variant]) <= i.interval[1] for i in found],
        "truth": [truth[i.variant] for i in found],
    })  # fmt: skip


def policy_table(repeats: int) -> pd.DataFrame:
    """The default gates and their rivals on 100 ideas."""
    world = IdeaWorld()

    def row(found: Outcome) -> dict[str, float | str]:
        return {
            "policy": found.policy.name, "gain kept": found.gain_kept, "+-": found.gain_kept_error,
            "false promotion": found.false_promotion, "+- ": found.false_promotion_error, "harmful": found.harmful,
            "power at 1.1x": found.power, "of final": found.of_final, "of all at 7B": found.of_everything,
        }  # fmt: skip

    policies = [default_policy(), *rivals()]
    return pd.DataFrame([row(simulate(each, world, reference=7e9, repeats=repeats)) for each in policies])


def main() -> None:
    """The tables."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"gain of one idea, {SEEDS} seeds a rung, {repeats} repeats at each of {GAINS}; noise known")
    print(gain_table(repeats).round(3).to_string(index=False))
    ideas = pd.concat([forty(seed) for seed in range(50)])
    best = ideas.sort_values("gain").groupby("seed").tail(1)
    face = ideas.sort_values("face").groupby("seed").tail(1)
    print(
        "\nforty ideas on three rungs, three seeds, noise estimated, 4 % of runs broken, 50 worlds; ln gain at the final run"
    )
    print(
        f"  90 % interval covers {ideas['held'].mean():.3f}; sd of error {(ideas['gain'] - ideas['truth']).std():.3f}"
    )
    print(f"  the winner, shrunk: said {best['gain'].mean():.3f}, true {best['truth'].mean():.3f}")
    print(f"  the winner by face value: said {face['face'].mean():.3f}, true {face['truth'].mean():.3f}")
    print("\npolicies on 100 ideas, 300 repeats")
    print(policy_table(300).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
