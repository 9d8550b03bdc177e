"""IsoFLOP profiles against laws that are known, and against faults that are put in."""

import numpy as np
import pytest
from truths import SHARED, TRUTHS, needs_shared

from planner.decisions.approaches import approaches
from planner.fitting.fit import fit
from planner.fitting.isoflop import frontiers, judge_profiles, profiles
from planner.fitting.recipe import choose_recipe
from planner.laws import Chinchilla
from planner.runs.columns import Count
from planner.runs.sample import Sample

LEVELS = np.array([1e19, 3e19, 1e20, 3e20, 1e21])
EVEN = Chinchilla(E=1.8, A=480.0, B=480.0, alpha=0.34, beta=0.34)  # profiles are symmetric: parabolas are unbiased


def sweep(law, *, shift=0.0, width=1.0, sizes=9, noise=0.0, seed=0) -> Sample:
    best = np.array([law.optimum(level).params for level in LEVELS])
    params = (best[:, None] * np.exp(shift + width * np.linspace(-1, 1, sizes))).ravel()
    tokens = np.repeat(LEVELS, sizes) / 6 / params
    loss = law(params, tokens) * np.exp(noise * np.random.default_rng(seed).normal(size=params.size))
    return Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ())


def test_profiles_are_found_by_compute():
    found = profiles(sweep(EVEN))
    assert [profile.flops for profile in found] == pytest.approx(LEVELS)
    assert all(profile.params.size == 9 and profile.sound for profile in found)
    assert profiles(sweep(EVEN, sizes=4)) == []
    assert profiles(sweep(EVEN, width=0.2)) == []


def test_of_a_symmetric_law_every_approach_finds_the_optimum():
    found = profiles(sweep(EVEN))
    for profile in found:
        best = EVEN.optimum(profile.flops).params
        assert (profile.parabola, profile.cubic, profile.lowest) == pytest.approx((best, best, best), rel=1e-3)
    for line in frontiers(found):
        assert line.exponent == pytest.approx(0.5, abs=1e-3)
        assert line.params(1e23) == pytest.approx(EVEN.optimum(1e23).params, rel=0.01)


def test_a_wide_parabola_is_biased_and_one_off_centre_is_said_to_be():
    # arXiv 2603.22339: wide or off-centre sampling biases approach 2; the law's own fit is exact.
    runs = sweep(TRUTHS["hoffmann"], shift=0.3, width=2.3)
    found = profiles(runs)
    best = [TRUTHS["hoffmann"].optimum(profile.flops).params for profile in found]
    assert all(abs(np.log(profile.parabola / optimum)) > 0.03 for profile, optimum in zip(found, best, strict=True))
    made = fit(runs, choose_recipe("chinchilla", huber_delta=1e-3))
    exact = made.law.optimum(1e23).params
    assert exact == pytest.approx(TRUTHS["hoffmann"].optimum(1e23).params, rel=1e-3)
    assert "isoflop-off-centre" in {finding.name for finding in judge_profiles(profiles(sweep(EVEN, shift=0.7)))}


def test_faults_are_named():
    names = {
        "isoflop-not-bracketed": sweep(EVEN, shift=1.4),
        "isoflop-flat": sweep(EVEN, noise=0.03),
    }
    for name, runs in names.items():
        assert name in {finding.name for finding in judge_profiles(profiles(runs))}
    falling = sweep(EVEN)
    bowed = Sample(falling.params, falling.tokens, 4 / falling.loss, Count.PARAMS, "", "nats_per_token", {}, ())
    assert {finding.name for finding in judge_profiles(profiles(bowed))} == {"isoflop-not-convex"}
    assert judge_profiles(profiles(sweep(EVEN))) == ()
    assert frontiers(profiles(bowed)) == []


def test_the_law_wastes_nothing_and_the_others_what_they_are_off_by():
    runs = sweep(TRUTHS["hoffmann"], shift=0.4, width=1.6)
    made = fit(runs, choose_recipe("chinchilla", huber_delta=1e-3))
    found = {one.name: one for one in approaches(made, runs, flops=1e24)}
    assert found["3, chinchilla law"].waste == pytest.approx(0, abs=1e-9)
    law, off = made.law, found["2, parabola"]
    f = np.log(off.params / found["3, chinchilla law"].params)
    # SCIENCE.md section 7: waste = 1 - exp(-((alpha + beta)/2) ln^2 f) for small f
    assert off.waste == pytest.approx(1 - np.exp(-(law.alpha + law.beta) / 2 * f**2), rel=0.2)
    assert 6 * off.params * off.tokens == pytest.approx(1e24)


def test_runs_without_profiles_have_no_approaches():
    runs = sweep(EVEN, sizes=4)
    assert approaches(fit(runs), runs, flops=1e24) == []


@needs_shared
def test_on_marins_sweep_the_approaches_agree_within_a_factor_of_two():
    from planner.runs import read_runs, sample_of

    runs = sample_of(read_runs(SHARED / "data/marin_isoflop.csv"), count=Count.PARAMS, group="nemotron")
    found = approaches(fit(runs), runs, flops=1e21)
    sizes = [one.params for one in found]
    assert len(found) == 4
    assert max(sizes) / min(sizes) < 2
    assert all(0.35 < one.exponent < 0.65 for one in found)
