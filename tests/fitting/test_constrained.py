"""Weights, noise, blocks, bounds, priors in letters, fixed and tied letters: each against its definition."""

import numpy as np
import pytest
from scipy.optimize import minimize
from truths import TRUTHS, grid, noisy

from planner.errors import InputError
from planner.fitting.affine import LetterPrior
from planner.fitting.objective import AdaptiveHuber, Huber, LeastSquares
from planner.fitting.solve import solve
from planner.laws import Chinchilla, Coupled

RUNS = noisy(TRUTHS["besiroglu"], 0.004, seed=3)


def solved(law=Chinchilla, objective=LeastSquares(), runs=RUNS, **settings):  # noqa: B008
    params, tokens, loss = runs
    return solve(law, (params, tokens), loss, objective=objective, **settings)


def residuals(law, runs=RUNS):
    params, tokens, loss = runs
    return np.log(loss) - np.log(law(params, tokens))


def lowest(objective, start):
    """A derivative-free and a quasi-Newton polish of the same start."""
    first = minimize(objective, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-10, "fatol": 1e-14})
    return minimize(objective, first.x, method="BFGS").fun


@pytest.mark.parametrize("objective", [Huber(1e-3), AdaptiveHuber(), LeastSquares()], ids=lambda o: o.name)
def test_a_whole_weight_is_that_many_copies_of_the_run(objective):
    params, tokens, loss = RUNS
    count = np.random.default_rng(0).integers(1, 4, loss.size)
    weighted = solve(Chinchilla, (params, tokens), loss, objective=Huber(1e-3), weight=count)
    repeated = solve(Chinchilla, (np.repeat(params, count), np.repeat(tokens, count)), np.repeat(loss, count))
    assert weighted.value == pytest.approx(repeated.value, rel=1e-9)
    assert weighted.law.alpha == pytest.approx(repeated.law.alpha, rel=1e-6)
    assert solved(objective=objective, weight=np.full(30, 1.0)).theta == pytest.approx(
        solved(objective=objective).theta
    )


def test_a_weight_of_zero_leaves_the_run_out():
    params, tokens, loss = RUNS
    spoilt, keep = loss.copy(), np.arange(30) != 7
    spoilt[7] *= 1.5
    left_out = solve(Chinchilla, (params, tokens), spoilt, objective=AdaptiveHuber(), weight=keep * 1.0)
    without = solve(Chinchilla, (params[keep], tokens[keep]), loss[keep], objective=AdaptiveHuber())
    assert pytest.approx(without.law.E, rel=1e-6) == left_out.law.E
    assert left_out.scale == pytest.approx(without.scale, rel=1e-6)


def test_noise_is_divided_out_in_units_of_its_median_against_scipy():
    sd = np.random.default_rng(1).uniform(0.002, 0.02, 30)
    found = solved(objective=Huber(0.003), noise=sd)

    def objective(theta):
        law = Chinchilla.from_theta(theta, found.centre)
        r = np.abs(residuals(law)) * np.median(sd) / sd
        return np.where(r < 0.003, r * r / 2, 0.003 * (r - 0.0015)).sum()

    assert found.value == pytest.approx(objective(found.theta), rel=1e-9)
    assert found.value <= lowest(objective, found.theta + 0.01) * (1 + 1e-6)


def test_equal_noise_changes_nothing():
    np.testing.assert_allclose(solved(noise=np.full(30, 0.02)).theta, solved().theta, rtol=1e-8)


def test_blocks_minimise_the_generalised_squares_against_theory():
    labels, rho = np.repeat(np.arange(6), 5), 0.6
    R = np.where(labels[:, None] == labels, rho, 0.0) + (1 - rho) * np.eye(30)
    sd = np.random.default_rng(2).uniform(0.5, 2.0, 30)
    covariance = R * np.outer(sd, sd) / np.median(sd) ** 2
    found = solved(blocks=labels, rho=rho, noise=sd)

    def objective(theta):
        r = residuals(Chinchilla.from_theta(theta, found.centre))
        return r @ np.linalg.solve(covariance, r) / 2

    assert found.value == pytest.approx(objective(found.theta), rel=1e-8)
    assert found.value <= lowest(objective, found.theta + 0.01) * (1 + 1e-7)


def test_blocks_of_one_run_or_without_correlation_change_nothing():
    plain = solved(objective=Huber(1e-3)).theta
    np.testing.assert_allclose(solved(objective=Huber(1e-3), blocks=np.arange(30), rho=0.7).theta, plain, rtol=1e-7)
    np.testing.assert_allclose(solved(objective=Huber(1e-3), blocks=np.arange(30) % 6, rho=0.0).theta, plain, rtol=1e-7)


