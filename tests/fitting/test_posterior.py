"""The default recipe's fit: it minimises what it says, and a law's own error is allowed for."""

import numpy as np
import pytest
from scipy.optimize import minimize
from truths import TRUTHS, grid, noisy

from planner.fitting.configurations import configurations
from planner.fitting.objective import TUNING, penalty
from planner.fitting.posterior import posterior
from planner.fitting.recipe import MODEL_ERROR, ModelError
from planner.laws import Coupled
from planner.laws.law import Prior

FREE = ModelError(drift=0.0, configurations=10**9, noise=0.003, noise_runs=1e-9)


def fitted(params, tokens, loss, error=MODEL_ERROR, prior: Prior | None = None):
    data = configurations(params, tokens, loss)
    return data, posterior(Coupled, data, prior or Coupled.prior(np.log(loss)), error)


def spread(found, params=3e10, tokens=6e11) -> float:
    """sd of ln loss at a point, from the covariance of theta."""
    solution = found.solution
    x = solution.centre.coordinates(np.array([params]), np.array([tokens]))
    J = Coupled.gradient(solution.theta, x)[1][0, :, 0]
    return float(np.sqrt(J @ found.covariance @ J))


@pytest.mark.parametrize("seed", range(3))
def test_the_mode_is_the_minimum_of_the_objective_as_stated(seed):
    runs = noisy(TRUTHS["coupled"], 0.004, seed)
    data, found = fitted(*runs)
    solution, prior = found.solution, Coupled.prior(np.log(runs[2]))
    x = solution.centre.coordinates(data.params, data.tokens)
    weight = data.weight / (
        1 + (MODEL_ERROR.drift * np.log((data.params * data.tokens).max() / (data.params * data.tokens))) ** 2
    )
    temper = min(1, MODEL_ERROR.configurations / weight.size)

    def objective(theta):
        residual = np.log(data.loss) - Coupled.gradient(theta, x)[0][0]
        likelihood = (
            temper * (weight * penalty(residual, TUNING * solution.prior_scale)).sum() / solution.prior_scale**2
        )
        return likelihood + (((theta - prior.mean) / prior.sd) ** 2).sum() / 2

    best = minimize(
        objective, solution.theta, method="Nelder-Mead", options={"maxiter": 20000, "xatol": 1e-9, "fatol": 1e-12}
    )
    assert objective(solution.theta) <= best.fun + 1e-7
    np.testing.assert_allclose(solution.theta, best.x, atol=2e-3)


def test_replicates_are_taken_together():
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.003, 0)
    once, twice = configurations(params, tokens, loss), configurations(*(np.tile(x, 2) for x in (params, tokens, loss)))
    np.testing.assert_allclose(np.sort(twice.loss), np.sort(once.loss))
    np.testing.assert_allclose(once.weight, 1)
    np.testing.assert_allclose(twice.weight, 4 / 3)  # 2r/(1+r): half of a run's variance is common


def test_copies_of_the_same_runs_hardly_narrow_the_law():
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.003, 0)
    one = spread(fitted(params, tokens, loss)[1])
    many = spread(fitted(*(np.tile(x, 100) for x in (params, tokens, loss)))[1])
    assert 0.7 * one < many <= one * 1.001


def test_more_configurations_than_the_cap_do_not_narrow_the_law():
    rng = np.random.default_rng(0)
    params, tokens = (
        np.exp(rng.uniform(np.log(1e8), np.log(3e9), 600)),
        np.exp(rng.uniform(np.log(2e9), np.log(2e11), 600)),
    )
    loss = TRUTHS["coupled"](params, tokens) * np.exp(0.003 * rng.normal(size=600))
    free, capped = (fitted(params, tokens, loss, error)[1] for error in (FREE, ModelError(0.0, 30, 0.003, 1e-9)))
    assert spread(capped) / spread(free) == pytest.approx(np.sqrt(600 / 30), rel=0.25)  # the prior takes some of it


def test_runs_that_agree_by_accident_are_not_believed_to_be_exact():
    params, tokens = grid()
    picked = np.arange(0, 30, 3)
    params, tokens = params[picked], tokens[picked]
    _, found = fitted(params, tokens, TRUTHS["coupled"](params, tokens))
    exact = MODEL_ERROR.noise * np.sqrt(MODEL_ERROR.noise_runs / (MODEL_ERROR.noise_runs + picked.size))
    assert found.solution.scale > 0.9 * exact
    assert spread(found) > 0.001


def test_without_prior_or_allowance_it_finds_the_truth():
    params, tokens = grid()
    truth = TRUTHS["coupled"]
    wide = Prior(Coupled.prior(np.log(truth(params, tokens))).mean, np.full(6, 1e6))
    _, found = fitted(params, tokens, truth(params, tokens), FREE, wide)
    assert vars(found.solution.law) == pytest.approx(vars(truth), rel=1e-3)


def test_small_runs_count_less():
    # The same spoiling of the smallest runs moves the forecast less when the law is allowed to drift.
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.003, 0)
    smallest = params * tokens < np.quantile(params * tokens, 0.2)
    moved = []
    for drift in (0.0, 1.0):
        error = ModelError(drift, 30, 0.003, 2.0)
        plain, spoiled = (
            fitted(params, tokens, losses, error)[1].solution.law
            for losses in (loss, loss * np.where(smallest, 1.004, 1))
        )
        moved.append(abs(np.log(float(spoiled(3e10, 6e11)) / float(plain(3e10, 6e11)))))
    assert moved[1] < 0.5 * moved[0]
