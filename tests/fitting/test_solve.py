"""The solver: known optimum, global optimum, refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize, nnls
from truths import SHARED, TRUTHS, grid, needs_shared, noisy

from planner.errors import InputError
from planner.fitting.objective import AdaptiveHuber, Huber, LeastSquares, penalty
from planner.fitting.solve import bootstrap, solve
from planner.laws import Chinchilla, Coupled
from planner.laws.starts import additive_starts


def epoch() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frame = pd.read_csv(SHARED / "data/chinchilla_epoch.csv")
    frame = frame[frame["epoch_included"]]
    return frame["params"].to_numpy(float), frame["tokens"].to_numpy(float), frame["loss"].to_numpy(float)


def huber_sum(law, params, tokens, loss, delta):
    """Written out from the definition, sharing nothing with the solver."""
    r = np.abs(np.log(loss) - np.log(law(params, tokens)))
    return float(np.where(r <= delta, r**2 / 2, delta * (r - delta / 2)).sum())


@needs_shared
def test_epochs_240_points_reach_the_known_optimum_against_published():
    # Besiroglu et al., notebook cell 18: E 1.817236, alpha .347313, beta .367183; objective 1.01827e-3.
    params, tokens, loss = epoch()
    found = solve("chinchilla", (params, tokens), loss, objective=Huber(1e-3))
    assert huber_sum(found.law, params, tokens, loss, 1e-3) <= 0.00101828
    assert found.value == pytest.approx(huber_sum(found.law, params, tokens, loss, 1e-3), rel=1e-9)
    assert pytest.approx(1.8172, abs=5e-4) == found.law.E
    assert found.law.alpha == pytest.approx(0.3473, abs=5e-4)
    assert found.law.beta == pytest.approx(0.3672, abs=5e-4)


def test_starts_hold_the_nonnegative_amplitudes_of_their_exponents_against_scipy():
    params, tokens = grid()
    n, d = np.log(params) - np.log(params).mean(), np.log(tokens) - np.log(tokens).mean()
    loss = 0.9 * np.exp(-0.3 * n) + np.exp(-0.1 * d)  # no constant: away from the truth's exponents some go negative
    grids = np.array([0.1, 0.5]), np.array([0.4, 0.9])
    for alpha in grids[0]:
        for beta in grids[1]:
            start = additive_starts(
                n, d, loss, np.ones(30), grids={"alpha": np.array([alpha]), "beta": np.array([beta])}, keep=1
            )[0]
            basis = np.stack([np.ones(30), np.exp(-alpha * n), np.exp(-beta * d)], axis=1) / loss[:, None]
            exact = nnls(basis, np.ones(30))[0]
            np.testing.assert_allclose(np.exp(start[:3]), np.maximum(exact, 1e-3 * loss.min()), rtol=1e-6)
    assert additive_starts(n, d, loss, np.ones(30)).shape == (3, 5)


@needs_shared
def test_random_starts_find_no_lower_objective_on_epochs_points():
    params, tokens, loss = epoch()
    best = solve("chinchilla", (params, tokens), loss, objective=Huber(1e-3))
    rng = np.random.default_rng(0)
    for _ in range(20):
        start = rng.uniform([-0.5, -3, -3, 0.05, 0.05], [1.0, 0.5, 0.5, 1.2, 1.2])
        other = solve("chinchilla", (params, tokens), loss, objective=Huber(1e-3), start=start)
        assert other.value >= best.value * (1 - 1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_the_optimum_is_not_above_that_of_lbfgs_against_scipy(seed):
    params, tokens, loss = noisy(TRUTHS["besiroglu"], 0.004, seed)
    found = solve("chinchilla", (params, tokens), loss, objective=Huber(1e-3))
    n, d = np.log(params) - np.log(params).mean(), np.log(tokens) - np.log(tokens).mean()

    def objective(theta):
        predicted = np.log(np.exp(theta[0]) + np.exp(theta[1] - theta[3] * n) + np.exp(theta[2] - theta[4] * d))
        return 1e3 * penalty(np.log(loss) - predicted, 1e-3).sum()

    rng = np.random.default_rng(seed)
    starts = rng.uniform([0, -2, -2, 0.1, 0.1], [0.8, 0, 0, 0.8, 0.8], (12, 5))
    rival = min(minimize(objective, start, method="L-BFGS-B", options={"maxiter": 2000}).fun for start in starts) / 1e3
    assert found.value <= rival * (1 + 1e-6)


@pytest.mark.parametrize("objective", [Huber(1e-3), AdaptiveHuber(), LeastSquares()], ids=lambda o: o.name)
def test_a_noisy_truth_is_recovered_within_its_noise(objective):
    params, tokens, loss = noisy(TRUTHS["besiroglu"], 0.002, seed=7)
    found = solve("chinchilla", (params, tokens), loss, objective=objective)
    assert np.abs(np.log(found.law(params, tokens) / TRUTHS["besiroglu"](params, tokens))).max() < 0.004


def test_least_squares_on_a_coupled_truth_leaves_the_additive_law_worse():
    params, tokens = grid()
    loss = TRUTHS["coupled"](params, tokens)
    additive = solve(Chinchilla, (params, tokens), loss, objective=LeastSquares())
    coupled = solve(Coupled, (params, tokens), loss, objective=LeastSquares())
    assert coupled.value < 1e-6 * additive.value


def test_a_prior_holds_what_the_data_leave_open():
    # 2 % of noise leaves k open; over many sweeps the prior of ln k must keep it near.
    free, held = [], []
    for seed in range(8):
        params, tokens, loss = noisy(TRUTHS["coupled"], 0.02, seed)
        free.append(solve(Coupled, (params, tokens), loss, objective=AdaptiveHuber()).theta[5])
        prior = Coupled.prior(np.log(loss))
        held.append(solve(Coupled, (params, tokens), loss, objective=AdaptiveHuber(), prior=prior).theta[5])
    assert np.std(held) < 0.5 * np.std(free)
    assert np.abs(np.array(held) - prior.mean[5]).max() < 2 * prior.sd[5]


def test_least_squares_with_a_prior_minimises_the_sum_of_both_against_scipy():
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.01, seed=1)
    prior = Coupled.prior(np.log(loss))
    found = solve(Coupled, (params, tokens), loss, objective=LeastSquares(), prior=prior)
    x = found.centre.coordinates(params, tokens)

    def posterior(theta):
        residual = np.log(loss) - Coupled.gradient(theta, x)[0][0]
        return (residual**2).sum() / found.prior_scale**2 / 2 + (((theta - prior.mean) / prior.sd) ** 2).sum() / 2

    rival = minimize(posterior, found.theta + 0.05, method="BFGS")
    assert posterior(found.theta) <= rival.fun + 1e-6
    np.testing.assert_allclose(found.theta, rival.x, atol=2e-3)


def test_bootstrap_repeats_with_its_seed_and_spreads_around_the_optimum():
    params, tokens, loss = noisy(TRUTHS["besiroglu"], 0.003, seed=9)
    one, two = (bootstrap(Chinchilla, (params, tokens), loss, resamples=200, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (bootstrap(Chinchilla, (params, tokens), loss, resamples=200, seed=5) != one).any()
    best = solve(Chinchilla, (params, tokens), loss)
    low, high = np.quantile(one, [0.01, 0.99], axis=0)
    assert (low < best.theta).all()
    assert (best.theta < high).all()


@needs_shared
def test_bootstrap_standard_errors_against_published():
    # Besiroglu et al. 2024, 4000 resamples: alpha .0154, beta .0206.
    params, tokens, loss = epoch()
    draws = bootstrap(Chinchilla, (params, tokens), loss, resamples=500, seed=0)
    assert draws[:, 3].std() == pytest.approx(0.0154, rel=0.15)
    assert draws[:, 4].std() == pytest.approx(0.0206, rel=0.15)


def test_an_array_of_another_shape_is_refused():
    with pytest.raises(InputError, match="differ in shape"):
        solve("chinchilla", ([1e9] * 6, [2e10] * 6), [2.0] * 5)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_a_value_that_is_not_positive_is_refused(bad):
    params, tokens = grid()
    loss = TRUTHS["besiroglu"](params, tokens)
    loss[3] = bad
    with pytest.raises(InputError, match=r"loss\[3\]"):
        solve("chinchilla", (params, tokens), loss)


def test_fewer_runs_than_parameters_are_refused():
    with pytest.raises(InputError, match="4 runs are fewer than the 5 parameters"):
        solve("chinchilla", ([1e8, 1e9, 1e8, 1e9], [1e10, 1e10, 1e11, 1e11]), [3.0, 2.8, 2.7, 2.5])


def test_an_unknown_law_is_refused_with_the_nearest_name():
    with pytest.raises(InputError) as caught:
        solve("chinchila", *[grid(), np.ones(30)])
    assert "chinchilla" in caught.value.hint
