"""Limited unique data: Muennighoff's effective counts, under any law."""

import math

import numpy as np
import pytest
from truths import TRUTHS

from planner.decisions.repeats import Repeats
from planner.decisions.terms import Terms, Worth, best_for_budget, best_for_loss
from planner.laws.published.data_constrained import DataConstrainedExcess

LAW = TRUTHS["coupled"]


def test_effective_counts_are_the_published_laws_against_published():
    law = DataConstrainedExcess(**DataConstrainedExcess.published[0].values)
    tied = TRUTHS["besiroglu"].__class__(E=law.E, A=law.A, B=law.B, alpha=law.alpha, beta=law.alpha)
    unique = 1e10
    params, tokens = np.array([1e8, 1e9, 1e10, 1e11]), np.array([5e10, 1e11, 2e10, 1e12])
    worth = Worth.of(tied, Terms(repeats=Repeats(unique)))
    assert worth.loss(params, tokens) == pytest.approx(
        law(params=params, tokens=tokens, tokens_unique=unique), rel=1e-6
    )


def test_repeats_are_worth_less_and_less_and_four_epochs_nearly_all():
    repeats = Repeats(1e10)
    epochs = np.array([0.5, 1.0, 4.0, 40.0, 1e6])
    worth = repeats.effective_tokens(epochs * 1e10) / 1e10
    assert worth[:2].tolist() == [0.5, 1.0]
    assert 3.6 < worth[2] < 4.0  # "up to 4 epochs of repeated data yields negligible changes" (arXiv 2305.16264)
    assert worth[4] == pytest.approx(repeats.most_effective / 1e10)
    assert np.diff(worth).min() > 0


def test_tokens_for_is_the_inverse_of_effective_tokens():
    repeats = Repeats(1e10)
    tokens = np.array([1e9, 1e10, 2e10, 3e11])
    assert repeats.tokens_for(repeats.effective_tokens(tokens)) == pytest.approx(tokens, rel=1e-9)
    assert math.isinf(repeats.tokens_for(np.array([2e11]))[0])


def test_the_size_that_the_unique_tokens_feed_is_the_laws_own_best():
    fed = Repeats(1e11).fed(LAW)
    assert LAW.optimum(6 * fed * 1e11).params == pytest.approx(fed, rel=1e-9)


def test_enough_data_change_nothing_and_little_data_cost_epochs_size_and_loss():
    plain = best_for_budget(LAW, 1e22)
    rich = best_for_budget(LAW, 1e22, Terms(repeats=Repeats(2 * plain.tokens)))
    assert (rich.params, rich.loss) == pytest.approx((plain.params, plain.loss), rel=1e-7)
    poor = best_for_budget(LAW, 1e22, Terms(repeats=Repeats(plain.tokens / 10)))
    assert poor.loss > plain.loss
    assert poor.params < plain.params  # scarce data are better repeated than starved on (arXiv 2305.16264, section 5)
    assert poor.tokens > plain.tokens
    again = best_for_loss(LAW, poor.loss, Terms(repeats=Repeats(plain.tokens / 10)))
    assert (again.params, again.total) == pytest.approx((poor.params, 1e22), rel=1e-6)


def test_the_best_under_repeats_equals_brute_force():
    terms = Terms(repeats=Repeats(2e10))
    sizes = np.geomspace(1e7, 1e12, 400_001)
    losses = Worth.of(LAW, terms).loss(sizes, 1e22 / 6 / sizes)
    found = best_for_budget(LAW, 1e22, terms)
    assert found.loss <= losses.min() * (1 + 1e-13)
    assert found.params == pytest.approx(sizes[int(np.argmin(losses))], rel=1e-4)


def test_a_loss_that_endless_repeats_do_not_reach_has_no_size():
    assert best_for_loss(LAW, 1.9, Terms(repeats=Repeats(1e9))) is None
