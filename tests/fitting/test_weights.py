"""Weights, per-run noise and clusters reach every kind of fit and interval."""

from dataclasses import replace

import numpy as np
import pytest
from truths import TRUTHS, noisy

from planner.fitting.estimate import estimate
from planner.fitting.interval import Points, uncertainty_of
from planner.fitting.recipe import Spread, choose_recipe, default_recipe
from planner.runs.columns import Count
from planner.runs.sample import Sample

RECIPES = {"default": default_recipe(), "textbook": choose_recipe("chinchilla", huber_delta=0.01)}
each = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


def runs(seed=0) -> Sample:
    return Sample(*noisy(TRUTHS["besiroglu"], 0.003, seed), Count.PARAMS, "", "nats_per_token", {}, ())


def theta(sample, recipe):
    return estimate(sample, recipe).solution.law


@each
def test_a_run_of_no_weight_is_not_there(recipe):
    sample = runs()
    spoiled = replace(sample, loss=np.where(np.arange(30) == 7, 9.0, sample.loss))
    weight = (np.arange(30) != 7).astype(float)
    without = sample.at(weight > 0)
    law, expected = theta(replace(spoiled, weight=weight), recipe), theta(without, recipe)
    assert float(law(1e10, 2e11)) == pytest.approx(float(expected(1e10, 2e11)), rel=2e-4)


@each
def test_noise_that_is_the_same_everywhere_changes_nothing(recipe):
    plain, even = theta(runs(), recipe), theta(replace(runs(), noise=np.full(30, 0.07)), recipe)
    assert vars(even) == pytest.approx(vars(plain))


@each
def test_runs_of_overwhelming_noise_do_not_count(recipe):
    sample = runs()
    small = sample.params < 2e8
    spoiled = replace(sample, loss=sample.loss * np.where(small, 1.02, 1))
    told = replace(spoiled, noise=np.where(small, 30.0, 0.003))
    without, fooled, wary = (float(theta(s, recipe)(1e10, 2e11)) for s in (sample.at(~small), spoiled, told))
    assert abs(wary / without - 1) < 0.1 * abs(fooled / without - 1)


@pytest.mark.parametrize("spread", [Spread.SANDWICH, Spread.BOOTSTRAP])
def test_copies_of_a_run_under_its_name_are_one_run(spread):
    # Ten rows of each run, all alike: as independent rows the interval shrinks by the root of ten, as clusters it does not.
    recipe = replace(RECIPES["textbook"], spread=spread)
    one = runs()
    many = replace(
        one, params=np.repeat(one.params, 10), tokens=np.repeat(one.tokens, 10), loss=np.repeat(one.loss, 10)
    )
    named = replace(many, extra={"run_id": np.repeat(np.arange(30).astype(str), 10)})
    assert one.cluster is None
    widths = [_width(sample, recipe) for sample in (one, many, named)]
    assert widths[1] / widths[0] == pytest.approx(1 / np.sqrt(10), rel=0.3)
    assert widths[2] / widths[0] == pytest.approx(1, rel=0.3)


def _width(sample, recipe) -> float:
    fitted = estimate(sample, recipe)
    known = uncertainty_of(sample, fitted, recipe, seed=0, draws=400)
    at = Points.of(recipe.law, fitted.solution.centre, {"params": np.array([1e10]), "tokens": np.array([2e11])})
    low, high = known.mean(recipe.law, fitted.solution.theta, at, 0.9)
    return float(high[0] - low[0])


def test_many_rows_get_the_sandwich_in_place_of_a_bootstrap():
    recipe = RECIPES["textbook"]
    assert recipe.spread_for(3000) is Spread.BOOTSTRAP
    assert recipe.spread_for(3001) is Spread.SANDWICH


def test_the_sandwich_follows_noise_that_differs_between_runs():
    # Half the spread comes from a quarter of the runs: HC3 widens where a normal approximation cannot know.
    recipe = replace(choose_recipe("chinchilla"), spread=Spread.NORMAL)
    rng, ratios = np.random.default_rng(1), []
    for _ in range(30):
        params, tokens, _loss = noisy(TRUTHS["besiroglu"], 0.0, 0)
        large = params > 1e9
        loss = TRUTHS["besiroglu"](params, tokens) * np.exp(rng.normal(size=30) * np.where(large, 0.01, 0.001))
        sample = Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ())
        ratios.append(_width(sample, replace(recipe, spread=Spread.SANDWICH)) / _width(sample, recipe))
    assert np.median(ratios) > 1.3
