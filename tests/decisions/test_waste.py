"""What a size beside the best one wastes: closed form against searches; intervals from a fit's draws."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from truths import TRUTHS, noisy

from planner.decisions.allocation import allocate, flops_for
from planner.decisions.inference import Served
from planner.decisions.repeats import Repeats
from planner.decisions.terms import PLAIN, Terms, best_for_budget
from planner.decisions.waste import price_of_error, waste_at, waste_nearby, waste_of_factor
from planner.decisions.within import allocate_within
from planner.errors import InputError
from planner.fitting.fit import fit
from planner.runs.columns import Count
from planner.runs.sample import Sample


@functools.cache
def made(seed=0, sd=0.002, name="coupled"):
    params, tokens, loss = noisy(TRUTHS[name], sd, seed)
    return fit(Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ()))


def searched(law, factor, flops):
    """The waste by two nested numeric searches that know nothing of the law but its values."""

    def least(log_flops):
        half = (log_flops - math.log(6)) / 2
        found = minimize_scalar(
            lambda x: float(law(math.exp(half + x), math.exp(half - x))), bounds=(-8, 8), options={"xatol": 1e-9}
        )
        return found.fun, math.exp(half + found.x)

    best = least(math.log(flops))[1]
    loss = float(law(best * factor, flops / 6 / best / factor))
    return 1 - math.exp(brentq(lambda x: least(x)[0] - loss, math.log(flops / 1e3), math.log(flops) + 1e-9)) / flops


@pytest.mark.parametrize("law", TRUTHS.values(), ids=TRUTHS)
@pytest.mark.parametrize("factor", [1 / 5, 1 / 2, 1 / 1.25, 1.25, 1.5, 2.0, 3.0, 10.0])
def test_the_waste_formula_equals_a_numeric_search_to_1e_6(law, factor):
    assert waste_of_factor(law, factor) == pytest.approx(searched(law, factor, 1e23), abs=1e-6)
    best = law.optimum(1e23).params
    assert waste_of_factor(law, factor) == pytest.approx(waste_at(law, best * factor, 1e23), abs=1e-10)


@pytest.mark.parametrize("law", TRUTHS.values(), ids=TRUTHS)
def test_the_quadratic_formula_is_its_second_order_and_not_more(law):
    for step in (0.1, 0.03):
        errors = [
            waste_of_factor(law, math.exp(sign * step)) - waste_nearby(law, math.exp(sign * step)) for sign in (1, -1)
        ]
        assert max(map(abs, errors)) < step**3
    assert (
        abs(waste_of_factor(law, 2.0) - waste_nearby(law, 2.0)) < 0.007
    )  # what the formula is worth at a factor of two


def test_waste_of_the_additive_law_against_published():
    # This project's measurement on Besiroglu's law: 1.8, 5.7, 15.6, 34 % at 1.25, 1.5, 2, 3.
    found = [100 * waste_of_factor(TRUTHS["besiroglu"], factor) for factor in (1.25, 1.5, 2, 3)]
    assert found == pytest.approx([1.8, 5.7, 15.6, 34.4], abs=0.15)


def test_the_price_of_error_of_a_fit_holds_the_truths_waste_and_grows_with_the_factor():
    law_fit, truth = made(), TRUTHS["coupled"]
    found = price_of_error(law_fit, params=law_fit.law.optimum(1e23).params, total=1e23)
    assert [row.factor for row in found.wrong] == [1.25, 1.5, 2.0]
    for row in found.wrong:
        for value, (low, high), factor in (
            (row.too_small, row.too_small_interval, 1 / row.factor),
            (row.too_large, row.too_large_interval, row.factor),
        ):
            assert low <= value <= high
            assert low <= waste_of_factor(truth, factor) <= high
    assert found.wrong[0].too_large < found.wrong[1].too_large < found.wrong[2].too_large
    assert 0 < found.expected < found.seldom_above < 0.1


def test_expected_waste_is_that_of_the_draws_by_search():
    law_fit = made()
    best = law_fit.law.optimum(1e23).params
    drawn = [type(law_fit.law).from_theta(draw, law_fit.centre) for draw in law_fit.uncertainty.draws]
    by_search = np.mean([waste_at(law, best, 1e23) for law in drawn[:100]])
    by_formula = np.mean([waste_of_factor(law, best / law.optimum(1e23).params) for law in drawn[:100]])
    assert by_formula == pytest.approx(by_search, rel=1e-6)
    everything = np.mean([waste_of_factor(law, best / law.optimum(1e23).params) for law in drawn])
    assert price_of_error(law_fit, params=best, total=1e23).expected == pytest.approx(everything, rel=1e-12)


def test_a_size_too_large_to_serve_has_no_waste_to_tell():
    terms = Terms(Served(1e13))
    assert math.isnan(waste_at(TRUTHS["coupled"], 1e11, 1e22, terms))
    found = price_of_error(made(), params=1e8, total=1e22, terms=terms)
    assert math.isnan(found.wrong[-1].too_large)
    assert 0 < found.wrong[-1].too_small < 1


def test_without_terms_the_choice_is_the_plain_one():
    law_fit = made()
    plain, found = allocate(law_fit, flops=1e23), allocate_within(law_fit, flops=1e23)
    assert replace(found.best, intervals=plain.intervals) == plain
    for name, interval in plain.intervals.items():
        assert found.best.intervals[name] == pytest.approx(interval, rel=1e-12)
    assert (found.total_flops, found.served_share, found.limit_waste, found.unaware_waste) == (1e23, 0, 0, 0)
    needed, wanted = flops_for(law_fit, loss=1.98), allocate_within(law_fit, loss=1.98)
    assert (wanted.best.params, wanted.best.tokens) == (needed.best.params, needed.best.tokens)
    low, high = wanted.best.intervals["tokens"]  # each draw reaches the loss with a budget of its own
    assert low < needed.best.intervals["tokens"][0] < needed.best.intervals["tokens"][1] < high
    assert wanted.total_interval == pytest.approx(needed.interval, rel=1e-9)


@pytest.mark.parametrize(
    "terms", [Terms(Served(1e12)), Terms(repeats=Repeats(5e10)), Terms(sizes=(1e9, 3e9, 3e10))], ids=["serve", "data", "sizes"]
)  # fmt: skip
def test_terms_have_intervals_that_hold_the_truths_choice(terms):
    truth, hits = TRUTHS["coupled"], 0
    best = best_for_budget(truth, 1e22, terms)
    for seed in range(5):
        found = allocate_within(made(seed), terms, flops=1e22)
        low, high = found.best.intervals["params"]
        assert low <= found.best.params <= high
        hits += low <= best.params <= high
        assert found.unaware_waste >= 0 or math.isnan(found.unaware_waste)
    assert hits >= 4


def test_hours_that_buy_only_about_so_much_widen_every_interval():
    law_fit = made()
    sure, unsure = (allocate_within(law_fit, flops=1e22, spread=spread) for spread in (0.0, 0.3))
    for name in ("params", "tokens", "loss"):
        (low, high), (lower, higher) = sure.best.intervals[name], unsure.best.intervals[name]
        assert lower < low < high < higher
    assert unsure.best.params == pytest.approx(sure.best.params)


def test_terms_that_nothing_meets_are_refused_with_what_would():
    law_fit = made()
    for terms, goal, says in (
        (Terms(most_params=1e8), {"loss": 2.0}, "no size among those allowed .* would"),
        (Terms(sizes=(1e8, 2e8)), {"loss": 2.0}, "1e\\+08, 2e\\+08"),
        (Terms(Served(1e22)), {"flops": 1e22}, "cannot serve 1e\\+22 tokens"),
        (Terms(repeats=Repeats(1e9)), {"loss": 1.95}, "on 1e\\+09 unique tokens, however often"),
        (PLAIN, {}, "give one of flops and loss"),
        (PLAIN, {"flops": -1.0}, "not above zero"),
    ):
        with pytest.raises(InputError, match=says):
            allocate_within(law_fit, terms, **goal)
