"""Best size and tokens."""

import math
from functools import cache

import numpy as np
import pytest
from truths import TRUTHS, noisy

from planner.decisions.allocation import allocate, flops_for
from planner.errors import InputError
from planner.fitting.fit import fit
from planner.runs.columns import Count
from planner.runs.sample import Sample


@cache
def made(seed=0, sd=0.002):
    params, tokens, loss = noisy(TRUTHS["coupled"], sd, seed)
    return fit(Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ()))


def test_the_split_uses_the_whole_budget_and_is_the_laws_optimum():
    law_fit = made()
    found = allocate(law_fit, flops=1e23)
    assert 6 * found.params * found.tokens == pytest.approx(1e23)
    assert (found.params, found.tokens) == pytest.approx(law_fit.law.optimum(1e23))
    assert found.tokens_per_param == pytest.approx(found.tokens / found.params)


def test_intervals_of_size_and_data_hold_the_estimate_and_usually_the_truth():
    best = TRUTHS["coupled"].optimum(1e23)
    hits = 0
    for seed in range(20):
        found = allocate(made(seed), flops=1e23)
        low, high = found.intervals["params"]
        assert low < found.params < high
        hits += low <= best.params <= high
    assert hits >= 16


def test_noise_free_runs_give_the_true_split():
    best = TRUTHS["coupled"].optimum(1e23)
    assert allocate(made(sd=1e-7), flops=1e23).params == pytest.approx(best.params, rel=0.01)


@pytest.mark.parametrize("flops", [0.0, -1.0, np.nan, np.inf])
def test_a_budget_that_is_not_positive_is_refused(flops):
    with pytest.raises(InputError, match="not above zero"):
        allocate(made(), flops=flops)


def test_the_compute_for_a_loss_is_the_inverse_of_the_loss_at_a_compute():
    law_fit = made()
    best = allocate(law_fit, flops=1e23)
    needed = flops_for(law_fit, loss=best.loss)
    assert needed.flops == pytest.approx(1e23, rel=1e-6)
    assert needed.best.params == pytest.approx(best.params, rel=1e-6)
    assert needed.interval[0] < needed.flops < needed.interval[1]


def test_a_loss_below_the_floor_is_refused_and_one_near_it_may_need_any_compute():
    law_fit = made()
    with pytest.raises(InputError, match="floor E"):
        flops_for(law_fit, loss=law_fit.parameters["E"] * 0.99)
    assert flops_for(law_fit, loss=law_fit.parameters["E"] * 1.001).interval[1] == math.inf
