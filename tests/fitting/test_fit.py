"""Fits: recipe, intervals, backtest, checks, saving."""

import json
from dataclasses import replace

import numpy as np
import pytest
from truths import TRUTHS, grid, needs_shared, noisy

from planner.encode import to_json
from planner.errors import InputError
from planner.fitting.checks import levels
from planner.fitting.estimate import in_window
from planner.fitting.fit import Outcome, fit, run_backtest
from planner.fitting.predict import predict
from planner.fitting.recipe import Spread, choose_recipe, default_recipe
from planner.fitting.saved import fit_from_record, fit_to_record
from planner.runs.columns import Count
from planner.runs.sample import Sample


def sample(params, tokens, loss) -> Sample:
    return Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ())


def coupled_runs(sd=0.002, seed=0) -> Sample:
    return sample(*noisy(TRUTHS["coupled"], sd, seed))


def test_the_default_recipe_is_auto_and_coupled_without_a_delta():
    assert choose_recipe("auto") == replace(choose_recipe("coupled"), automatic=True) == default_recipe()
    assert default_recipe().model_error is not None
    assert default_recipe().window is None


@pytest.mark.parametrize(("law", "delta"), [("chinchilla", None), ("chinchilla", 1e-3), ("coupled", 1e-3)])
def test_a_textbook_fit_has_no_window_no_prior(law, delta):
    recipe = choose_recipe(law, huber_delta=delta)
    assert recipe.window is None
    assert recipe.model_error is None
    assert recipe.spread is Spread.BOOTSTRAP


def test_a_window_that_holds_too_few_runs_is_not_applied_and_said():
    made = fit(coupled_runs(), replace(default_recipe(), window=1.001))
    assert made.n_windowed_out == 0
    assert "window" in {finding.name for finding in made.findings}


def test_the_window_keeps_the_last_decade_of_compute_or_everything_when_it_is_thin():
    flops = np.geomspace(1e18, 1e21, 100)
    kept = in_window(flops, 10)
    assert flops[kept].min() >= 1e20 > flops[~kept].max()
    assert in_window(flops[::20], 10).all()


def test_intervals_cover_the_truth_at_about_their_level():
    # SCIENCE: in-model coverage of 90 % intervals .87-.97 at 100x the compute; 60 sets give +-8 % (2 sd).
    truth, hits = TRUTHS["coupled"], 0
    target = {"params": 3e10, "tokens": 8e11}
    for seed in range(60):
        found = predict(fit(coupled_runs(0.003, seed)), **target)
        hits += found.interval_mean[0] <= truth(**target) <= found.interval_mean[1]
    assert hits / 60 >= 0.85


def test_the_interval_of_one_run_holds_that_of_the_mean():
    found = predict(fit(coupled_runs()), params=1e10, tokens=1e12)
    assert found.interval_run[0] < found.interval_mean[0] < found.loss < found.interval_mean[1] < found.interval_run[1]


def test_a_wider_level_gives_a_wider_interval():
    narrow, wide = (predict(fit(coupled_runs(), level=level), params=1e10, tokens=1e12) for level in (0.5, 0.95))
    assert wide.interval_mean[0] < narrow.interval_mean[0]
    assert narrow.interval_mean[1] < wide.interval_mean[1]


def test_a_backtest_sees_a_wrong_law_and_which_way_it_errs():
    # A hidden break in the law: the refits on small runs cannot foresee that loss stops falling.
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.001, seed=1)
    flops = 6 * params * tokens
    bent = loss * np.where(flops > np.median(flops), (flops / np.median(flops)) ** 0.02, 1)
    straight, broken = (run_backtest(sample(params, tokens, losses)) for losses in (loss, bent))
    assert sum(row.n * row.coverage for row in broken) < 0.5 * sum(row.n for row in broken)
    assert sum(row.n * row.coverage for row in straight) > 0.8 * sum(row.n for row in straight)
    assert all(row.bias < -0.005 for row in broken[1:])


def test_far_beyond_the_backtest_the_number_still_comes_marked_unsupported():
    found = predict(fit(coupled_runs()), params=1e13, tokens=1e15)
    assert not found.supported
    assert "own backtest supports up to" in found.reason
    assert found.loss > 1


def test_a_backtest_hides_the_larger_runs_and_reports_their_errors():
    rows = run_backtest(coupled_runs())
    assert sum(row.n for row in rows) > 10
    assert all(row.median_error < 0.02 for row in rows)
    assert all(0 <= row.coverage <= 1 for row in rows)


