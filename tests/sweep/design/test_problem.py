"""The goals' variance against plain linear algebra, its derivatives against differences."""

import numpy as np
import pytest
from pools import FINAL, TARGET, pool

from planner.sweep.design.belief import prior_belief
from planner.sweep.design.bundles import joined, single_runs, trunk_bundles
from planner.sweep.design.goals import BestSize, LossAt
from planner.sweep.design.problem import build

PARAMS, TOKENS, COST = pool(3, 6)
NOISE = 0.003 * (1e9 / PARAMS) ** 0.22
GOALS = (LossAt(*TARGET), BestSize(FINAL))
FLOOR = 3e-4 * np.log(FINAL / COST)


def problem(*, trunks=False, goals=GOALS, floor=FLOOR, base=None):
    bundles = single_runs(COST, NOISE)
    if trunks:
        bundles = joined(bundles, trunk_bundles(PARAMS, TOKENS, COST, NOISE, correlation=0.4))
    belief = prior_belief(draws=3)
    return build(belief, (PARAMS, TOKENS), goals, bundles, floor=floor, base=base, budget=6e23)


every_problem = pytest.mark.parametrize("trunks", [False, True], ids=["runs", "trunks"])


def some_runs(made):
    return np.random.default_rng(0).uniform(0, 3, made.bundles.cost.size)


@every_problem
def test_the_variance_is_that_of_plain_linear_algebra(trunks):
    # Letters and cell errors as one vector (theta, delta), observed by every bundle: nothing eliminated by hand.
    made = problem(trunks=trunks)
    runs, m = some_runs(made), PARAMS.size
    total = 0.0
    for J, goal in zip(made.J, made.goal, strict=True):
        p = J.shape[1]
        F = np.zeros((p + m, p + m))
        F[:p, :p], F[p:, p:] = made.prior, np.diag(1 / made.floor)
        for number, cells, precision in zip(runs, made.bundles.cells, made.bundles.precision, strict=True):
            X = np.concatenate([J[cells], np.eye(m)[cells]], axis=1)
            F += number * X.T @ precision @ X
        total += float((goal * np.linalg.inv(F)[:p, :p].dot(goal)).sum())
    assert made.at(runs).variance == pytest.approx(total / len(made.J), rel=1e-6)


@every_problem
def test_fall_and_curvature_agree_with_differences(trunks):
    made = problem(trunks=trunks)
    runs = some_runs(made) + 0.5
    state = made.at(runs)
    H = state.hessian()
    assert np.allclose(H, H.T, rtol=1e-6, atol=1e-12)
    for bundle in (0, 7, runs.size - 1):
        step = np.zeros(runs.size)
        step[bundle] = 1e-4
        up, down = made.at(runs + step), made.at(runs - step)
        assert state.fall[bundle] == pytest.approx((down.variance - up.variance) / 2e-4, rel=1e-4)
        assert H[bundle] == pytest.approx((down.fall - up.fall) / 2e-4, rel=1e-3, abs=1e-6 * np.abs(H).max())


@every_problem
def test_one_run_more_or_less_changes_the_variance_by_exactly_its_step(trunks):
    made = problem(trunks=trunks)
    runs = np.floor(some_runs(made)) + 1
    state = made.at(runs)
    for bundle in (0, 5, runs.size - 1):
        unit = np.eye(runs.size)[bundle]
        assert state.step()[bundle] == pytest.approx(state.variance - made.at(runs + unit).variance, rel=1e-6)
        assert state.step(-1)[bundle] == pytest.approx(made.at(runs - unit).variance - state.variance, rel=1e-6)


def test_replicates_do_not_buy_down_the_model_error():
    made = problem(goals=(LossAt(*TARGET),))
    everything = made.limit(np.ones(COST.size, bool))
    assert made.at(np.full(COST.size, 1e9)).variance == pytest.approx(everything, rel=1e-4)
    assert made.at(np.full(COST.size, 10.0)).variance > everything
    assert made.limit(np.arange(COST.size) < 9) > everything


def test_finished_runs_count_like_planned_ones():
    runs = some_runs(problem())
    precision = NOISE**-2
    made = problem(goals=(LossAt(*TARGET),), base=runs * precision)
    bare = problem(goals=(LossAt(*TARGET),))
    assert made.at(np.zeros(runs.size)).variance == pytest.approx(bare.at(runs).variance, rel=1e-9)


def test_a_trunk_costs_and_knows_what_its_covariance_says():
    rho, f = 0.6, 0.2
    made = trunk_bundles(PARAMS, TOKENS, COST, NOISE, correlation=rho, cooldown=f)
    for cells, cost, precision in zip(made.cells, made.cost, made.precision, strict=True):
        used = np.flatnonzero(np.diag(precision))
        branches = cells[used]
        assert np.unique(PARAMS[branches]).size == 1
        assert (TOKENS[branches][1:] <= TOKENS[branches][:-1] / 2 * (1 + 1e-6)).all()
        assert cost == pytest.approx((1 - f) * COST[branches[0]] + f * COST[branches].sum())
        sigma = NOISE[branches[0]]
        covariance = sigma**2 * ((1 - rho) * np.eye(used.size) + rho)
        assert precision[np.ix_(used, used)] @ covariance == pytest.approx(np.eye(used.size), abs=1e-9)


def test_a_trunk_of_independent_branches_knows_what_separate_runs_know():
    trunks = trunk_bundles(PARAMS, TOKENS, COST, NOISE, correlation=0.0)
    made = build(
        prior_belief(draws=3), (PARAMS, TOKENS), [LossAt(*TARGET)], joined(single_runs(COST, NOISE), trunks),
        floor=FLOOR, budget=6e23,
    )  # fmt: skip
    branches = trunks.cells[0][np.diag(trunks.precision[0]) > 0]
    alone, shared = np.zeros(made.bundles.cost.size), np.zeros(made.bundles.cost.size)
    alone[branches] = 1
    shared[COST.size] = 1
    assert made.at(shared).variance == pytest.approx(made.at(alone).variance, rel=1e-9)
    assert trunks.cost[0] < COST[branches].sum()
