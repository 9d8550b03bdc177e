"""Thousands of refits: each at its own optimum, repeatable, and under the caller's constraints."""

import numpy as np
import pandas as pd
import pytest
from truths import SHARED, TRUTHS, needs_shared, noisy

from planner.fitting.constraints import Constraints
from planner.fitting.objective import AdaptiveHuber, Huber, LeastSquares
from planner.fitting.solve import bootstrap, solve
from planner.laws import Chinchilla, Coupled


def draws_of(runs, resamples, seed):
    """The same draws as the bootstrap, from its documented recipe: a multinomial of the seed."""
    return np.random.default_rng(seed).multinomial(runs, np.full(runs, 1 / runs), resamples)


def worst_gap(law, x, loss, objective, resamples, seed=0):
    """Largest relative excess of the refits' objective over tight cold refits, each from its own grid of starts."""
    thetas = bootstrap(law, x, loss, objective=objective, resamples=resamples, seed=seed)
    whole = solve(law, x, loss, objective=objective)
    inputs = law.inputs(whole.centre, *x)
    tight = Huber(whole.delta) if np.isfinite(whole.delta) else LeastSquares()
    worst = 0.0
    for theta, count in zip(thetas, draws_of(loss.size, resamples, seed), strict=True):
        r = np.abs(np.log(loss) - law.gradient(theta, inputs)[0][0])
        rho = 0.5 * r**2 if np.isinf(whole.delta) else np.where(
            r <= whole.delta, r**2 / 2, whole.delta * (r - whole.delta / 2)
        )  # fmt: skip
        best = solve(law, x, loss, objective=tight, weight=count).value
        worst = max(worst, float((count * rho).sum() / best - 1))
    return worst


@needs_shared
def test_epochs_refits_are_within_a_millionth_of_cold_ones():
    frame = pd.read_csv(SHARED / "data/chinchilla_epoch.csv").query("epoch_included")
    x = (frame["params"].to_numpy(float), frame["tokens"].to_numpy(float))
    assert worst_gap(Chinchilla, x, frame["loss"].to_numpy(float), Huber(1e-3), 150) < 1e-6


@pytest.mark.parametrize("objective", [Huber(1e-3), AdaptiveHuber(), LeastSquares()], ids=lambda o: o.name)
def test_refits_are_within_a_millionth_of_cold_ones(objective):
    params, tokens, loss = noisy(TRUTHS["besiroglu"], 0.003, seed=9)
    assert worst_gap(Chinchilla, (params, tokens), loss, objective, 60) < 1e-6


def test_draws_do_not_depend_on_how_many_are_asked_for_at_a_time(monkeypatch):
    params, tokens, loss = noisy(TRUTHS["besiroglu"], 0.003, seed=9)
    whole = bootstrap(Chinchilla, (params, tokens), loss, resamples=300, seed=4)
    monkeypatch.setattr("planner.fitting.bootstrap.CHUNK_CELLS", 30 * 50)
    np.testing.assert_allclose(bootstrap(Chinchilla, (params, tokens), loss, resamples=300, seed=4), whole, rtol=1e-4)


def test_constraints_hold_in_every_refit():
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.003, seed=2)
    said = Constraints(fixed={"k": 0.7}, tied=(("alpha", "beta"),), bounds={"E": (1.0, 1.72)})
    thetas = bootstrap(Coupled, (params, tokens), loss, constraints=said, resamples=80)
    np.testing.assert_allclose(np.exp(thetas[:, 5]), 0.7, rtol=1e-9)
    np.testing.assert_allclose(thetas[:, 3], thetas[:, 4], rtol=1e-9)
    assert (np.exp(thetas[:, 0]) <= 1.72 * (1 + 1e-12)).all()
    assert thetas[:, 3].std() > 1e-4


def test_a_prior_narrows_the_refits():
    params, tokens, loss = noisy(TRUTHS["besiroglu"], 0.01, seed=2)
    free = bootstrap(Chinchilla, (params, tokens), loss, objective=AdaptiveHuber(), resamples=200)
    said = Constraints(priors={"alpha": (0.35, 0.005)})
    held = bootstrap(Chinchilla, (params, tokens), loss, objective=AdaptiveHuber(), constraints=said, resamples=200)
    assert held[:, 3].std() < 0.5 * free[:, 3].std()
