"""Designs by habit: what each pattern is, and that it stays within its budget."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.sweep.patterns import PATTERNS, Scope, filled, isoflop, ladder, overtrain, random, ray

FLOPS_A_HOUR = 1e18


def scope(low=1e9, high=7e9, n=7, least=20.0, most=1e12) -> Scope:
    sizes = np.geomspace(low, high, n)
    return Scope(sizes, least * sizes, np.full(n, most), lambda size, tokens: 6 * sizes[size] * tokens / FLOPS_A_HOUR)


BUDGET = 0.01 * 6 * 7e10 * 1.5e13 / FLOPS_A_HOUR  # 1 % of a 70B x 15T run


@given(st.sampled_from(sorted(PATTERNS)), st.floats(3, 8), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_a_pattern_never_costs_more_than_its_budget_and_lies_within_what_is_allowed(name, log_budget, seed):
    room, budget = scope(), 10**log_budget
    try:
        found = PATTERNS[name](room, budget, seed)
    except InputError as error:
        assert "affords no run" in error.message
        return
    assert found.cost @ found.runs <= budget * (1 + 1e-9)
    assert (found.runs >= 1).all()
    assert np.allclose(found.cost, 6 * room.sizes[found.size] * found.tokens / FLOPS_A_HOUR)
    least = room.least[found.size] / (9 if name == "isoflop" else 1)
    assert (found.tokens >= least * (1 - 1e-6)).all()
    assert (found.tokens <= 1e12 * (1 + 1e-6)).all()


@pytest.mark.parametrize("name", ["isoflop", "ladder", "overtrain", "ray", "random"])
def test_a_budget_of_many_runs_is_spent(name):
    found = PATTERNS[name](scope(), BUDGET, 0)
    assert found.cost @ found.runs > 0.9 * BUDGET


@pytest.mark.parametrize("budget", [3e3, 1e4, BUDGET])
def test_isoflop_profiles_have_equal_compute_3x_apart_and_bracket_20_tokens_per_parameter(budget):
    room = scope()
    found = isoflop(room, budget)
    flops = 6 * room.sizes[found.size] * found.tokens
    levels = np.unique(flops.round(-12))
    assert levels.size >= 1 + (budget > 1e4)
    assert np.allclose(levels[1:] / levels[:-1], 3, rtol=1e-6)
    for level in levels:
        ratio = (found.tokens / room.sizes[found.size])[np.isclose(flops, level)]
        assert 3 <= ratio.size <= 7
        assert ratio.min() < 20 < ratio.max()


def test_a_larger_budget_lifts_the_highest_isoflop_level_until_the_sizes_end():
    room = scope()
    top = [6 * (room.sizes[found.size] * found.tokens).max() for found in (isoflop(room, b) for b in (3e3, 1e5, 1e9))]
    assert top[0] < top[1] <= top[2]
    assert top[2] < 6 * 20 * 7e9**2


def test_an_isoflop_design_that_may_not_go_below_the_least_data_is_refused():
    with pytest.raises(InputError, match="both sides"):
        isoflop(scope(), BUDGET, under=1.0)


def test_a_ladder_holds_every_size_at_four_multiples_of_the_least_data():
    room = scope(high=4e9, n=4, most=1e13)
    found = ladder(room, 1e9)
    multiple = (found.tokens / room.least[found.size]).reshape(4, 4)
    assert np.allclose(multiple, [1, 2, 5, 10])


def test_an_overtraining_grid_stops_at_the_most_data():
    room = scope()
    found = overtrain(room, 1e9)
    ratio = found.tokens / room.sizes[found.size]
    assert set(np.unique(ratio.round())) == {20, 57, 160, 450, 1000}
    assert (found.size == 6).sum() == 2  # 7B: 140B and 399B tokens, then beyond 1T


def test_a_ray_has_one_ratio_that_all_sizes_are_allowed():
    room = scope()
    assert np.allclose(ray(room, BUDGET).tokens / room.sizes[ray(room, BUDGET).size], 20)
    lean = Scope(room.sizes, np.full(7, 1e11), room.most, room.price)
    assert np.allclose(ray(lean, 1e9).tokens / lean.sizes[ray(lean, 1e9).size], 100)


def test_a_random_design_repeats_with_its_seed_only():
    one, two, other = (random(scope(), BUDGET, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.tokens, two.tokens)
    assert not np.array_equal(one.runs, other.runs)


def test_the_biggest_cells_get_a_sixth_of_the_budget_each():
    found = PATTERNS["biggest"](scope(), BUDGET, 0)
    assert found.runs.size == 6
    assert (found.cost * found.runs <= BUDGET / 6).all()
    assert (found.cost * (found.runs + 1) > BUDGET / 6).all()


def test_copies_come_first_then_the_cheapest_and_a_part_without_one_copy():
    cost = np.array([5.0, 1.0, 3.0])
    assert filled(cost, 9.0).tolist() == [1, 1, 1]
    assert filled(cost, 22.0).tolist() == [2, 3, 3]
    assert filled(cost, 4.0).tolist() == [0, 1, 1]


def test_a_budget_below_the_cheapest_run_is_refused_with_its_price():
    with pytest.raises(InputError, match=r"affords no run: its cheapest costs 120"):
        ladder(scope(), 100.0)
