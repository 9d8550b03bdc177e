"""Whole designs: certificate, constraints, trunks, goals, what is known already."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pools import FINAL, TARGET, pool

from planner.errors import InputError
from planner.sweep.design import (
    BestSize,
    Constraints,
    Done,
    LossAt,
    LossBand,
    Trunks,
    design_problem,
    optimal_design,
)
from planner.sweep.design.constraints import unmet


def design(budget=6e22, sizes=7, ratios=8, **settings_):
    return optimal_design(*pool(sizes, ratios), target=TARGET, budget=budget, **settings_)


def test_the_design_is_within_its_certificate_and_beats_random_ones():
    params, tokens, cost = pool()
    found = design(6e23)
    assert 0 <= found.gap <= 0.05  # of whole runs, on a budget of a few dozen
    assert found.relaxed_gap <= 0.01
    assert 6e23 - cost.max() <= cost @ found.runs <= 6e23 * (1 + 1e-12)
    rng = np.random.default_rng(0)
    for _ in range(20):
        chosen = rng.choice(params.size, 12, replace=False)
        rival = optimal_design(params[chosen], tokens[chosen], cost[chosen], target=TARGET, budget=6e23)
        assert rival.expected_sd >= found.expected_sd * 0.98  # rounding to whole runs costs or gains a little


def test_the_expected_sd_and_gap_are_those_of_the_whole_runs():
    params, tokens, cost = pool()
    found = design()
    problem, _ = design_problem(params, tokens, cost, target=TARGET, budget=6e22)
    assert found.expected_sd == pytest.approx(np.sqrt(problem.at(found.runs).variance), rel=1e-12)
    assert (found.cell_runs == found.runs).all()


def test_more_budget_never_makes_the_design_worse():
    sds = [design(budget).expected_sd for budget in (6e22, 6e23, 6e24)]
    assert sds == sorted(sds, reverse=True)


def test_the_same_question_gives_the_same_runs():
    assert (design(rules=Constraints()).runs == design(rules=Constraints()).runs).all()


@given(
    st.floats(22.0, 24.5), st.sampled_from([None, 12, 25, 60]), st.sampled_from([None, 3, 5]),
    st.integers(1, 4), st.sampled_from([1.0, 8.0, 20.0]), st.booleans(),
)  # fmt: skip
@settings(max_examples=20, deadline=None)
def test_constraints_hold_or_the_error_says_which_contradict(log_budget, most, per_cell, levels, spread, trunks):
    params, tokens, cost = pool(5, 6)
    budget = 10**log_budget
    rules = Constraints(max_runs=most, max_per_cell=per_cell, levels=levels, ratio_spread=spread)
    try:
        found = optimal_design(
            params, tokens, cost, target=TARGET, budget=budget, rules=rules, trunks=Trunks() if trunks else None
        )
    except InputError as error:
        assert "cannot" in error.message and error.hint
        return
    runs = found.cell_runs
    there = runs > 0
    ratio = (tokens / params)[there]
    assert runs.sum() <= (most or np.inf) and runs.max() <= (per_cell or np.inf)
    assert np.unique(params[there]).size >= levels
    assert ratio.max() >= spread * ratio.min() * (1 - 1e-6)
    assert cost[there].max() >= cost[cost <= budget].max() / 10 * (1 - 1e-9)
    top = np.argmax(np.where(there, cost, 0))
    assert runs[top] >= 2
    assert (np.delete(runs, top) >= 3).sum() >= 2
    if not trunks:
        assert cost @ found.runs <= budget * (1 + 1e-9)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (Constraints(max_runs=5), "at most 5 runs"),
        (Constraints(max_per_cell=2), "at most 2 of one cell"),
        (Constraints(ratio_spread=40.0), "spread over 40x"),
        (Constraints(levels=9), "9 sizes"),
    ],
)
def test_contradictions_are_named_with_what_would_do(rules, said):
    with pytest.raises(InputError, match=said) as caught:
        design(rules=rules)
    assert caught.value.hint


def test_a_budget_that_affords_nothing_is_an_error():
    with pytest.raises(InputError, match="affords none of 56 candidate runs"):
        design(1e19)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_a_pool_with_missing_costs_is_an_error(bad):
    params, tokens, cost = pool()
    cost[4] = bad
    with pytest.raises(InputError, match="candidate 5: cost is"):
        optimal_design(params, tokens, cost, target=TARGET, budget=6e22)


def test_excluded_cells_have_no_runs():
    params, tokens, cost = pool()
    allowed = tokens < 3e11
    for trunks in (None, Trunks()):
        found = optimal_design(params, tokens, cost, target=TARGET, budget=6e22, allowed=allowed, trunks=trunks)
        assert found.cell_runs[~allowed].sum() == 0 and found.cell_runs.sum() > 6


def test_trunks_pay_when_their_noise_is_their_own():
    alone = design(6e22, 5, 6)
    shared = design(6e22, 5, 6, trunks=Trunks(correlation=0.0))
    assert shared.runs[30:].sum() > 0
    assert shared.expected_sd < alone.expected_sd


def test_asking_for_the_best_size_too_narrows_it():
    params, tokens, cost = pool()
    alone, both = design(6e23), design(6e23, goals=(LossAt(*TARGET), BestSize(FINAL)))
    problem, _ = design_problem(
        params, tokens, cost, target=TARGET, budget=6e23, goals=(LossAt(*TARGET), BestSize(FINAL))
    )
    assert both.expected_sds[1] < np.sqrt(problem.at(alone.runs).by_goal[1])
    assert both.expected_sds[0] >= alone.expected_sd * 0.99
    assert len(both.expected_sds) == 2 and both.expected_sd == both.expected_sds[0]


def test_a_band_of_compute_is_a_goal():
    found = design(goals=(LossBand(1e24, 1e25, 200.0),))
    assert design(goals=(LossAt(*TARGET),)).expected_sd * 0.2 < found.expected_sd < 0.1
    with pytest.raises(InputError, match=r"a band from 1e\+25 to 1e\+24"):
        design(goals=(LossBand(1e25, 1e24, 200.0),))


def test_finished_runs_are_not_bought_again():
    params, tokens, cost = pool()
    fresh = design()
    most = int(np.argmax(fresh.runs * cost))
    done = Done(np.repeat(params[most], 30), np.repeat(tokens[most], 30))
    then = design(done=done)
    assert then.expected_sd < fresh.expected_sd
    assert then.runs[most] == 0
    elsewhere = design(done=Done(np.array([3e8]), np.array([1e10])))
    assert elsewhere.runs.size == params.size and elsewhere.cell_runs.size == params.size + 1


def test_finished_runs_count_towards_the_constraints():
    params, tokens, _ = pool()
    done = Done(np.tile(params[:3], 3), np.tile(tokens[:3], 3))
    _, grid = design_problem(*pool(), target=TARGET, budget=6e22, done=done)
    assert unmet(Constraints(), grid, np.zeros(params.size)).name == "3 sizes"
    assert (
        unmet(Constraints(levels=1, reach=np.inf, ratio_spread=1.0, top_seeds=3), grid, np.zeros(params.size)) is None
    )
