"""Every law passes the same claims over the named truths."""

import numpy as np
import pytest
from truths import TRUTHS, grid, noisy

from planner.fitting.objective import Huber, LeastSquares
from planner.fitting.solve import solve
from planner.laws import HAND_WRITTEN, Chinchilla, Coupled
from planner.laws.centre import Centre

every_law = pytest.mark.parametrize("law", HAND_WRITTEN, ids=lambda law: law.name)
every_truth = pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)


@every_truth
def test_a_law_gives_itself_back_without_noise(truth):
    params, tokens = grid()
    found = solve(type(truth), (params, tokens), truth(params, tokens), objective=LeastSquares())
    for name, value in vars(truth).items():
        assert getattr(found.law, name) == pytest.approx(value, rel=1e-6), name
    assert found.converged


@every_law
def test_the_gradient_agrees_with_differences(law):
    rng = np.random.default_rng(1)
    p = law.lower.size
    theta = np.array([[0.5, -1.0, -0.8, 0.3, 0.35, -0.6][:p]]) + 0.1 * rng.normal(size=(3, p))
    x = rng.normal(size=(2, 12)) * 2
    _, J = law.gradient(theta, x)
    for i, step in enumerate(1e-6 * np.eye(p)):
        numeric = (law.gradient(theta + step, x)[0] - law.gradient(theta - step, x)[0]) / 2e-6
        np.testing.assert_allclose(J[:, i], numeric, atol=1e-8)


@every_law
def test_the_curvature_agrees_with_differences_of_the_gradient(law):
    rng = np.random.default_rng(2)
    p = law.lower.size
    theta = np.array([[0.5, -1.0, -0.8, 0.3, 0.35, -0.6][:p]]) + 0.1 * rng.normal(size=(3, p))
    x = rng.normal(size=(2, 12)) * 2
    weight = rng.normal(size=(3, 12))
    H = law.curvature(theta, x, weight)
    for i, step in enumerate(1e-6 * np.eye(p)):
        change = (law.gradient(theta + step, x)[1] - law.gradient(theta - step, x)[1]) / 2e-6
        np.testing.assert_allclose(H[:, i], np.einsum("sm,spm->sp", weight, change), atol=1e-7)


@every_truth
def test_more_size_or_data_never_hurts(truth):
    counts = np.geomspace(1e6, 1e14, 200)
    assert (np.diff(truth(counts, 1e11)) < 0).all()
    assert (np.diff(truth(1e9, counts)) < 0).all()


@every_truth
def test_the_limits_are_right(truth):
    assert truth(1e80, 1e80) == pytest.approx(truth.E, rel=1e-6)
    assert truth(1e9, 1e80) == pytest.approx(truth.E + truth.A * 1e9**-truth.alpha, rel=1e-6)
    assert truth(1e80, 1e11) == pytest.approx(truth.E + truth.B * 1e11**-truth.beta, rel=1e-6)


@every_truth
@pytest.mark.parametrize("flops", [1e20, 3.3e24, 1e27])
def test_the_optimum_is_the_lowest_on_its_budget(truth, flops):
    best = truth.optimum(flops)
    assert 6 * best.params * best.tokens == pytest.approx(flops)
    at_best = truth(best.params, best.tokens)
    for factor in (0.5, 0.9, 0.99, 0.999, 1.001, 1.01, 1.1, 2.0):
        assert truth(best.params * factor, best.tokens / factor) > at_best


def test_a_coupled_law_with_k_one_is_the_additive_law():
    values = Chinchilla.published[1].values
    params, tokens = grid()
    np.testing.assert_allclose(
        Coupled(**values, k=1.0)(params, tokens), Chinchilla(**values)(params, tokens), rtol=1e-13
    )
    assert Coupled(**values, k=1.0).optimum(1e24) == pytest.approx(Chinchilla(**values).optimum(1e24))


def test_chinchillas_tokens_per_parameter_against_published():
    # shared facts, recomputed from arXiv 2203.15556 and 2404.10102: 93 with the rounded pair, 18.3 for the refit, at 5.76e23.
    rounded, refit = TRUTHS["hoffmann"].optimum(5.76e23), TRUTHS["besiroglu"].optimum(5.76e23)
    assert rounded.tokens / rounded.params == pytest.approx(93, rel=0.01)
    assert refit.tokens / refit.params == pytest.approx(18.3, rel=0.01)


@every_truth
def test_theta_and_law_are_two_ways_to_write_the_same(truth):
    params, tokens = grid()
    centre = Centre.of(params, tokens)
    theta = truth.theta(centre)
    again = type(truth).from_theta(theta, centre)
    assert vars(again) == pytest.approx(vars(truth))
    f, _ = type(truth).gradient(theta, centre.coordinates(params, tokens))
    np.testing.assert_allclose(f[0], np.log(truth(params, tokens)), rtol=1e-12)


@every_truth
def test_predictions_do_not_depend_on_row_order(truth):
    params, tokens, loss = noisy(truth, 0.003, seed=3)
    order = np.random.default_rng(4).permutation(params.size)
    forward = solve(type(truth), (params, tokens), loss, objective=Huber(1e-3))
    shuffled = solve(type(truth), (params[order], tokens[order]), loss[order], objective=Huber(1e-3))
    assert shuffled.law(7e10, 1.4e12) == pytest.approx(float(forward.law(7e10, 1.4e12)), rel=1e-6)


@every_truth
def test_predictions_do_not_depend_on_units(truth):
    params, tokens, loss = noisy(truth, 0.003, seed=5)
    raw = solve(type(truth), (params, tokens), loss, objective=Huber(1e-3))
    scaled = solve(type(truth), (params / 1e6, tokens / 1e9), loss, objective=Huber(1e-3))
    assert scaled.law(7e10 / 1e6, 1.4e12 / 1e9) == pytest.approx(float(raw.law(7e10, 1.4e12)), rel=1e-6)
    assert scaled.value == pytest.approx(raw.value, rel=1e-9)
