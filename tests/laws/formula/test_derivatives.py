"""Exact derivatives against differences, and against the built-in law."""

import numpy as np
import pytest

from planner.laws import Chinchilla
from planner.laws.centre import Centre
from planner.laws.formula.compiled import Compiled
from planner.laws.formula.grammar import parse
from planner.laws.formula.reading import Reading
from planner.laws.formula.syntax import evaluate, names

FORMULAS = {
    "E + A/x^alpha + B/z^beta": "alpha beta",
    "E + (A/x^alpha + B/z^beta)^k": "alpha beta k",
    "E + A/x^alpha*(1 + (x/d)^(1/f))^(-c*f)": "alpha f c",
    "((A/x)^(a/b) + B/z)^b": "a b",
    "a*log(x)^2 - b*log(x)*log(z) + c*z^2 + 9": "a b c",
    "E + G*(log(x) - m)^2*exp(-r*z)": "m",
    "(log(x) - m)^3 + 9": "m",
    "a/(1 + exp(-k*(x - x0))) + b": "",
    "E + B/(z*(1 + R*(1 - exp(-(x - 0.1)/R))))^beta": "beta",
    "exp(a + b*log(x) + c*log(z)*log(x))": "a b c",
    "exp(a*x^b)": "a b",
    "sqrt(a*x + b*z) + (x^2)^0.5": "",
    "E + A*x^(a*z)/exp(B)": "a",
    "E*x + E^2*z + x^E": "",
    "E + a*(x - 0.05)^b": "b",
    "2^a + x^(-a^2) + E": "a",
    "E + A*(2 + exp(a*x - b*z))^(-c)": "a b c",
    "a*log(3 + (x/d)^(1/f)) + E": "f",
    "E": "",
    "E + A*(x - x)": "",
}
VALUES = dict.fromkeys("EABGR", 0.7) | dict.fromkeys(["alpha", "beta", "x0", *"abckfdmr"], 0.4)


def reading_of(formula, plain, *, logarithmic=True, negative=()):
    letters = tuple(name for name in names(parse(formula)) if name in VALUES)
    return Reading.of(
        formula, letters, logarithmic=logarithmic, plain=frozenset(plain.split()), negative=frozenset(negative)
    )


def points(reading, S=3, m=7):
    rng = np.random.default_rng(3)
    x = rng.uniform(0.5, 2.0, (len(reading.variables), m))
    theta = reading.to_theta({name: VALUES[name] * (-1 if name in reading.negative else 1) for name in reading.letters})
    return theta + 0.1 * rng.normal(size=(S, theta.size)), x


every_formula = pytest.mark.parametrize(("formula", "plain"), FORMULAS.items(), ids=FORMULAS)


@every_formula
@pytest.mark.parametrize("logarithmic", [True, False])
def test_values_are_those_of_the_formula(formula, plain, logarithmic):
    reading = reading_of(formula, plain, logarithmic=logarithmic)
    theta, x = points(reading)
    found = reading.compiled.expand(theta, x).f
    for row, letters in zip(found, reading.to_letters(theta), strict=True):
        values = dict(zip((*reading.letters, *reading.variables), (*letters, *x), strict=True))
        value = np.broadcast_to(evaluate(reading.root, values), x.shape[1:])
        np.testing.assert_allclose(row, np.log(value) if logarithmic else value, rtol=1e-12, atol=1e-13)


@every_formula
@pytest.mark.parametrize("logarithmic", [True, False])
def test_the_gradient_agrees_with_differences(formula, plain, logarithmic):
    reading = reading_of(formula, plain, logarithmic=logarithmic)
    theta, x = points(reading)
    J = reading.compiled.expand(theta, x).jacobian()
    for i, step in enumerate(1e-5 * np.eye(theta.shape[1])):
        numeric = differences(lambda t: reading.compiled.expand(t, x).f, theta, step)
        np.testing.assert_allclose(J[:, i], numeric, rtol=1e-6, atol=1e-8)


@every_formula
@pytest.mark.parametrize("logarithmic", [True, False])
def test_sums_over_runs_agree_with_the_jacobian_and_its_differences(formula, plain, logarithmic):
    reading = reading_of(formula, plain, logarithmic=logarithmic)
    theta, x = points(reading)
    outer, inner = np.random.default_rng(4).normal(size=(2, len(theta), x.shape[1]))
    at = reading.compiled.expand(theta, x)
    J = at.jacobian()
    np.testing.assert_allclose(at.pull(inner), np.einsum("sm,spm->sp", inner, J), atol=1e-12)
    np.testing.assert_allclose(at.square(outer), np.einsum("sm,spm->sp", outer, J * J), atol=1e-11)
    H = at.hessian(outer, inner)
    np.testing.assert_allclose(H, H.transpose(0, 2, 1), atol=1e-12)
    np.testing.assert_allclose(
        at.hessian(outer, np.zeros_like(inner)), np.einsum("sm,spm,sqm->spq", outer, J, J), atol=1e-11
    )
    for i, step in enumerate(1e-5 * np.eye(theta.shape[1])):
        change = differences(lambda t: reading.compiled.expand(t, x).jacobian(), theta, step)
        numeric = np.einsum("sm,sm,sqm->sq", outer, J[:, i], J) - np.einsum("sm,sqm->sq", inner, change)
        np.testing.assert_allclose(H[:, i], numeric, rtol=1e-6, atol=1e-6)


