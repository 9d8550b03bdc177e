"""Dense runs speaking for a mixture of experts: wider by what the equivalent size leaves open."""

import math

import pytest

from planner.decisions.equivalence import widened_for_equivalence
from planner.fitting.predict import Prediction
from planner.laws import Chinchilla

LAW = Chinchilla(**Chinchilla.published[1].values)


def forecast() -> Prediction:
    loss = float(LAW(1e11, 1e13))
    return Prediction(1e11, 1e13, loss, (loss * 0.99, loss * 1.01), (loss * 0.98, loss * 1.02), 0.9, True, "", 10.0)


def test_half_widths_add_in_squares_against_the_laws_own_slope():
    wide = widened_for_equivalence(forecast(), LAW, sd=0.35)
    slope = LAW.alpha * LAW.A * 1e11**-LAW.alpha / wide.loss  # -d ln L / d ln N in closed form
    half = math.log(wide.interval_mean[1] / wide.loss)
    assert half == pytest.approx(math.hypot(math.log(1.01), 1.6449 * 0.35 * slope), rel=1e-4)
    assert wide.loss == forecast().loss
    assert widened_for_equivalence(forecast(), LAW, sd=0.0).interval_run == pytest.approx(forecast().interval_run)
