"""`planner forecast`, `score` and `forecasts` as a user meets them."""

import json

import pandas as pd
import pytest
from truths import TRUTHS, noisy

from planner.encode import to_json
from planner.fitting.fit import fit
from planner.fitting.saved import fit_to_record
from planner.runs.columns import Count
from planner.runs.sample import Sample

ASKED = ("fit.json", "--params", "7B", "--tokens", "140B")


@pytest.fixture(scope="module")
def saved():
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.002, 0)
    return to_json(fit_to_record(fit(Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ()))))


@pytest.fixture
def lab(planner, tmp_path, saved):
    (tmp_path / "fit.json").write_text(saved)
    return planner


def files(tmp_path):
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())


def refused(done, *says):
    assert done.code == 2, done.err
    assert done.err.startswith("planner: ")
    assert len(done.err.strip().splitlines()) <= 2
    for text in says:
        assert text in done.err


def test_a_forecast_is_registered_once_scored_once_and_listed(lab, tmp_path):
    done = lab("forecast", *ASKED, "--of", "our 7B", "--assume", "mix v3", "-o", "ours.json")
    assert done.code == 0, done.err
    for text in ("our 7B (7B on 140B): loss 2.", "interval of one new run", "assumed: mix v3", "registered: ours.json"):
        assert text in done.out
    before = (tmp_path / "ours.json").read_bytes()
    dated = (tmp_path / "ours.provenance.json").read_bytes()
    again = lab("forecast", *ASKED, "--of", "our 7B", "--assume", "mix v3", "-o", "ours.json")
    assert "registered before, the same" in again.out
    refused(lab("forecast", "fit.json", "--params", "8B", "--tokens", "140B", "-o", "ours.json"), "never overwritten")
    assert (tmp_path / "ours.json").read_bytes() == before
    assert (tmp_path / "ours.provenance.json").read_bytes() == dated
    assert "written" not in json.loads(before)
    assert json.loads(dated)["written"][:10].encode() not in before  # the date stands in the provenance alone
    predicted = json.loads(before)["prediction"]["loss"]
    refused(lab("forecasts", "gone"), "no such folder")
    assert "1 waiting for a run" in lab("forecasts", ".").out
    scored = lab("score", "ours.json", "--loss", str(predicted * 1.001), "--json").json
    assert scored["inside"] is True
    assert scored["error"] == pytest.approx(1 / 1.001 - 1)
    assert {"loss", "predicted", "error", "inside", "interval_score", "level", "supported", "edited", "source", "of",
            "prediction", "score"} == set(scored)  # fmt: skip
    assert lab("score", "ours.json", "--loss", str(predicted * 1.001)).code == 0  # the same again is no change
    refused(lab("score", "ours.json", "--loss", str(predicted * 1.2)), "was scored before, by a loss of")
    listed = lab("forecasts", ".", "--json").json
    assert listed["hits"]["scored"] == listed["hits"]["inside"] == 1
    assert listed["forecasts"][0]["registered"].startswith("20")
    assert "1 of 1 runs inside" in lab("forecasts", ".").out


def test_without_a_name_forecasts_get_their_own(lab, tmp_path):
    first = lab("forecast", *ASKED, "--json").json["forecast"]
    second = lab("forecast", *ASKED, "--of", "another", "--json").json["forecast"]
    assert first != second
    assert first.startswith("results/forecasts/7B-on-140B-")
    assert len(lab("forecasts", "--json").json["forecasts"]) == 2
    (tmp_path / "mine").mkdir()
    assert lab("forecast", *ASKED, "-o", "mine", "--json").json["forecast"].startswith("mine/7B-on-140B-")


def test_an_edited_forecast_is_said_and_scored_apart(lab, tmp_path):
    lab("forecast", *ASKED, "-o", "good.json")
    lab("forecast", *ASKED, "--of", "late", "-o", "bad.json")
    text = (tmp_path / "bad.json").read_text().replace('"late"', '"early"')
    (tmp_path / "bad.json").write_text(text)
    before = files(tmp_path)
    refused(lab("score", "bad.json", "--loss", "2.1"), "bad.json: was changed after it was registered", "--force")
    assert files(tmp_path) == before
    lab("score", "good.json", "--loss", "2.06")
    done = lab("score", "bad.json", "--loss", "2.06", "--force")
    assert done.code == 0, done.err
    assert "kept apart and never counted" in done.out
    listed = lab("forecasts", ".", "--json").json
    assert listed["hits"]["scored"] == 1
    assert [each["edited"] for each in listed["forecasts"]].count(True) == 1
    assert "kept apart: bad.json was changed" in lab("forecasts", ".").out