def test_the_backtest_does_not_see_what_it_hides():
    # Changing only the largest runs' losses must not change the prediction that a fit on the smaller ones makes.
    runs = coupled_runs()
    largest = runs.flops > np.quantile(runs.flops, 0.85)
    spoiled = sample(runs.params, runs.tokens, np.where(largest, runs.loss * 1.5, runs.loss))
    honest, fooled = run_backtest(runs), run_backtest(spoiled)
    assert max(row.p90_error for row in fooled) > 10 * max(row.p90_error for row in honest)


def test_outliers_are_found():
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.001, seed=2)
    loss[[20, 25]] *= 1.1
    found = fit(sample(params, tokens, loss), choose_recipe("coupled", huber_delta=1e-3))
    assert "outliers" in {finding.name for finding in found.findings}
    assert found.outcome is Outcome.WARNED


def test_a_clean_fit_raises_no_warning():
    params, tokens, loss = noisy(TRUTHS["besiroglu"], 0.002, seed=6)
    assert fit(sample(params, tokens, loss), choose_recipe("chinchilla")).outcome is Outcome.SOUND


def test_one_tokens_per_parameter_ratio_is_refused():
    params = np.geomspace(1e8, 1e10, 12)
    with pytest.raises(InputError, match="one tokens-per-parameter ratio only"):
        fit(sample(params, 20 * params, TRUTHS["besiroglu"](params, 20 * params)))


def test_two_levels_of_size_are_refused():
    params, tokens = np.tile([1e9, 2e9], 6), np.geomspace(1e10, 1e11, 12)
    with pytest.raises(InputError, match="params has only 2 levels"):
        fit(sample(params, tokens, TRUTHS["besiroglu"](params, tokens)))


def test_fewer_runs_than_parameters_are_refused_with_their_number():
    params, tokens = (column[:4] for column in grid())
    with pytest.raises(InputError, match="4 runs are fewer than the 6 parameters"):
        fit(sample(params, tokens, TRUTHS["besiroglu"](params, tokens)))


def test_levels_take_nearby_values_as_one():
    assert levels(np.array([1.0, 1.05, 2.0, 2.1, 4.0])) == 3
    assert levels(np.array([5.0])) == 1


@pytest.mark.parametrize(
    "recipe", [default_recipe(), choose_recipe("chinchilla", huber_delta=1e-3)], ids=["default", "textbook"]
)
def test_a_saved_fit_predicts_the_same(recipe):
    made = fit(coupled_runs(), recipe)
    again = fit_from_record(json.loads(to_json(fit_to_record(made))), "fit.json")
    assert predict(again, params=1e10, tokens=1e12) == predict(made, params=1e10, tokens=1e12)
    assert again.intervals == made.intervals


@pytest.mark.parametrize("key", ["theta", "draws", "centre", "reach", "objective", "law", "count"])
def test_a_saved_fit_with_a_part_missing_is_refused(key):
    record = json.loads(to_json(fit_to_record(fit(coupled_runs()))))
    del record[key]
    with pytest.raises(InputError, match=r"fit\.json"):
        fit_from_record(record, "fit.json")


def test_the_same_seed_gives_the_same_fit_and_another_seed_other_draws():
    one, two, other = (fit(coupled_runs(), seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.uncertainty.draws, two.uncertainty.draws)
    assert (one.uncertainty.draws != other.uncertainty.draws).any()


@needs_shared
@pytest.mark.parametrize("group", ["c4_original", "rpj", "rw_original"])
def test_gadres_groups_against_the_best_known_fits(group):
    # Best known Huber(1e-3) fits of split=train, from 80-200 random starts each (data README).
    from truths import SHARED

    from planner.runs import Where, read_runs, sample_of

    known = {
        "c4_original": (1.5722, 0.2414, 0.2660),
        "rpj": (1.5693, 0.2183, 0.2747),
        "rw_original": (1.5783, 0.2048, 0.2878),
    }
    table = read_runs(SHARED / "data/gadre2024.csv", where=Where.parse("split=train"))
    found = fit(sample_of(table, count=Count.PARAMS, group=group), choose_recipe("chinchilla", huber_delta=1e-3)).law
    assert (found.E, found.alpha, found.beta) == pytest.approx(known[group], abs=2e-4)


@needs_shared
def test_the_olmo_ladder_predicts_its_targets_against_published():
    # OLMo ladder, C4 loss of the targets: 7B-4T 2.4829, 13B-5T 2.4376 (final). A sane law: within 2 % from all 30 runs.
    from truths import SHARED

    from planner.runs import Where, read_runs, sample_of

    table = read_runs(SHARED / "data/olmo_ladder_final.csv", where=Where.parse("split=train"))
    found = fit(sample_of(table, count=Count.PARAMS))
    for params, tokens, actual in ((6887575552, 3945065873408, 2.482918), (13202396160, 5000088518656, 2.437582)):
        assert predict(found, params=params, tokens=tokens).loss == pytest.approx(actual, rel=0.02)
