"""Intervals and support: the same for a fit and its backtest, exact where they can be, stopping where they failed."""

from dataclasses import replace

import numpy as np
import pytest
from truths import SHARED, TRUTHS, grid, needs_shared, noisy

from planner.fitting.backtest import Fold, backtest_table, folds_of, reached
from planner.fitting.backtest_row import BacktestRow
from planner.fitting.checks import failed_from
from planner.fitting.estimate import estimate, t_quantile
from planner.fitting.fit import fit
from planner.fitting.interval import Points, uncertainty_of
from planner.fitting.predict import predict
from planner.fitting.recipe import ModelError, choose_recipe, default_recipe
from planner.runs.columns import Count
from planner.runs.sample import Sample


def runs(seed=0, sd=0.003) -> Sample:
    return Sample(*noisy(TRUTHS["coupled"], sd, seed), Count.PARAMS, "", "nats_per_token", {}, ())


def test_a_default_interval_does_not_depend_on_the_seed():
    one, two = (predict(fit(runs(), seed=seed), params=1e10, tokens=1e12) for seed in (1, 2))
    assert one == two


def test_a_default_interval_is_t_times_the_posterior_sd_and_the_drift(monkeypatch):
    # What rivals of as good a record add, where the law-choice check warns, has tests of its own (test_panel.py).
    monkeypatch.setattr("planner.fitting.fit.reaching", lambda known, *others: known)
    made = fit(runs())
    found = predict(made, params=1e10, tokens=1e12)
    fitted = estimate(runs(), default_recipe())
    sd = float(fitted.predict(np.array([1e10]), np.array([1e12]))[1][0])
    x = fitted.solution.centre.coordinates(np.array([1e10]), np.array([1e12]))
    J = default_recipe().law.gradient(fitted.solution.theta, x)[1]
    nats = np.log(6e22 / runs().flops.max())
    assert sd == pytest.approx(np.hypot(np.sqrt(J[0, :, 0] @ fitted.covariance @ J[0, :, 0]), fitted.drift * nats))
    half = t_quantile(0.9, fitted.df) * sd
    assert np.log(found.interval_mean[1] / found.loss) == pytest.approx(half)
    assert np.log(found.loss / found.interval_mean[0]) == pytest.approx(half)


def test_bootstrap_intervals_are_quantiles_of_refits():
    recipe = choose_recipe("chinchilla", huber_delta=1e-3)
    sample = runs()
    fitted = estimate(sample, recipe)
    known = uncertainty_of(sample, fitted, recipe, seed=0, draws=2000)
    assert known.drift == 0  # a textbook interval knows of no error but noise
    at = Points.of(recipe.law, fitted.solution.centre, sample.named)
    drawn = recipe.law.gradient(known.draws, at.x)[0].std(0)
    low, high = known.mean(recipe.law, fitted.solution.theta, at, 0.9)
    assert np.median((high - low) / (2 * 1.645 * drawn)) == pytest.approx(1, abs=0.1)


def test_normal_draws_have_the_estimates_covariance():
    fitted = estimate(runs(), default_recipe())
    known = uncertainty_of(runs(), fitted, default_recipe(), seed=0, draws=20000)
    wanted = np.diag(fitted.covariance) * known.df / (known.df - 2)  # a t distribution's
    np.testing.assert_allclose(known.draws.var(0), wanted, rtol=0.1)


def _nine(known, law, theta, at, level):
    return np.full(at.log_scale.size, -9.0), np.full(at.log_scale.size, 9.0)


@pytest.mark.parametrize("textbook", [True, False])
def test_a_backtest_uses_the_intervals_that_the_fit_gives(monkeypatch, textbook):
    recipe = choose_recipe("chinchilla", huber_delta=1e-3) if textbook else default_recipe()
    plain = backtest_table(folds_of(runs(), recipe))
    monkeypatch.setattr("planner.fitting.interval.Uncertainty.mean", _nine)
    widened = backtest_table(folds_of(runs(), recipe))
    assert all(row.median_width > 17 for row in widened)
    assert all(row.median_width < 1 for row in plain)


def test_a_kappa_counts_as_backtested_with_five_runs_behind_it():
    nothing = np.zeros(3)
    folds = [Fold(np.array(kappa), nothing, nothing, nothing) for kappa in ([2.0, 3.0, 50.0], [4.0, 5.0, 6.0])]
    assert reached(folds) == 3.0
    assert reached(folds[:1]) == 1.0
    assert reached([]) == 1.0


def row(kappa: float, n: int, coverage: float) -> BacktestRow:
    return BacktestRow(kappa, n, 0.0, 0.01, 0.02, coverage, 0.05)


def test_support_ends_at_the_lowest_kappa_from_which_intervals_failed():
    assert failed_from([row(1, 50, 0.9), row(3, 20, 0.8)], 0.9) is None
    assert failed_from([row(1, 50, 0.9), row(3, 20, 0.8), row(10, 6, 0.3)], 0.9) == 10
    assert failed_from([row(1, 50, 0.9), row(10, 3, 0.0), row(30, 2, 0.0)], 0.9) == 10  # five in all
    assert failed_from([row(1, 50, 0.9), row(10, 3, 0.0)], 0.9) is None  # too few to say


@needs_shared
def test_a_fit_that_warns_of_its_backtest_supports_nothing_beyond_it():
    from planner.runs import Where, read_runs, sample_of

    table = read_runs(SHARED / "data/chinchilla_epoch.csv", where=Where.parse("epoch_included"))
    made = fit(sample_of(table), choose_recipe("chinchilla", huber_delta=1e-3))
    assert "backtest" in {finding.name for finding in made.findings}
    assert made.reach.limit <= 30
    assert not predict(made, params=7e10, tokens=1.4e12).supported


def test_small_runs_that_cannot_identify_the_law_support_nothing():
    # 24 runs at one ratio and 8 large ones at several: most cuts leave nothing that a law could be fitted to.
    small = np.repeat(np.geomspace(1e8, 3e9, 12), 2)
    large = np.repeat([5e9, 7e9], 4)
    params, tokens = np.append(small, large), np.append(20 * small, large * np.tile([20, 60, 200, 600], 2))
    loss = TRUTHS["coupled"](params, tokens) * np.exp(0.002 * np.random.default_rng(0).normal(size=params.size))
    made = fit(Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ()))
    assert made.reach.limit < 100
    assert not predict(made, params=1e11, tokens=1e13).supported


@pytest.mark.parametrize(("heavy", "seeds"), [(False, 1), (True, 1), (False, 4)])
def test_the_interval_of_one_run_counts_tails_and_what_replicates_average_away(heavy, seeds):
    rng = np.random.default_rng(2)
    params, tokens = (np.tile(x, 8) * np.exp(rng.normal(0, 0.3, 240)) for x in grid())
    params, tokens = np.repeat(params, seeds), np.repeat(tokens, seeds)
    draws = rng.standard_t(1.5, params.size) if heavy else rng.normal(size=params.size)
    loss = TRUTHS["coupled"](params, tokens) * np.exp(0.003 * draws)
    recipe = replace(
        default_recipe(), model_error=ModelError(drift=0.0, configurations=10**9, noise=0.003, noise_runs=1e-9)
    )
    fitted = estimate(Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ()), recipe)
    residual = np.abs(np.log(loss) - fitted.predict(params, tokens)[0])
    assert 0.88 <= (residual <= 1.645 * fitted.noise).mean() <= 0.95
    if heavy or seeds > 1:  # the residual scale alone would hold too few
        assert (residual <= 1.645 * fitted.solution.scale).mean() < 0.85
