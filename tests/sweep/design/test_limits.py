"""What no design can beat in the benchmark of designs, however its runs are fitted."""

import numpy as np
import pytest
from benchmarks import designs


def test_no_design_beats_the_limit_and_more_compute_lowers_it():
    small, large = (designs.least_errors(fraction, number=8) for fraction in designs.BUDGETS)
    for found in (small, large):
        rivals = [error for name, error in found.items() if name != "no design below"]
        assert min(rivals) >= found["no design below"] > 0.1
    assert large["no design below"] < small["no design below"]


def test_the_letters_of_the_truths_spread_as_the_limit_takes_them_to():
    theta = designs.coupled_letters(20_000, 1)
    assert theta.std(0) == pytest.approx(designs.TRUE_SPREAD, rel=0.05)


def test_the_slopes_of_the_curved_law_are_its_derivatives():
    theta = designs.coupled_letters(3, 2)
    at = (np.array([1e9, 7e10]), np.array([2e10, 1.5e13]))
    slopes = designs.curved_law(theta, *at)[1]
    for letter in range(8):
        step = np.zeros(8)
        step[letter] = 1e-6
        up, down = (designs.curved_law(theta + sign * step, *at)[0] for sign in (1, -1))
        np.testing.assert_allclose((up - down) / 2e-6, slopes[:, letter], rtol=1e-5, atol=1e-8)