def differences(function, theta, step):
    """Fourth-order central differences."""
    near = function(theta + step) - function(theta - step)
    far = function(theta + 2 * step) - function(theta - 2 * step)
    return (8 * near - far) / (12 * step.max())


def test_letters_held_by_the_logarithm_of_minus_the_letter_have_exact_derivatives():
    reading = reading_of("E + A*x^2 + B*x*z", "", logarithmic=False, negative=("A",))
    theta, x = points(reading)
    assert (reading.to_letters(theta)[:, reading.letters.index("A")] < 0).all()
    J = reading.compiled.expand(theta, x).jacobian()
    for i, step in enumerate(1e-5 * np.eye(3)):
        numeric = differences(lambda t: reading.compiled.expand(t, x).f, theta, step)
        np.testing.assert_allclose(J[:, i], numeric, rtol=1e-6, atol=1e-8)


def test_a_chinchilla_formula_is_the_built_in_law():
    rng = np.random.default_rng(0)
    N, D = np.exp(rng.uniform(17, 23, 40)), np.exp(rng.uniform(21, 26, 40))
    centre = Centre.of(N, D)
    reading = Reading.of("E + A/params^alpha + B/tokens^beta", Chinchilla.letters)
    law = Chinchilla(**Chinchilla.published[0].values)
    forms = Chinchilla.letter_forms(centre)
    outer, inner = rng.normal(size=(2, 1, 40))
    built_in = Chinchilla.expand(law.theta(centre), Chinchilla.inputs(centre, N, D))
    ours = reading.compiled.expand(reading.to_theta(vars(law))[None], np.stack([N, D]))
    back = np.linalg.inv(forms)
    np.testing.assert_allclose(ours.f, built_in.f, rtol=1e-14)
    np.testing.assert_allclose(ours.pull(inner), built_in.pull(inner) @ back, rtol=1e-9)
    np.testing.assert_allclose(ours.hessian(outer, inner), back.T @ built_in.hessian(outer, inner) @ back, rtol=1e-8)


def test_zero_to_a_power_has_finite_derivatives():
    reading = reading_of("E + A*x^a", "a")
    at = reading.compiled.expand(reading.to_theta(VALUES)[None], np.array([[0.0, 1.0]]))
    assert np.isfinite(at.jacobian()).all()
    assert at.f[0, 0] == pytest.approx(np.log(0.7))


def test_runs_are_remembered_by_their_values_not_by_the_array():
    reading = reading_of("E + A*x^a", "a")
    theta, x = reading.to_theta(VALUES)[None], np.array([[1.0, 2.0]])
    before = reading.compiled.expand(theta, x).f.copy()
    x *= 2
    assert (reading.compiled.expand(theta, x).f[0, 1] > before[0, 1]).all()
    for size in range(1, 30):
        reading.compiled.expand(theta, np.ones((1, size)))
    assert len(reading.compiled._prepared) <= 8


def test_powers_of_a_letter_become_one_exponential():
    compiled: Compiled = reading_of("E + A/x^alpha + B/z^beta", "alpha beta").compiled
    assert {node.op for node in compiled.graph.nodes if not compiled.graph.fixed[compiled.graph.nodes.index(node)]} == {
        "term",
        "add",
    }


def test_a_sharp_break_does_not_overflow():
    reading = reading_of("E + A/x^alpha*(1 + (x/d)^(1/f))^(-c*f)", "alpha f c")
    theta = reading.to_theta({**VALUES, "f": 1e-3})[None]
    at = reading.compiled.expand(theta, np.array([[1e-2, 0.4, 1e2]]))
    expected = 0.7 + 0.7 / 1e2**0.4 * (1e2 / 0.4) ** -0.4
    assert at.f[0, 2] == pytest.approx(np.log(expected), rel=1e-12)
    assert np.isfinite(at.hessian(np.ones((1, 3)), np.ones((1, 3)))).all()


def test_where_derivatives_overflow_there_is_no_value():
    reading = reading_of("E + A/(B + x^(1/f))", "f")
    at = reading.compiled.expand(reading.to_theta({**VALUES, "f": 1e-3})[None], np.array([[0.5, 10.0]]))
    assert np.isfinite(at.f[0, 0])
    assert np.isnan(at.f[0, 1])
