"""Best size when the model will be served, and sizes are limited: against closed forms and brute force."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq
from truths import TRUTHS

from planner.decisions.inference import Served, price_of_serving
from planner.decisions.terms import Terms, best_for_budget, best_for_loss, tokens_by_formula, tokens_by_halving
from planner.errors import InputError

STEP = 1e-20  # of a complex-step derivative: exact to the last digit


def loss_of(law, log_params, flops):
    """The law written again, for complex ln params at a budget."""
    log_tokens = np.log(flops / 6) - log_params
    k = getattr(law, "k", 1.0)
    terms = (law.A * np.exp(-law.alpha * log_params)) ** (1 / k) + (law.B * np.exp(-law.beta * log_tokens)) ** (1 / k)
    return law.E + terms**k


@pytest.mark.parametrize("law", TRUTHS.values(), ids=TRUTHS)
@pytest.mark.parametrize("flops", [1e19, 1e22, 3.3e24, 1e27])
def test_the_best_size_is_the_closed_form_and_both_are_a_root_of_the_derivative(law, flops):
    def slope(log_params):
        return loss_of(law, log_params + 1j * STEP, flops).imag / STEP

    best = law.optimum(flops).params
    root = math.exp(brentq(slope, math.log(best) - 3, math.log(best) + 3, xtol=1e-14))
    assert best == pytest.approx(root, rel=1e-8)
    G = (law.A / law.B * (law.alpha / law.beta) ** getattr(law, "k", 1.0)) ** (1 / (law.alpha + law.beta))
    assert best == pytest.approx(G * (flops / 6) ** (law.beta / (law.alpha + law.beta)), rel=1e-8)
    assert best_for_budget(law, flops).params == pytest.approx(best, rel=1e-8)
    found = best_for_loss(law, float(law(*law.optimum(flops))))
    assert found.params == pytest.approx(best, rel=1e-7)
    assert found.total == pytest.approx(flops, rel=1e-11)


def by_hand(law, params, loss):
    """Tokens with which `params` reach `loss`, the law solved for them by hand."""
    k = getattr(law, "k", 1.0)
    rest = np.maximum((loss - law.E) ** (1 / k) - (law.A / params**law.alpha) ** (1 / k), 1e-20)
    return (law.B / rest**k) ** (1 / law.beta)


CASES = [(name, loss, served) for name in TRUTHS for loss in (2.0, 2.2) for served in (1e11, 1e13)]
CASES += [("coupled", 1.95, 1e14), ("hoffmann", 2.5, 1e10), ("besiroglu", 2.05, 1e15), ("loosely coupled", 1.9, 3e12)]


def brute_force(value):
    """The lowest of 200,001 sizes, and again of as many between its neighbours: params and value."""
    low, high = math.log(1e6), math.log(1e14)
    for _ in range(2):
        logs = np.linspace(low, high, 200_001)
        values = value(np.exp(logs))
        at = int(np.argmin(values))
        low, high = logs[at - 1], logs[at + 1]
    return math.exp(logs[at]), float(values[at])


@pytest.mark.parametrize(("name", "loss", "served"), CASES)
def test_serving_is_allocated_as_by_brute_force(name, loss, served):
    law = TRUTHS[name]
    params, total = brute_force(lambda sizes: 6 * sizes * by_hand(law, sizes, loss) + 2 * sizes * served)
    found = best_for_loss(law, loss, Terms(Served(served)))
    assert found.total == pytest.approx(total, rel=1e-12)
    assert found.params == pytest.approx(params, rel=1e-6)
    assert float(law(found.params, found.tokens)) == pytest.approx(loss, rel=1e-12)

    def losses(sizes):
        left = total / (6 * sizes) - served / 3
        return np.where(left > 0, law(sizes, np.maximum(left, 1)), np.inf)

    params, least = brute_force(losses)
    budget = best_for_budget(law, total, Terms(Served(served)))
    assert budget.loss == pytest.approx(least, rel=1e-13)
    assert budget.params == pytest.approx(params, rel=1e-6)


def test_there_are_twenty_brute_force_cases():
    assert len(CASES) == 20


@pytest.mark.parametrize("law", TRUTHS.values(), ids=TRUTHS)
def test_tokens_by_formula_and_by_halving_are_the_same(law):
    params = np.geomspace(1e6, 1e13, 50)
    for loss in (1.9, 2.2, 3.0):
        a, b = tokens_by_formula(law, params, loss), tokens_by_halving(law, params, loss)
        near = b < 1e28  # beyond, the search gives up
        assert a[near] == pytest.approx(b[near], rel=1e-6)
        assert (a[~near] > 1e27).all()


def test_serving_more_means_smaller_models_trained_longer():
    law = TRUTHS["coupled"]
    found = [best_for_loss(law, 2.0, Terms(Served(served))) for served in (0.0, 1e11, 1e12, 1e13)]
    assert found[0].params == pytest.approx(best_for_loss(law, 2.0).params)
    assert all(after.params < before.params for before, after in pairwise(found))
    assert all(after.tokens > before.tokens for before, after in pairwise(found))
    dear = best_for_loss(law, 2.0, Terms(Served(1e12, flop_price=10.0)))
    assert dear.params == pytest.approx(found[3].params, rel=1e-6)  # ten times the price is ten times the tokens


def test_a_served_token_has_a_price_at_its_size():
    # An 8B model at $0.16 per million tokens: 1e-17 dollars per FLOP, ten times a training FLOP at 1e-18.
    assert price_of_serving(0.16e-6, 8e9, 1e-18) == pytest.approx(10.0)
    with pytest.raises(InputError, match="not above zero"):
        price_of_serving(0.0, 8e9, 1e-18)


def test_limits_of_size_hold_and_lists_give_their_best():
    law = TRUTHS["coupled"]
    free = best_for_budget(law, 1e23)
    assert best_for_budget(law, 1e23, Terms(most_params=free.params / 2)).params == free.params / 2
    assert best_for_budget(law, 1e23, Terms(most_params=free.params * 2)).params == pytest.approx(free.params, rel=1e-7)
    sizes = (1e9, 1e10, 7e10, 1e12)
    losses = [float(law(size, 1e23 / 6 / size)) for size in sizes]
    found = best_for_budget(law, 1e23, Terms(sizes=sizes))
    assert (found.params, found.loss) == (sizes[int(np.argmin(losses))], min(losses))


def test_what_cannot_be_had_is_none_and_what_contradicts_itself_is_refused():
    law = TRUTHS["coupled"]
    assert best_for_loss(law, 2.0, Terms(most_params=1e8)) is None
    assert best_for_loss(law, law.E * 0.99) is None
    assert best_for_budget(law, 1e20, Terms(Served(1e20))) is None
    with pytest.raises(InputError, match="no listed size is within 1e\\+09 params: the smallest is 7e\\+09"):
        Terms(most_params=1e9, sizes=(7e9,))
    for terms in ({"served": Served(-1.0)}, {"most_params": 0.0}, {"sizes": (0.0,)}, {"served": Served(1.0, math.nan)}):
        with pytest.raises(InputError, match="not above zero"):
            Terms(**terms)
