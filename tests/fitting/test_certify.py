"""The global optimum: reached from anywhere, by another method, and bounded from below."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from truths import SHARED, TRUTHS, needs_shared, noisy

from planner.fitting.branch import branch_and_bound
from planner.fitting.certify import EXPONENTS, certify, profiled, random_starts
from planner.fitting.objective import AdaptiveHuber, Huber, LeastSquares
from planner.fitting.relaxed import Relative
from planner.fitting.solve import solve
from planner.laws import LAWS


def epoch():
    frame = pd.read_csv(SHARED / "data/chinchilla_epoch.csv")
    frame = frame[frame["epoch_included"]]
    return frame["params"].to_numpy(float), frame["tokens"].to_numpy(float), frame["loss"].to_numpy(float)


def relative(runs, delta):
    params, tokens, loss = runs
    n, d = np.log(params), np.log(tokens)
    return Relative(n - n.mean(), d - d.mean(), loss, delta)


def another_way(law, runs, delta, starts=20):
    """The lowest objective of scipy's L-BFGS-B on ln sum exp from random centred starts: shares no code with the solver."""
    params, tokens, loss = runs
    n, d, y = np.log(params), np.log(tokens), np.log(loss)
    n, d = n - n.mean(), d - d.mean()

    def objective(theta):
        e, a, b, alpha, beta = theta[:5]
        k = np.exp(theta[5]) if law == "coupled" else 1.0
        predicted = np.logaddexp(e, k * np.logaddexp((a - alpha * n) / k, (b - beta * d) / k))
        r = np.abs(y - predicted) * 1e3
        return np.where(r <= 1e3 * delta, r * r / 2, 1e3 * delta * (r - 500 * delta)).sum()

    box = list(zip(LAWS[law].lower, LAWS[law].upper, strict=True))
    found = []
    for start in random_starts(LAWS[law], y, starts, 1):
        settings = {"maxiter": 3000, "maxfun": 60000, "ftol": 1e-15}
        rough = minimize(objective, start, method="L-BFGS-B", bounds=box, options=settings)
        found.append((rough.fun, tuple(rough.x)))
    settings = {"maxiter": 8000, "fatol": 1e-13, "xatol": 1e-9}
    polished = minimize(objective, min(found)[1], method="Nelder-Mead", options=settings)
    return 1e-6 * min(min(found)[0], polished.fun)


@needs_shared
def test_epochs_optimum_is_proven_global_within_a_millionth():
    params, tokens, loss = epoch()
    found = certify("chinchilla", (params, tokens), loss, objective=Huber(1e-3), tolerance=1e-6)
    assert found.reached == found.starts == 100
    assert found.lowest >= found.value * (1 - 1e-9)
    assert len(found.profile.minima) == 1
    np.testing.assert_allclose(found.profile.minima[0], [0.345, 0.367], atol=2e-3)  # as in the shared notes
    assert found.bound.proven
    assert 0 <= found.bound.gap <= 1e-6
    assert found.bound.lower <= found.profile.lowest <= found.bound.upper * (1 + 1e-9)


@needs_shared
def test_two_ways_agree_on_epochs_points_against_scipy():
    found = solve("chinchilla", epoch()[:2], epoch()[2], objective=Huber(1e-3))
    rival = another_way("chinchilla", epoch(), 1e-3)
    assert found.value == pytest.approx(rival, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("law", "truth"), [("chinchilla", "besiroglu"), ("coupled", "coupled")])
def test_two_ways_agree_on_synthetic_sets_against_scipy(law, truth, seed):
    runs = noisy(TRUTHS[truth], 0.004, seed)
    found = solve(law, runs[:2], runs[2], objective=Huber(0.004))
    rival = another_way(law, runs, 0.004)
    assert found.value == pytest.approx(rival, rel=1e-6)


@pytest.mark.parametrize("delta", [1e-3, 0.01, np.inf])
def test_no_law_in_a_cell_is_below_the_cells_bound(delta):
    runs = relative(noisy(TRUTHS["besiroglu"], 0.004, seed=0), delta)
    best = profiled(runs).lowest
    rng = np.random.default_rng(0)
    for half in (0.2, 0.05, 0.01, 0.001):
        centre = rng.uniform(0.25, 0.55, (40, 2))
        width = np.full((40, 2), half)
        bound = runs.lower_bound(centre[:, 0], centre[:, 1], width, best)
        for _ in range(25):
            inside = centre + rng.uniform(-1, 1, (40, 2)) * half
            value = runs.profile(inside[:, 0], inside[:, 1])
            assert (np.minimum(bound, best) <= value * (1 + 1e-9)).all()