def test_an_edit_with_its_seal_made_anew_is_noticed_by_the_provenance(lab, tmp_path):
    from planner.fitting.saved import seal

    lab("forecast", *ASKED, "-o", "sly.json")
    record = json.loads((tmp_path / "sly.json").read_text())
    record["prediction"]["loss"] *= 1.001
    (tmp_path / "sly.json").write_text(to_json({**record, "sha256": seal(record)}) + "\n")
    refused(lab("score", "sly.json", "--loss", "2.1"), "was changed after it was registered")


def test_an_edited_score_and_a_broken_forecast_are_kept_apart(lab, tmp_path):
    lab("forecast", *ASKED, "-o", "a.json")
    lab("score", "a.json", "--loss", "2.5")
    record = json.loads((tmp_path / "a.score.json").read_text())
    (tmp_path / "a.score.json").write_text(json.dumps({**record, "loss": 2.06, "inside": True}))
    (tmp_path / "b.json").write_text(json.dumps({"kind": "forecast", "schema": 1}))
    listed = lab("forecasts", ".", "--json").json
    assert listed["hits"]["scored"] == 0
    assert "changed after it was written" in listed["forecasts"][0]["problem"]
    assert "b.json: not a whole forecast" in listed["broken"][0]


def test_a_table_of_runs_scores_the_run_that_was_forecast(lab, tmp_path):
    lab("forecast", *ASKED, "-o", "a.json")
    frame = pd.DataFrame({"run_id": ["s", "x", "y"], "params": [1e9, 7.01e9, 7e9], "tokens": [2e10, 1.4e11, 1.4e11],
                          "loss": [2.4, 2.07, 2.2], "status": ["completed", "completed", "failed"]})  # fmt: skip
    frame.to_csv(tmp_path / "runs.csv", index=False)
    found = lab("score", "a.json", "--runs", "runs.csv", "--json").json
    assert found["loss"] == 2.07
    assert found["source"] == "runs.csv, line 3"
    frame.assign(status="completed").to_csv(tmp_path / "two.csv", index=False)
    refused(lab("score", "a.json", "--runs", "two.csv"), "2 finished runs of 7e+09 params", "--where")
    frame.iloc[:1].to_csv(tmp_path / "none.csv", index=False)
    refused(lab("score", "a.json", "--runs", "none.csv"), "no finished runs of 7e+09 params")
    frame.assign(loss_unit="bits_per_byte").to_csv(tmp_path / "unit.csv", index=False)
    refused(lab("score", "a.json", "--runs", "unit.csv"), "in bits_per_byte, the forecast in nats_per_token")
    frame.rename(columns={"params": "params_total"}).to_csv(tmp_path / "count.csv", index=False)
    refused(lab("score", "a.json", "--runs", "count.csv"), "no column 'params'")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("forecast", "fit.json", "--params", "0", "--tokens", "1T"), "params = 0 is not between"),
        (("forecast", "fit.json", "--params", "x", "--tokens", "1T"), "'x' is not a number"),
        (("forecast", "gone", "--params", "7B", "--tokens", "1T"), "gone: no such file"),
        (("forecast", *ASKED, "-o", "a.txt"), "ends in .json"),
        (("forecast", *ASKED, "-o", "a.score.json"), "ends in .json"),
        (("forecast", *ASKED, "-o", "fit.json"), "another forecast is registered here"),
        (("score", "fit.json", "--loss", "2"), "fit.json: not a forecast"),
        (("score", "gone.json", "--loss", "2"), "gone.json: no such file"),
        (("score", "fit.json"), "give one of --loss and --runs"),
        (("score", "fit.json", "--loss", "2", "--runs", "x.csv"), "give one of --loss and --runs"),
        (("forecasts", "."), "holds no forecast"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(lab, tmp_path, arguments, says):
    refused(lab(*arguments), says)
    assert files(tmp_path) == ["fit.json"]


def test_a_loss_of_another_unit_is_refused(lab, tmp_path):
    lab("forecast", *ASKED, "-o", "a.json")
    refused(lab("score", "a.json", "--loss", "95"), "another unit or another run")
    refused(lab("score", "a.json", "--loss", "nan"), "not above zero")
    assert files(tmp_path) == ["a.json", "a.provenance.json", "fit.json"]
