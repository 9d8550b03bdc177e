"""Draws of laws and what is known of them; the best size as a goal; what more budget buys."""

import numpy as np
import pytest
from pools import FINAL, TARGET, pool

from planner.errors import InputError
from planner.fitting.fit import fit
from planner.laws import LAWS, Chinchilla, Coupled, find_law
from planner.laws.law import of_size_and_data
from planner.runs.columns import Count
from planner.runs.sample import Sample
from planner.sweep.design import (
    BestSize,
    Constraints,
    ExcessLoss,
    budgets_around,
    design_problem,
    fitted_belief,
    optimal_design,
    prior_belief,
    spending,
)

PLANNABLE = [law for law in LAWS.values() if of_size_and_data(law) and law.published and law.target == "loss"]


def fitted(seed=0):
    params = np.repeat(np.geomspace(1e8, 2e9, 5), 4)
    tokens = params * np.tile([10, 25, 60, 150], 5)
    law = Coupled(1.6, 90.0, 250.0, 0.27, 0.27, 0.6)
    noise = np.exp(0.002 * np.random.default_rng(seed).normal(size=params.size))
    return fit(Sample(params, tokens, law(params, tokens) * noise, Count.PARAMS, "", "nats_per_token", {}, ()))


def test_draws_of_the_prior_are_even_repeatable_and_within_bounds():
    belief = prior_belief(draws=32)
    assert (belief.theta == prior_belief(draws=32).theta).all()
    assert belief.theta.mean(0) == pytest.approx([np.log(1.75), np.log(0.36), np.log(0.36), 0.34, 0.34, -0.5], abs=1e-6)
    assert belief.theta.std(0) == pytest.approx([0.1, 0.5, 0.5, 0.08, 0.08, 0.3], rel=0.25)
    assert ((belief.theta >= Coupled.lower) & (belief.theta <= Coupled.upper)).all()


@pytest.mark.parametrize("law", PLANNABLE, ids=lambda law: law.name)
def test_every_law_of_size_and_data_can_be_planned_for(law):
    found = optimal_design(*pool(5, 6), target=TARGET, budget=6e22, belief=prior_belief(law), rules=Constraints())
    assert found.cell_runs.sum() >= 8 and 0 < found.expected_sd < 0.2


def test_a_law_nobody_has_published_needs_a_fit():
    with pytest.raises(InputError, match="no coefficients of the farseer law"):
        prior_belief(find_law("farseer"))


def test_draws_of_a_fit_spread_as_its_covariance():
    found = fitted()
    belief = fitted_belief(found, draws=32)
    assert np.linalg.inv(belief.precision) == pytest.approx(found.uncertainty.covariance, rel=1e-5, abs=1e-12)
    drawn = belief.theta - found.theta
    assert drawn.mean(0) == pytest.approx(np.zeros(6), abs=0.02)
    assert np.sqrt((drawn**2).mean(0)) == pytest.approx(np.sqrt(np.diag(found.uncertainty.covariance)), rel=0.4)


def test_after_a_fit_less_is_left_to_learn():
    before = optimal_design(*pool(), target=TARGET, budget=6e22)
    after = optimal_design(*pool(), target=TARGET, budget=6e22, belief=fitted_belief(fitted()))
    assert after.expected_sd < before.expected_sd


@pytest.mark.parametrize("law", [Chinchilla, Coupled, find_law("over-training")], ids=lambda law: law.name)
def test_the_slope_of_the_best_size_agrees_with_differences(law):
    belief = prior_belief(law, draws=4)
    slope = BestSize(FINAL).columns(belief)[:, :, 0]
    for theta, row in zip(belief.theta, slope, strict=True):
        for i in range(theta.size):
            step = 1e-3 * np.eye(theta.size)[i]
            up, down = (
                np.log(law.from_theta(at, belief.centre).optimum(FINAL).params) for at in (theta + step, theta - step)
            )
            assert row[i] == pytest.approx((up - down) / 2e-3, rel=5e-3, abs=2e-3 * np.abs(row).max())


def test_the_excess_loss_is_that_of_training_the_wrong_size():
    # A small step of theta moves the size called best; what that loses under the law itself, by differences.
    belief = prior_belief(draws=3)
    slopes = ExcessLoss(FINAL).columns(belief)[:, :, 0]
    for theta, row in zip(belief.theta, slopes, strict=True):
        law = Coupled.from_theta(theta, belief.centre)
        best = law.optimum(FINAL).params
        for i in (1, 3, 4):
            wrong = Coupled.from_theta(theta + 0.02 * np.eye(6)[i], belief.centre).optimum(FINAL).params
            lost = np.log(law(wrong, FINAL / 6 / wrong) / law(best, FINAL / 6 / best))
            assert (0.02 * row[i]) ** 2 == pytest.approx(lost, rel=0.3)


def test_spending_falls_towards_its_floor_and_its_margin_is_its_slope():
    problem, _ = design_problem(*pool(), target=TARGET, budget=6e23)
    found = spending(problem, budgets_around(6e23))
    assert found.budget.size == 10 and (np.diff(found.expected_sd) < 0).all()
    assert (found.expected_sd > found.floor).all() and (found.gap <= 0.01).all()
    near = spending(problem, np.array([6e23 * 0.95, 6e23, 6e23 * 1.05]))
    slope = -(near.expected_sd[2] ** 2 - near.expected_sd[0] ** 2) / np.log(1.05 / 0.95)
    assert near.marginal[1] == pytest.approx(slope, rel=0.15)  # each within 1 % of its optimum
    assert near.worth(100.0) == pytest.approx(near.marginal * 100 / near.budget)
