"""Which ideas bought how much."""

import math

import numpy as np
import pytest
from test_gains import LAW, pairs

from planner.decisions.attribution import attribute
from planner.decisions.gains import compare_pairs
from planner.errors import InputError


def found(gains, sd=1e-4):
    ideas = [pairs(gain, sd, seed, name=name) for seed, (name, gain) in enumerate(gains.items())]
    return compare_pairs(ideas, LAW, target_flops=3e24)


def test_the_total_is_the_product_of_the_gains_and_shares_add_up():
    made = found({"a": 1.3, "b": 1.2, "bad": 0.7})
    told = attribute(made)
    assert [row.variant for row in told.bought] == ["a", "b"]
    assert told.total == pytest.approx(math.prod(row.gain for row in told.bought))
    assert sum(row.share for row in told.bought) == pytest.approx(1)
    assert told.interval[0] < told.total < told.interval[1]
    assert told.flops_saved == pytest.approx((told.total - 1) * 3e24)
    assert (told.pairs, told.pairs_untested) == (1, 1)


def test_a_tested_combination_gives_its_interaction_and_the_total():
    told = attribute(found({"a": 1.2, "b": 1.15, "a+b": 1.2 * 1.15 * 0.92}))
    (interaction,) = told.interactions
    assert interaction.parts == ("a", "b")
    assert interaction.factor == pytest.approx(0.92, abs=0.02)
    assert interaction.interval[0] < 0.92 < interaction.interval[1]
    assert told.total == pytest.approx(math.prod(row.gain for row in told.bought) * interaction.factor)
    assert sum(row.share for row in told.bought) == pytest.approx(1)
    assert told.pairs_untested == 0


def test_a_combination_inside_a_larger_one_is_not_counted_twice():
    told = attribute(found({"a": 1.2, "b": 1.2, "c": 1.2, "a+b": 1.3, "a+b+c": 1.6}), ideas=["a", "b", "c"])
    assert told.total == pytest.approx(1.6, rel=0.06)
    assert {row.variant for row in told.interactions} == {"a+b", "a+b+c"}


def test_the_totals_interval_holds_the_truth_as_often_as_it_says():
    held = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        gains = np.exp(0.1 * rng.normal(size=4))
        ideas = [pairs(gain, 2e-3, 100 * seed + i, name=str(i)) for i, gain in enumerate(gains)]
        told = attribute(compare_pairs(ideas, LAW, target_flops=6 * 7e9 * 1.4e11, drift=False), ideas=list("0123"))
        held.append(told.interval[0] <= gains.prod() <= told.interval[1])
    assert 0.8 <= np.mean(held) <= 0.98


def test_nothing_promoted_buys_nothing():
    told = attribute(found({"bad": 0.7}))
    assert (told.total, told.bought) == (1.0, ())


def test_an_idea_that_was_not_tested_alone_is_refused():
    with pytest.raises(InputError, match="'z' was not tested by itself"):
        attribute(found({"a": 1.2}), ideas=["z"])
