"""The best fractions of runs: against a linear programme, and what any optimum must hold to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from planner.sweep.design.bundles import Bundles, single_runs
from planner.sweep.design.polytope import Polytope
from planner.sweep.design.problem import Problem
from planner.sweep.design.shares import relaxed


def problem_of(rng, cells, *, p=3, draws=2, floor=0.3, prior=0.1):
    J = rng.normal(size=(draws, cells, p))
    bundles = single_runs(rng.uniform(1, 20, cells), rng.uniform(0.5, 2, cells))
    floors = floor * rng.uniform(0.5, 2, cells) ** 2 + 1e-12
    return Problem(
        J,
        rng.normal(size=(draws, p, 1)),
        prior * np.eye(p),
        floors,
        np.zeros(cells),
        bundles,
        np.zeros(1, int),
        np.ones(1),
    )


def room_of(problem, budget=50.0, *, most=np.inf, upper=np.inf, lower=0.0):
    n = problem.bundles.cost.size
    return Polytope.of(
        problem.bundles.cost, budget, problem.bundles.runs, most=most, lower=np.full(n, lower), upper=np.full(n, upper)
    )


@pytest.mark.parametrize("seed", range(5))
def test_without_model_error_one_draw_is_the_c_optimal_linear_programme(seed):
    # Elfving 1952: sd = min |lambda|_1 / sqrt(budget) with sum lambda_i J_i / (sigma_i sqrt(cost_i)) = goal.
    rng = np.random.default_rng(seed)
    problem = problem_of(rng, 25, draws=1, floor=0.0, prior=1e-9)
    budget = 50.0
    noise = problem.bundles.precision[:, 0, 0] ** -0.5
    A = (problem.J[0] / (noise * np.sqrt(problem.bundles.cost))[:, None]).T
    found = linprog(np.ones(50), A_eq=np.hstack([A, -A]), b_eq=problem.goal[0, :, 0])
    best = relaxed(problem, room_of(problem, budget), gap=1e-4)
    assert best.variance == pytest.approx(found.fun**2 / budget, rel=2e-4)
    assert best.bound <= found.fun**2 / budget * (1 + 1e-6)


@given(st.integers(0, 10**6), st.integers(2, 30), st.floats(0, 2))
@settings(max_examples=60, deadline=None)
def test_the_certificate_is_met_never_negative_and_no_other_shares_are_below_its_bound(seed, cells, floor):
    rng = np.random.default_rng(seed)
    problem = problem_of(rng, cells, floor=floor)
    best = relaxed(problem, room_of(problem))
    assert 0 <= best.gap <= 0.01
    assert problem.bundles.cost @ best.copies <= 50 * (1 + 1e-12)
    for share in rng.dirichlet(np.full(cells, 0.3), 20):
        assert problem.at(share * 50 / problem.bundles.cost).variance >= best.bound * (1 - 1e-9)


@given(st.integers(0, 10**6), st.floats(1e-12, 1e12))
@settings(max_examples=25, deadline=None)
def test_costs_and_budget_in_another_unit_change_nothing(seed, unit):
    problem = problem_of(np.random.default_rng(seed), 12)
    bundles = problem.bundles
    other = replace(problem, bundles=Bundles(bundles.cells, bundles.cost * unit, bundles.precision))
    one, two = relaxed(problem, room_of(problem)), relaxed(other, room_of(other, 50 * unit))
    assert two.copies == pytest.approx(one.copies, rel=1e-6, abs=1e-9)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_the_order_of_cells_does_not_count(seed):
    rng = np.random.default_rng(seed)
    problem = problem_of(rng, 12)
    order = rng.permutation(12)
    bundles = Bundles(problem.bundles.cells, problem.bundles.cost[order], problem.bundles.precision[order])
    other = replace(problem, J=problem.J[:, order], floor=problem.floor[order], bundles=bundles)
    one, two = (relaxed(it, room_of(it), gap=1e-6) for it in (problem, other))
    assert two.copies == pytest.approx(one.copies[order], rel=1e-3, abs=1e-3)


@given(st.integers(0, 10**6), st.integers(3, 15))
@settings(max_examples=40, deadline=None)
def test_more_candidates_are_never_worse(seed, cells):
    rng = np.random.default_rng(seed)
    problem = problem_of(rng, cells)
    few = rng.random(cells) < 0.6
    few[0] = True
    noise = problem.bundles.precision[few, 0, 0] ** -0.5
    fewer = replace(
        problem,
        J=problem.J[:, few],
        floor=problem.floor[few],
        base=problem.base[few],
        bundles=single_runs(problem.bundles.cost[few], noise),
    )
    many, less = relaxed(problem, room_of(problem), gap=1e-6), relaxed(fewer, room_of(fewer), gap=1e-6)
    assert many.variance <= less.variance * (1 + 2e-6)


@pytest.mark.parametrize(
    "limits", [{"most": 6.0}, {"upper": 0.7}, {"lower": 0.1, "upper": 2.0}, {"most": 9.0, "upper": 1.5}]
)
def test_a_largest_number_of_runs_and_bounds_hold_and_are_certified(limits):
    rng = np.random.default_rng(3)
    problem = problem_of(rng, 20)
    room = room_of(problem, **limits)
    best = relaxed(problem, room, gap=1e-4)
    assert best.gap <= 1e-4
    assert (room.rows @ best.copies <= room.bounds * (1 + 1e-9)).all()
    assert ((best.copies >= room.lower - 1e-12) & (best.copies <= room.upper + 1e-12)).all()
    free = relaxed(problem, room_of(problem), gap=1e-4)
    assert best.variance >= free.bound
    for _ in range(200):  # random corners and mixtures of what is allowed
        trial = rng.uniform(room.lower, np.minimum(room.upper, 3)) * (rng.random(20) < 0.5)
        trial = np.maximum(trial, room.lower)
        if (room.rows @ trial <= room.bounds).all():
            assert problem.at(trial).variance >= best.bound * (1 - 1e-9)


def test_a_start_from_a_like_problem_ends_in_the_same_place():
    problem = problem_of(np.random.default_rng(5), 20)
    cold = relaxed(problem, room_of(problem, 60), gap=1e-6)
    warm = relaxed(problem, room_of(problem, 60), gap=1e-6, start=relaxed(problem, room_of(problem, 50)).copies)
    assert warm.variance == pytest.approx(cold.variance, rel=2e-6)
