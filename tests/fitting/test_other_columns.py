"""Laws of other columns than params and tokens: what they ask of the runs, how far they are supported, what auto makes of them."""

import math

import numpy as np
import pytest
from truths import TRUTHS, noisy

from planner.decisions.allocation import allocate
from planner.encode import to_json
from planner.errors import InputError
from planner.fitting.fit import fit, run_backtest
from planner.fitting.panel import Rival, reaching
from planner.fitting.predict import predict
from planner.fitting.recipe import choose_recipe
from planner.fitting.saved import fit_from_record, fit_to_record
from planner.laws import LAWS, find_law
from planner.laws.formula import make_law
from planner.laws.scale import scale_of
from planner.runs.columns import Count
from planner.runs.sample import Sample

FLOPS = np.geomspace(1e18, 1e22, 20)


def of_columns(value, target="loss", seed=0, noise=0.002, **columns) -> Sample:
    """Runs with these columns and no others, the value with noise of its logarithm."""
    value = value * np.exp(noise * np.random.default_rng(seed).normal(size=value.size))
    nothing = np.full(value.size, np.nan)
    return Sample(nothing, nothing, value, None, "", "nats_per_token", {}, (), extra=columns, target=target)


def of_compute() -> Sample:
    return of_columns(1.8 + 1600 * FLOPS**-0.17, flops=FLOPS)


@pytest.fixture(scope="module")
def made():
    return fit(of_compute())


def test_auto_on_runs_of_compute_alone_takes_the_law_with_the_best_forecasts_and_says_so(made):
    assert made.law.name == "compute-power-floor"
    assert [rival.law for rival in made.rivals] == ["compute-power-floor", "compute-power"]
    assert made.rivals[0].error < made.rivals[1].error
    (said,) = [finding for finding in made.findings if finding.name == "law-auto"]
    assert "no params and no tokens" in said.sentence
    assert "compute-power-floor foretold the 18 hidden runs best" in said.sentence
    assert made.count is None
    assert made.parameters["gamma"] == pytest.approx(0.17, abs=0.02)


@pytest.mark.parametrize(
    ("columns", "best"),
    [
        ({"params": np.geomspace(1e7, 1e10, 16)}, "size-power-floor"),
        ({"tokens": np.geomspace(1e9, 1e12, 16)}, "data-power-floor"),
    ],
)
def test_auto_falls_to_the_laws_of_size_or_of_data_alone(columns, best):
    ((name, values),) = columns.items()
    loss = (1.7 + 400 * values**-0.3) * np.exp(0.002 * np.random.default_rng(1).normal(size=values.size))
    nothing = np.full(values.size, np.nan)
    counts = {"params": nothing, "tokens": nothing} | {name: values}
    count = Count.PARAMS if name == "params" else None
    found = fit(Sample(**counts, loss=loss, count=count, group="", loss_unit="nats", dropped={}, notes=()))
    assert found.law.name == best
    assert found.reach.scale == name


def test_auto_without_runs_to_hide_takes_a_law_with_a_floor():
    few = of_compute().at(np.arange(20) % 3 == 0)
    found = fit(few)
    assert (found.law.name, found.rivals) == ("compute-power-floor", ())
    assert any("too few runs to hide any" in finding.sentence for finding in found.findings)


def test_auto_is_the_default_recipe_where_params_and_tokens_are_there():
    runs = Sample(*noisy(TRUTHS["coupled"], 0.003, 1), Count.PARAMS, "", "nats_per_token", {}, ())
    found = fit(runs)
    assert found.law.name == "coupled"
    assert not any(finding.name == "law-auto" for finding in found.findings)


def test_a_named_law_never_gives_way_and_names_the_laws_that_would_do():
    with pytest.raises(InputError, match="the coupled law needs params, tokens") as refusal:
        fit(of_compute(), choose_recipe("coupled"))
    assert "laws for the columns there: compute-power, compute-power-floor" in refusal.value.hint


def test_no_law_for_the_columns_is_one_clear_error():
    with pytest.raises(InputError, match=r"no listed law suits those there \(days\)") as refusal:
        fit(of_columns(5 + 40 * np.geomspace(1, 1e3, 20) ** -0.4, days=np.geomspace(1, 1e3, 20)))
    assert "--law" in refusal.value.hint


def test_a_prediction_asks_for_exactly_what_the_law_speaks_of(made):
    at = predict(made, flops=1e23)
    assert at.loss == pytest.approx(1.8 + 1600 * 1e23**-0.17, rel=0.005)
    assert at.compute_ratio == pytest.approx(10)
    assert math.isnan(at.params)
    assert predict(made, params=1e10, tokens=1e23 / 6e10).loss == pytest.approx(at.loss)  # 6 x params x tokens
    for asked, says in (
        ({}, "needs flops"),
        ({"flops": 1e23, "params": 1e9}, "knows no 'params'"),
        ({"flops": 0.0}, "above zero"),
    ):
        with pytest.raises(InputError, match=says):
            predict(made, **asked)


def test_support_ends_at_three_times_the_compute_that_was_backtested(made):
    assert made.reach.limit == pytest.approx(3 * made.reach.kappa)
    assert predict(made, flops=0.99 * made.reach.limit * FLOPS[-1]).supported
    assert not predict(made, flops=1.01 * made.reach.limit * FLOPS[-1]).supported


def test_a_law_of_compute_has_no_best_split(made):
    with pytest.raises(InputError, match="it has no best size and tokens"):
        allocate(made, flops=1e23)


