"""Gains of all arms in one model."""

import math
from dataclasses import replace

import numpy as np
import pytest
from truths import TRUTHS

from planner.decisions.belief import Belief, Noise
from planner.decisions.drift import constant_prior, pool_prior, sloped_prior
from planner.decisions.gains import Pairs
from planner.decisions.joint_gain import joint_gains
from planner.decisions.pairs import Arms, arms_of_pairs, parts_of
from planner.laws import Chinchilla, Coupled

LAW = TRUTHS["coupled"]
SIZES = (3e8, 1e9, 3e9)


def arms(gains, *, sd=1e-6, seeds=2, seed=0, rho=0.5, names=None) -> Arms:
    """The baseline and one variant per ln gain, on three rungs."""
    rng = np.random.default_rng(seed)
    params = np.repeat(SIZES, seeds)
    common = rng.normal(size=params.size)
    loss = []
    for h in (0.0, *gains):
        noise = sd * (math.sqrt(rho) * common + math.sqrt(1 - rho) * rng.normal(size=params.size))
        loss.append(LAW(params * math.exp(h / 2), 20 * params * math.exp(h / 2)) * np.exp(noise))
    n = len(gains) + 1
    names = ("baseline", *(names or [f"idea {i}" for i in range(n - 1)]))
    return Arms(
        names, np.repeat(np.arange(n), params.size), np.tile(np.arange(params.size), n), np.tile(params, n),
        np.tile(20 * params, n), np.concatenate(loss), parts_of(names), (None,) * n,
    )  # fmt: skip


def noise_of(made: Arms, sd=1e-6, rho=0.5) -> Noise:
    return Noise.correlated(np.full(made.loss.size, sd), rho)


def free(made: Arms, sd=1e-6) -> Noise:
    return Noise(np.full(made.loss.size, sd), np.full(made.loss.size, np.inf))


def largest(made: Arms) -> np.ndarray:
    return np.array([made.log_flops.max()])


@pytest.mark.parametrize("law", [Chinchilla, Coupled])
def test_noise_free_arms_give_their_gains_back_under_a_vague_law(law):
    # The truth is coupled; a Chinchilla law fits three points on a ray just as well.
    made = arms([0.1, -0.2])
    found = joint_gains(made, Belief.vague(law, made), noise_of(made), constant_prior(made.log_flops), at=largest(made))
    assert found.mean[:, 0] == pytest.approx([0.1, -0.2], abs=2e-3)


def test_free_levels_and_an_exact_law_are_the_difference_of_pairs_against_theory():
    # Three seeds on three rungs, one idea, no broken runs: the variance is that of SCIENCE.md 6.1.
    made = arms([0.1], sd=0.002, seeds=3)
    vague = replace(constant_prior(made.log_flops), sd=100.0)
    found = joint_gains(made, Belief.exact(LAW), free(made, 0.001), vague, at=largest(made), broken_share=0)
    params = made.params[made.arm == 0]

    def log_loss(h):
        return np.log(LAW(params * np.exp(h / 2), 20 * params * np.exp(h / 2)))

    slope = (log_loss(0.1 + 1e-4) - log_loss(0.1 - 1e-4)) / 2e-4
    assert found.sd[0, 0] == pytest.approx((np.sum(slope**2) / (2 * 0.001**2)) ** -0.5, rel=0.02)


def test_tied_levels_narrow_the_gain_by_what_theory_allows():
    made = arms([0.1], sd=0.002, seeds=4)
    vague = replace(constant_prior(made.log_flops), sd=100.0)
    own = joint_gains(made, Belief.exact(LAW), noise_of(made, 0.002), vague, at=largest(made), broken_share=0).sd
    apart = joint_gains(
        made, Belief.exact(LAW), free(made, 0.002 * math.sqrt(0.5)), vague, at=largest(made), broken_share=0
    ).sd
    assert own[0, 0] / apart[0, 0] == pytest.approx(math.sqrt((1 + 0.5) / 2), rel=0.02)


def test_ninety_percent_intervals_of_a_constant_gain_hold_about_ninety_percent():
    held = []
    for seed in range(100):
        made = arms([0.1], sd=0.003, seed=seed)
        found = joint_gains(
            made,
            Belief.vague(Chinchilla, made),
            noise_of(made, 0.003),
            constant_prior(made.log_flops),
            at=largest(made),
        )
        held.append(abs(found.mean[0, 0] - 0.1) < 1.645 * found.sd[0, 0])
    assert 0.83 <= np.mean(held) <= 0.97


