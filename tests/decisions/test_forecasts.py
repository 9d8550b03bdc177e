"""Forecasts are sealed before the run, never silently changed, and scored by proper rules."""

import functools
import json
import math

import numpy as np
import pytest
from truths import TRUTHS, noisy

from planner.decisions.forecasts import (
    forecast_from_record,
    forecast_record,
    hits,
    interval_score,
    score,
    score_from_record,
    score_record,
)
from planner.encode import to_json
from planner.errors import InputError
from planner.fitting.fit import fit
from planner.fitting.predict import predict
from planner.runs.columns import Count
from planner.runs.sample import Sample


@functools.cache
def made():
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.002, 0)
    return fit(Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ()))


def registered(**changed):
    record = json.loads(to_json(forecast_record(made(), params=7e9, tokens=1.4e11, of="ours", assumptions=["mix v3"])))
    return {**record, **changed}


def test_a_record_holds_what_the_forecast_rests_on_and_no_date():
    record = registered()
    assert {"law", "formula", "parameters", "intervals", "config", "count", "loss_unit", "data_sha256", "fit_sha256",
            "prediction", "assumptions", "sha256", "of", "at", "kind", "schema"} == set(record)  # fmt: skip
    assert record["data_sha256"] == made().data_sha256
    assert "mix v3" in record["assumptions"]
    assert len(record["assumptions"]) >= 4
    assert record == registered()  # the same fit, the same bytes


def test_a_forecast_reads_back_as_it_was_predicted():
    found = forecast_from_record(registered(), "x.json")
    assert found.prediction == predict(made(), params=7e9, tokens=1.4e11)
    assert not found.edited


@pytest.mark.parametrize("where", ["loss", "interval_run", "of", "assumptions", "law"])
def test_any_edit_is_noticed(where):
    record = registered()
    told = record["prediction"]
    if where == "loss":
        told["loss"] *= 1.001
    elif where == "interval_run":
        told["interval_run"][1] *= 1.1
    else:
        record[where] = "something else" if where != "assumptions" else []
    assert forecast_from_record(record, "x.json").edited


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"kind": "fit"}, "not a forecast"),
        ({"schema": 9}, "schema 9"),
        ({"prediction": {}}, "'interval_mean' is missing"),
        ({"prediction": None}, "not a whole forecast"),
        ({"prediction": {**registered()["prediction"], "loss": -1.0}}, "numbers that no forecast has"),
        ({"prediction": {**registered()["prediction"], "interval_run": [9.0, 10.0]}}, "not inside its interval"),
        ({"prediction": {**registered()["prediction"], "interval_run": [None, 1]}}, "not a whole forecast"),
    ],
)
def test_what_is_no_forecast_is_refused(changed, says):
    with pytest.raises(InputError, match=says):
        forecast_from_record(registered(**changed), "x.json")


def test_a_score_says_inside_error_and_interval_score():
    known = forecast_from_record(registered(), "x.json")
    low, high = known.prediction.interval_run
    inside, outside = score(known, known.prediction.loss), score(known, high * 1.01)
    assert (inside.inside, outside.inside) == (True, False)
    assert inside.error == 0
    assert outside.error == pytest.approx(known.prediction.loss / (high * 1.01) - 1)
    assert inside.interval_score == pytest.approx(math.log(high / low))
    assert outside.interval_score == pytest.approx(math.log(high / low) + 20 * math.log(1.01))
    assert score(known, low).inside
    assert score(known, high).inside


def test_the_interval_score_is_proper_the_true_quantiles_score_lowest():
    actual = np.exp(np.random.default_rng(0).normal(size=4000) * 0.01)
    mean = {
        half: np.mean([interval_score(math.exp(-half), math.exp(half), value, 0.9) for value in actual])
        for half in (0.005, 0.01, 0.01645, 0.025, 0.04)
    }
    assert min(mean, key=mean.get) == 0.01645


@pytest.mark.parametrize(
    ("loss", "says"), [(0.0, "not above zero"), (math.nan, "not above zero"), (300.0, "another unit")]
)
def test_a_loss_that_is_none_is_refused(loss, says):
    with pytest.raises(InputError, match=says):
        score(forecast_from_record(registered(), "x.json"), loss)


def test_a_score_reads_back_unless_it_was_changed_or_is_of_another_forecast():
    known = forecast_from_record(registered(), "x.json")
    found = score(known, 2.2)
    record = json.loads(to_json(score_record(known, found, "given")))
    assert score_from_record(record, known, "s.json") == found
    with pytest.raises(InputError, match="changed after it was written"):
        score_from_record({**record, "loss": known.prediction.loss}, known, "s.json")
    other = forecast_from_record(json.loads(to_json(forecast_record(made(), params=8e9, tokens=1e11))), "y.json")
    with pytest.raises(InputError, match="another forecast"):
        score_from_record(record, other, "s.json")


def test_hits_leave_out_edited_forecasts():
    known = forecast_from_record(registered(), "x.json")
    edited = forecast_from_record(registered(of="better"), "x.json")
    good, bad, apart = score(known, known.prediction.loss), score(known, 2.5), score(edited, known.prediction.loss)
    assert apart.edited
    record = hits([good, bad, apart])
    assert (record.scored, record.inside) == (2, 1)
    assert record.expected == pytest.approx(1.8)
    assert record.median_error == pytest.approx(abs(bad.error) / 2)
    assert math.isnan(hits([apart]).median_error)


def test_intervals_of_one_run_hold_the_runs_that_come_as_often_as_they_promise():
    law, rng, inside = TRUTHS["coupled"], np.random.default_rng(1), 0
    for params, tokens in [(10**e, 20 * 10**e) for e in np.linspace(9.3, 10.3, 100)]:
        record = json.loads(to_json(forecast_record(made(), params=params, tokens=tokens)))
        actual = float(law(params, tokens)) * math.exp(0.002 * rng.normal())
        inside += score(forecast_from_record(record, "x.json"), actual).inside
    assert inside >= 85