def test_block_covariance_beats_ignoring_it_when_trunks_share_noise():
    params, tokens = grid()
    rng = np.random.default_rng(5)
    labels = rng.permutation(30) // 5  # trunks that cut across the grid: a balanced one would make no difference
    errors = {0.0: [], 0.9: []}
    for _ in range(60):
        noise = 0.01 * (np.sqrt(0.9) * rng.normal(size=6)[labels] + np.sqrt(0.1) * rng.normal(size=30))
        loss = TRUTHS["besiroglu"](params, tokens) * np.exp(noise)
        for rho, kept in errors.items():
            kept.append(
                solve(Chinchilla, (params, tokens), loss, objective=LeastSquares(), blocks=labels, rho=rho).law.beta
            )
    assert np.std(errors[0.9]) < 0.7 * np.std(errors[0.0])


@pytest.mark.parametrize("letter", ["E", "A", "B", "alpha", "beta"])
def test_a_fixed_letter_keeps_its_value_and_the_rest_is_optimal_against_scipy(letter):
    value = 1.1 * getattr(TRUTHS["besiroglu"], letter)
    found = solved(fixed={letter: value})
    assert getattr(found.law, letter) == pytest.approx(value, rel=1e-9)
    others = [name for name in Chinchilla.letters if name != letter]
    start = np.array([np.log(getattr(found.law, name)) for name in others])

    def objective(logs):
        law = Chinchilla(**{letter: value}, **dict(zip(others, np.exp(logs), strict=True)))
        return 0.5 * (residuals(law) ** 2).sum()

    assert found.value <= lowest(objective, start) * (1 + 1e-6)
    assert found.value > solved().value


@pytest.mark.parametrize("law", [Chinchilla, Coupled])
def test_a_letter_fixed_at_the_truth_gives_the_rest_back(law):
    truth = TRUTHS["besiroglu"] if law is Chinchilla else TRUTHS["coupled"]
    params, tokens = grid()
    for letter in law.letters:
        found = solve(
            law,
            (params, tokens),
            truth(params, tokens),
            objective=LeastSquares(),
            fixed={letter: getattr(truth, letter)},
        )
        for other in law.letters:
            assert getattr(found.law, other) == pytest.approx(getattr(truth, other), rel=1e-5), (letter, other)


def test_k_fixed_at_one_is_the_additive_law():
    coupled, additive = solved(Coupled, Huber(1e-3), fixed={"k": 1.0}), solved(Chinchilla, Huber(1e-3))
    assert coupled.value == pytest.approx(additive.value, rel=1e-7)


@pytest.mark.parametrize("pair", [("alpha", "beta"), ("A", "B")])
def test_tied_letters_are_equal_and_optimal_against_scipy(pair):
    found = solved(tied=(pair,))
    assert getattr(found.law, pair[0]) == pytest.approx(getattr(found.law, pair[1]), rel=1e-9)
    free = [name for name in Chinchilla.letters if name != pair[1]]

    def objective(logs):
        letters = dict(zip(free, np.exp(logs), strict=True))
        return 0.5 * (residuals(Chinchilla(**letters, **{pair[1]: letters[pair[0]]})) ** 2).sum()

    start = np.log([getattr(found.law, name) for name in free])
    assert found.value <= lowest(objective, start) * (1 + 1e-6)


def test_tied_and_fixed_together_fix_both():
    found = solved(tied=(("alpha", "beta"),), fixed={"beta": 0.34})
    assert found.law.alpha == pytest.approx(0.34, rel=1e-12)
    assert found.law.beta == pytest.approx(0.34, rel=1e-12)


@pytest.mark.parametrize(
    ("letter", "low", "high", "at"),
    [("alpha", 0.40, 0.60, "low"), ("E", 1.0, 1.7, "high"), ("A", 100.0, 300.0, "high"), ("B", 9000.0, 1e5, "low")],
)
def test_a_bound_that_binds_holds_and_is_the_fixed_fit(letter, low, high, at):
    bounded = solved(bounds={letter: (low, high)})
    edge = low if at == "low" else high
    assert getattr(bounded.law, letter) == pytest.approx(edge, rel=1e-9)
    assert bounded.value == pytest.approx(solved(fixed={letter: edge}).value, rel=1e-7)
    assert bounded.converged