def test_another_scale_is_supported_no_further_than_it_was_backtested():
    loss = np.linspace(4, 2.2, 20)
    runs = of_columns(0.25 + 0.6 / (1 + np.exp(3 * (loss - 2.6))), "accuracy", loss=loss)
    found = fit(runs)
    assert (found.law.name, found.reach.scale) == ("sigmoid-accuracy", "loss")
    assert found.reach.limit == pytest.approx(found.reach.kappa)
    assert 1 < found.reach.kappa < 1.5
    assert predict(found, loss=2.2 / found.reach.limit * 1.01).supported  # further out is a lower loss
    assert not predict(found, loss=2.2 / found.reach.limit * 0.99).supported
    assert predict(found, loss=3.9).supported


def test_runs_that_nothing_orders_get_no_backtest_and_that_is_said():
    rng = np.random.default_rng(0)
    web, code = rng.uniform(0.2, 0.7, 30), rng.uniform(0.05, 0.3, 30)
    law = make_law("c + k*exp(a*web + b*code)", {"web", "code"})
    runs = of_columns(2 + 0.9 * np.exp(-1.5 * web + 0.4 * code), noise=0.001, web=web, code=code)
    found = fit(runs, choose_recipe(law))
    assert (found.backtest, found.reach.scale, found.reach.order) == ((), None, None)
    assert "no-backtest" in {finding.name for finding in found.findings}
    assert predict(found, web=0.5, code=0.1).supported
    assert not predict(found, web=3.0, code=0.1).supported
    known = of_columns(
        2 + 0.9 * np.exp(-1.5 * web + 0.4 * code), web=web, code=code, flops=np.geomspace(1e18, 1e21, 30)
    )
    assert run_backtest(known, choose_recipe(law))  # their compute orders them


def test_the_largest_runs_by_the_laws_own_scale_are_hidden():
    days = np.geomspace(1, 1e3, 20)
    law = make_law("E + A/days^alpha", {"days"})
    rows = run_backtest(of_columns(5 + 40 * days**-0.4, days=days), choose_recipe(law))
    order = np.random.default_rng(0).permutation(20)
    shuffled = run_backtest(of_columns(5 + 40 * days**-0.4, days=days).at(order), choose_recipe(law))
    assert sum(row.n for row in rows) == 18
    assert [row.n for row in shuffled] == [row.n for row in rows]
    assert [row.median_error for row in shuffled] == pytest.approx([row.median_error for row in rows], rel=1e-3)


def test_a_fit_of_other_columns_survives_saving(made):
    import json

    record = json.loads(to_json(fit_to_record(made)))
    back = fit_from_record(record, "fit.json")
    assert (back.count, back.reach, back.target) == (None, made.reach, "loss")
    assert predict(back, flops=1e23) == predict(made, flops=1e23) or math.isnan(predict(back, flops=1e23).params)
    assert predict(back, flops=1e23).interval_run == pytest.approx(predict(made, flops=1e23).interval_run)
    with pytest.raises(InputError, match="a fit of schema 4, and this planner reads 5"):
        fit_from_record({**record, "schema": 4}, "fit.json")


@pytest.mark.parametrize(
    ("law", "scale", "columns"),
    [
        ("coupled", "compute", ("params", "tokens")),
        ("compute-power", "compute", ("flops",)),
        ("three-term", "compute", ("params", "batch_tokens", "steps")),
        ("size-power", "params", ("params",)),
        ("broken-power", "tokens", ("tokens",)),
        ("annealing", "lr_area", ("lr_area",)),
        ("average-error", "loss", ("loss",)),
        ("routed", "params_active", ("params_active",)),
    ],
)
def test_the_scale_of_a_law_is_what_its_runs_grow_in(law, scale, columns):
    own = scale_of(find_law(law))
    assert (own.name, own.columns, own.falls) == (scale, columns, law == "average-error")


def test_learning_rates_and_shares_order_nothing():
    assert scale_of(LAWS["data-mixture"]) is None
    assert scale_of(make_law("E + G*log(lr_peak/best)^2", {"lr_peak"})) is None
    assert scale_of(make_law("E + A/days^alpha", {"days"})).columns == ("days",)


def test_a_warned_interval_just_reaches_the_laws_of_as_good_a_record():
    runs = Sample(*noisy(TRUTHS["coupled"], 0.003, 1), Count.PARAMS, "", "nats_per_token", {}, ())
    found = fit(runs)
    flops = 10 * found.reach.flops
    best = found.law.optimum(flops)
    own = Rival("coupled", 0.010, 9, predict(found, **best._asdict()).loss, best.params)
    low, high = predict(found, **best._asdict()).interval_mean
    half = math.log(high / own.loss)
    far = Rival("chinchilla", 0.0105, 9, own.loss * math.exp(3 * half), 3 * best.params)
    wide = reaching(found.uncertainty, (own, far), "coupled", half, found.level)
    from dataclasses import replace

    reached = predict(replace(found, uncertainty=wide), **best._asdict()).interval_mean
    assert reached[1] == pytest.approx(far.loss, rel=1e-9)
    inside = replace(far, loss=own.loss * math.exp(0.9 * half))
    assert reaching(found.uncertainty, (own, inside), "coupled", half, found.level) is found.uncertainty
    worse = replace(far, error=0.02)  # no such record
    assert reaching(found.uncertainty, (own, worse), "coupled", half, found.level) is found.uncertainty
    assert low < reached[1]
