"""Power of pairs: the table of SCIENCE.md 6.1, and what more pairs would settle."""

import numpy as np
import pytest
from test_gains import LAW, pairs

from planner.decisions.gains import Verdict, compare_pairs
from planner.decisions.policy import LAW as PUBLISHED
from planner.decisions.power import (
    detectable_gain,
    finding_out,
    ladder_sd,
    pair_variance,
    rung_power,
    seeds_per_arm,
    sensitivity,
)
from planner.errors import InputError

PARAMS = np.array([1e8, 1e9, 3e9, 7e9, 7e10])


def test_sensitivity_and_the_noise_of_a_pair_against_published():
    # SCIENCE.md 6.1, measured by the prototype p4_interventions.py.
    assert sensitivity(PUBLISHED, PARAMS, 20 * PARAMS) == pytest.approx([0.084, 0.050, 0.037, 0.029, 0.014], abs=5e-4)
    half = pair_variance(PUBLISHED, PARAMS[:4], 20 * PARAMS[:4], noise=0.003, correlation=0.5)
    assert np.sqrt(half) == pytest.approx([0.059, 0.060, 0.063, 0.067], abs=5e-4)


def test_sensitivity_of_the_additive_law_against_theory():
    x, y = PUBLISHED.A * PARAMS**-PUBLISHED.alpha, PUBLISHED.B * (20 * PARAMS) ** -PUBLISHED.beta
    theory = (PUBLISHED.alpha * x + PUBLISHED.beta * y) / (2 * PUBLISHED(PARAMS, 20 * PARAMS))
    np.testing.assert_allclose(sensitivity(PUBLISHED, PARAMS, 20 * PARAMS), theory, rtol=1e-6)


def test_seeds_per_arm_against_published():
    alone = pair_variance(PUBLISHED, PARAMS, 20 * PARAMS, noise=0.003, correlation=0.0)
    for gain, seeds in (
        (1.05, [18, 18.5, 20.6, 23.3, 36]),
        (1.1, [4.8, 4.8, 5.4, 6.1, 9.4]),
        (1.2, [1.3, 1.3, 1.5, 1.7, 2.6]),
    ):
        assert seeds_per_arm(gain, alone) == pytest.approx(seeds, rel=0.03)
    assert seeds_per_arm(1.1, alone / 2) == pytest.approx(seeds_per_arm(1.1, alone) / 2)


def test_a_ladders_detectable_gain_against_published():
    one = pair_variance(PUBLISHED, PARAMS[1:4], 20 * PARAMS[1:4], noise=0.003, correlation=0.5)
    assert detectable_gain(ladder_sd(one, [1, 1, 1])) == pytest.approx(1.095, abs=1e-3)
    assert detectable_gain(ladder_sd(one, [3, 3, 3])) == pytest.approx(1.054, abs=1e-3)


def test_the_wanted_seeds_do_show_the_gain_by_simulation():
    variance, gain = 0.06**2, 1.08
    seeds = int(np.ceil(seeds_per_arm(gain, variance)))
    seen = np.random.default_rng(0).normal(np.log(gain), 0.06, size=(4000, seeds)).mean(1)
    assert np.mean(seen > 1.6449 * 0.06 / np.sqrt(seeds)) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("gain", [1.0, 0.0, -1.0, float("nan")])
def test_a_gain_that_cannot_be_looked_for_is_refused(gain):
    with pytest.raises(InputError, match="cannot be looked for"):
        seeds_per_arm(gain, 1e-3)


def test_more_pairs_are_named_for_ideas_on_hold_only_and_cost_what_they_cost():
    ideas = [pairs(gain, 2e-3, seed, name=f"{gain:g}") for seed, gain in enumerate((0.8, 0.99, 1.02, 1.3))]
    found = compare_pairs(ideas, LAW, target_flops=3e24)
    more = finding_out(found, LAW)
    assert [row.variant for row in more] == [idea.variant for idea in found.ideas if idea.decision is Verdict.HOLD]
    for row in more:
        assert row.sd_after < row.sd_now
        assert row.flops == pytest.approx(2 * row.pairs * 6 * row.params * row.tokens)
        assert 0 <= row.promote <= row.probability <= 1


def test_the_power_of_a_size_follows_from_the_noise_that_its_pairs_showed():
    ideas = [pairs(1.1, 2e-3, seed, name=str(seed)) for seed in range(10)]
    rungs = rung_power(compare_pairs(ideas, LAW, target_flops=3e24), LAW, wanted=1.05)
    for rung in rungs:
        expected = 2 * (2e-3 / sensitivity(LAW, rung.params, rung.tokens)) ** 2
        assert rung.sd_of_pair**2 == pytest.approx(expected, rel=0.4)
        assert rung.pairs_wanted == pytest.approx(seeds_per_arm(1.05, rung.sd_of_pair**2))
        assert rung.flops == pytest.approx(2 * np.ceil(rung.pairs_wanted) * 6 * rung.params * rung.tokens)