def test_a_bound_that_does_not_bind_changes_nothing():
    wide = solved(bounds={"A": (1.0, 1e6), "alpha": (0.05, 1.5), "E": (0.0, 3.0)})
    np.testing.assert_allclose(wide.theta, solved().theta, rtol=1e-6)


@pytest.mark.parametrize("letter", ["E", "A", "alpha"])
def test_a_letter_prior_is_weighed_against_the_noise_against_scipy(letter):
    value, sd = 1.2 * getattr(TRUTHS["besiroglu"], letter), 0.02
    found = solved(letter_prior=LetterPrior({letter: (value, sd)}))

    def posterior(theta):
        law = Chinchilla.from_theta(theta, found.centre)
        got = getattr(law, letter)
        off = (got - value if letter == "alpha" else np.log(got / value)) / sd
        return (residuals(law) ** 2).sum() / found.prior_scale**2 / 2 + off**2 / 2

    assert posterior(found.theta) <= lowest(posterior, found.theta + 0.01) + 1e-6
    free, held = getattr(solved().law, letter), getattr(found.law, letter)
    assert abs(held - value) < abs(free - value)


def test_a_tight_letter_prior_tends_to_the_fixed_fit():
    tight = solved(letter_prior=LetterPrior({"A": (600.0, 1e-5)}))
    assert pytest.approx(600.0, rel=1e-5) == tight.law.A
    assert tight.law.beta == pytest.approx(solved(fixed={"A": 600.0}).law.beta, rel=1e-5)


def test_fixed_letters_let_fewer_runs_be_fitted():
    few = tuple(column[[0, 4, 29]] for column in RUNS)
    known = {"alpha": 0.3478, "beta": 0.3658}
    assert pytest.approx(1.8172, rel=0.05) == solved(runs=few, fixed=known).law.E
    with pytest.raises(InputError, match="3 runs are fewer than the 4 free parameters"):
        solved(runs=few, fixed={"alpha": 0.3478})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": np.r_[np.ones(4), -2.0, np.ones(25)]}, r"weight\[4\] = -2.0 is negative"),
        ({"weight": np.ones(4)}, r"weight \(4,\) and loss \(30,\) differ"),
        ({"noise": np.r_[np.ones(29), 0.0]}, r"noise\[29\] = 0.0 is not positive"),
        ({"noise": np.ones(3)}, r"noise \(3,\) and loss \(30,\) differ"),
        ({"blocks": np.ones(3), "rho": 0.5}, r"blocks \(3,\) and loss \(30,\) differ"),
        ({"blocks": np.ones(30), "rho": 1.0}, r"rho = 1.0 is not in \[0, 1\)"),
        ({"rho": 0.5}, "rho = 0.5 without blocks"),
        ({"fixed": {"gamma": 1.0}}, "has no letter 'gamma'"),
        ({"fixed": {"k": 1.0}}, "the chinchilla law has no letter 'k'"),
        ({"fixed": {"A": -3.0}}, "A = -3.0 is not a positive number"),
        ({"fixed": {"alpha": 0.3}, "bounds": {"alpha": (0.4, 0.5)}}, "alpha = 0.3 is fixed outside its bounds"),
        ({"fixed": {"alpha": 0.3, "beta": 0.4}, "tied": (("alpha", "beta"),)}, "fixed and tied to another value"),
        ({"fixed": dict.fromkeys(("E", "A", "B", "alpha", "beta"), 1.0)}, "every letter is fixed"),
        ({"tied": (("alpha", "A"),)}, "letters alpha, A cannot be tied"),
        ({"tied": (("alpha", "alpha"),)}, "letters alpha, alpha cannot be tied"),
        ({"bounds": {"E": (2.0, 1.0)}}, r"bounds of E are \(2.0, 1.0\)"),
        ({"bounds": {"alpha": (3.0, 4.0)}}, "outside what the law allows"),
        ({"bounds": {"alpha": (0.1, 0.2), "beta": (0.3, 0.4)}, "tied": (("alpha", "beta"),)}, "do not overlap"),
        ({"letter_prior": LetterPrior({"alpha": (0.3, 0.0)})}, "a prior of zero width fixes the parameter"),
        ({"letter_prior": LetterPrior({"alpha": (0.3, -1.0)})}, "sd -1.0, not a positive number"),
        ({"letter_prior": LetterPrior({"z": (0.3, 1.0)})}, "has no letter 'z'"),
    ],
)
def test_what_cannot_hold_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        solved(**settings)
