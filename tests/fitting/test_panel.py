"""Several laws on the same runs: ranked by forecasts of hidden runs, and what their disagreement does."""

import math
from dataclasses import replace

import numpy as np
import pytest
from truths import TRUTHS, grid, noisy

from planner.fitting.backtest import splits
from planner.fitting.estimate import estimate
from planner.fitting.fit import fit
from planner.fitting.objective import AdaptiveHuber
from planner.fitting.panel import Rival, disagreement, judge_choice, panel
from planner.fitting.predict import predict
from planner.fitting.recipe import Recipe, Spread, choose_recipe, default_recipe
from planner.laws import Chinchilla
from planner.laws.scale import scale_of
from planner.runs.columns import Count
from planner.runs.sample import Sample


def sample(truth="coupled", seed=1, **extra) -> Sample:
    return Sample(*noisy(TRUTHS[truth], 0.003, seed), Count.PARAMS, "", "nats_per_token", {}, (), extra=extra)


@pytest.fixture(scope="module")
def made():
    return fit(sample())


def test_laws_are_ranked_by_errors_on_hidden_runs_not_by_residuals(made):
    errors = [rival.error for rival in made.rivals]
    assert errors == sorted(errors)
    assert {rival.law for rival in made.rivals} == {"coupled", "chinchilla", "chinchilla-tied", "kaplan"}
    recipe = Recipe(Chinchilla, AdaptiveHuber(), None, Spread.NORMAL)
    by_hand = np.concatenate([
        np.abs(estimate(seen, recipe).predict(hidden.params, hidden.tokens)[0] - np.log(hidden.loss))
        for seen, hidden in splits(sample(), Chinchilla, scale_of(Chinchilla))
    ])  # fmt: skip
    own = next(rival for rival in made.rivals if rival.law == "chinchilla")
    assert (own.error, own.hidden) == (pytest.approx(by_hand.mean()), by_hand.size)


def test_what_a_law_says_ahead_is_its_best_split_at_ten_times_the_compute(made):
    own = next(rival for rival in made.rivals if rival.law == "coupled")
    best = made.law.optimum(10 * made.reach.flops)
    assert (own.loss, own.params) == (pytest.approx(float(made.law(*best))), pytest.approx(best.params))


def test_a_column_brings_the_laws_that_need_it():
    tokens = grid()[1]
    unique = np.minimum(tokens, 2e10)
    assert "data-constrained" in {rival.law for rival in fit(sample(tokens_unique=unique)).rivals}


def test_a_textbook_fit_has_no_rivals():
    assert fit(sample(), choose_recipe("chinchilla")).rivals == ()
    assert panel(sample(), choose_recipe("kaplan"), estimate(sample(), choose_recipe("kaplan")))[0].error > 0


def test_disagreement_is_the_records_weighted_spread_per_nat():
    own, other = Rival("coupled", 0.01, 9, 2.0, 1e10), Rival("chinchilla", 0.01, 9, 2.0 * math.e**0.1, 2e10)
    assert disagreement((own, other), "coupled") == pytest.approx(0.1 * math.sqrt(0.5) / math.log(10))
    worse = replace(other, error=0.02)
    assert disagreement((own, worse), "coupled") == pytest.approx(0.1 * math.sqrt(2**-16 / (1 + 2**-16)) / math.log(10))
    assert disagreement((own,), "coupled") == 0


def test_across_laws_all_disagreement_widens_forecasts_only_beyond_the_runs(made):
    across = fit(sample(), across_laws=True)
    assert across.uncertainty.drift == pytest.approx(
        math.hypot(made.uncertainty.drift, disagreement(made.rivals, "coupled"))
    )
    inside, outside = {"params": 1e9, "tokens": 2e10}, {"params": 3e10, "tokens": 1e12}
    assert predict(across, **inside).interval_mean == pytest.approx(predict(made, **inside).interval_mean)
    widths = [np.subtract(*predict(one, **outside).interval_mean[::-1]) for one in (made, across)]
    assert widths[1] > widths[0]


def test_the_choice_of_law_is_warned_of_when_it_moves_the_best_size():
    own, other = Rival("coupled", 0.010, 9, 2.0, 1e10), Rival("chinchilla", 0.0105, 9, 2.0, 3e10)
    (said,) = judge_choice((own, other), "coupled", (0.8e10, 1.3e10))
    assert said.name == "law-choice"
    assert "chinchilla at 3e+10" in said.sentence
    assert judge_choice((own, other), "coupled", (0.8e10, 4e10)) == ()
    assert judge_choice((own, replace(other, error=0.02)), "coupled", (0.8e10, 1.3e10)) == ()  # a worse record


def test_the_default_recipe_is_the_one_that_is_compared(made):
    assert made.law.name == default_recipe().law.name