def test_drift_widens_the_target_and_not_the_middle():
    made = arms([0.1], sd=0.002)
    at = np.array([made.log_flops.mean(), made.log_flops.max() + 10])
    wide, narrow = (
        joint_gains(made, Belief.vague(Coupled, made), noise_of(made, 0.002), prior(made.log_flops), at=at).sd[0]
        for prior in (sloped_prior, constant_prior)
    )
    assert wide[1] > 3 * narrow[1]
    assert wide[0] == pytest.approx(narrow[0], rel=0.15)  # the runs weigh most a little beside the middle


def test_a_broken_baseline_run_is_seen_across_ideas_and_moves_none():
    made = arms([0.1, 0.0, -0.05], sd=0.001)
    loss = made.loss.copy()
    loss[0] *= 1.05
    prior = pool_prior(made.log_flops)
    whole, spoiled = (
        joint_gains(each, Belief.exact(LAW), free(made, 0.0007), prior, at=largest(made))
        for each in (made, replace(made, loss=loss))
    )
    assert spoiled.broken[0] > 0.99
    assert spoiled.broken[1:].max() < 0.5
    assert spoiled.mean[:, 0] == pytest.approx(whole.mean[:, 0], abs=0.02)


def test_ideas_that_share_baseline_runs_are_correlated_and_others_are_not():
    made = arms([0.1, 0.1], sd=0.001)
    apart = replace(made, pair=np.where(made.arm == 2, made.pair + 100, made.pair))
    prior = pool_prior(made.log_flops)
    shared = joint_gains(made, Belief.exact(LAW), free(made, 0.001), prior, at=largest(made)).covariance
    assert shared[0, 0, 1, 0] > 0.2 * shared[0, 0, 0, 0]
    assert joint_gains(apart, Belief.exact(LAW), free(made, 0.001), prior, at=largest(made)).covariance[0, 0, 1, 0] == 0


def test_a_variant_without_a_baseline_beside_it_is_measured_against_the_law():
    made = arms([0.15], sd=0.001)
    apart = replace(made, pair=np.where(made.arm == 1, made.pair + 100, made.pair))
    found = joint_gains(
        apart, Belief.vague(Coupled, made), noise_of(made, 0.001), constant_prior(made.log_flops), at=largest(made)
    )
    assert found.mean[0, 0] == pytest.approx(0.15, abs=2.5 * found.sd[0, 0])
    assert found.sd[0, 0] < 0.1


def test_a_combination_is_its_parts_and_an_interaction():
    names = ["a", "b", "a + b"]
    made = arms([0.1, 0.05, 0.2], names=names)
    assert made.parts == ((), (), (), (1, 2))
    found = joint_gains(made, Belief.exact(LAW), free(made), pool_prior(made.log_flops), at=largest(made))
    assert found.mean[:, 0] == pytest.approx([0.1, 0.05, 0.2], abs=2e-3)
    unmeasured = made.at(made.arm != 3)
    assert joint_gains(
        unmeasured, Belief.exact(LAW), free(unmeasured), pool_prior(made.log_flops), at=largest(made)
    ).mean[:2, 0] == pytest.approx([0.1, 0.05], abs=2e-3)


def test_pairs_share_a_baseline_run_by_seed_or_else_by_its_loss():
    one = np.array([1e9, 1e9])
    first = Pairs("a", one, 20 * one, np.array([2.5, 2.6]), np.array([2.7, 2.8]))
    second = Pairs("b", one, 20 * one, np.array([2.4, 2.9]), np.array([2.7, 2.85]))
    made = arms_of_pairs([first, second])
    assert (made.arm == 0).sum() == 3
    seeds = np.array([0.0, 1.0])
    made = arms_of_pairs([replace(first, seed=seeds), replace(second, seed=seeds)])
    assert (made.arm == 0).sum() == 2


def test_the_answer_does_not_depend_on_the_order_of_runs():
    made = arms([0.1, -0.1], sd=0.002)
    order = np.random.default_rng(1).permutation(made.loss.size)
    mixed = replace(
        made, arm=made.arm[order], pair=made.pair[order], params=made.params[order], tokens=made.tokens[order],
        loss=made.loss[order],
    )  # fmt: skip
    a, b = (
        joint_gains(each, Belief.exact(LAW), free(made, 0.001), pool_prior(made.log_flops), at=largest(made)).mean
        for each in (made, mixed)
    )
    np.testing.assert_allclose(a, b, atol=1e-9)