def test_the_bound_tightens_with_the_square_of_the_cell():
    runs = relative(noisy(TRUTHS["besiroglu"], 0.004, seed=0), np.inf)
    found = profiled(runs)
    gaps = []
    for half in (0.01, 0.001):
        bound = runs.lower_bound(*found.minima[:1].T, np.full((1, 2), half), found.lowest)[0]
        gaps.append(1 - bound / found.lowest)
    assert 0 < gaps[1] < 0.05 * gaps[0]


@pytest.mark.parametrize("objective", [Huber(1e-3), AdaptiveHuber(), LeastSquares()], ids=lambda o: o.name)
def test_synthetic_optima_are_proven_global(objective):
    params, tokens, loss = noisy(TRUTHS["besiroglu"], 0.004, seed=2)
    found = certify("chinchilla", (params, tokens), loss, objective=objective)
    assert found.reached >= 90
    assert found.lowest >= found.value * (1 - 1e-8)
    assert found.bound.proven
    assert found.bound.gap <= 1e-4


def test_the_profile_is_the_lowest_over_amplitudes_against_scipy():
    runs = relative(noisy(TRUTHS["besiroglu"], 0.004, seed=1), 1e-3)

    def objective(logs, alpha, beta):
        E, A, B = np.exp(logs)
        r = np.abs(1 - (E + A * np.exp(-alpha * runs.n) + B * np.exp(-beta * runs.d)) / runs.loss)
        return 1e6 * np.where(r <= 1e-3, r * r / 2, 1e-3 * (r - 5e-4)).sum()

    for alpha, beta in [(0.35, 0.37), (0.3, 0.5), (0.45, 0.3)]:
        options = {"maxiter": 20000, "maxfev": 20000, "fatol": 1e-10, "xatol": 1e-10}
        rival = min(
            minimize(objective, start, (alpha, beta), method="Nelder-Mead", options=options).fun
            for start in ([0.6, -1.0, -1.0], [0.3, -0.5, -2.0], [0.5, -2.0, -0.5])
        )
        assert runs.profile(np.array([alpha]), np.array([beta]))[0] == pytest.approx(1e-6 * rival, rel=1e-6)


def test_a_limit_of_cells_is_said_to_prove_nothing():
    runs = relative(noisy(TRUTHS["besiroglu"], 0.004, seed=1), 1e-3)
    found = branch_and_bound(runs, (0.5, 0.5), EXPONENTS, tolerance=1e-9, limit=300)
    assert not found.proven
    assert found.gap > 1e-9
    assert "not proven within the limit" in str(found)
    assert found.lower <= profiled(runs).lowest


def test_a_start_outside_the_optimums_cell_still_ends_at_the_optimum():
    runs = relative(noisy(TRUTHS["besiroglu"], 0.004, seed=1), 1e-3)
    found = branch_and_bound(runs, (1.2, 0.1), EXPONENTS, tolerance=1e-4, limit=20_000)
    assert found.proven
    assert found.upper == pytest.approx(profiled(runs).lowest, rel=2e-4)


def test_a_law_that_is_not_linear_in_its_amplitudes_has_random_starts_only():
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.002, seed=0)
    found = certify("coupled", (params, tokens), loss, objective=AdaptiveHuber())
    assert found.profile is None
    assert found.bound is None
    assert found.lowest >= found.value * (1 - 1e-8)


def test_a_second_valley_is_counted():
    # Two clouds of runs under different laws, least absolute deviations nearly: each law is a valley of its own.
    one, two = TRUTHS["besiroglu"], dataclasses.replace(TRUTHS["besiroglu"], alpha=0.9, A=482.0 * (1e9**0.55), E=1.2)
    params, tokens, first = noisy(one, 0.0, seed=0)
    loss = np.where(np.arange(params.size) % 2 == 0, first, two(params, tokens))
    assert len(profiled(relative((params, tokens, loss), 1e-4)).minima) >= 2
