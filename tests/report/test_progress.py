"""A lab under way: plan to date against actual, with or without a law; what ran beside the plan is charged too."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from truths import REPOSITORY

from planner import store
from planner.errors import InputError
from planner.report.progress import UNPLANNED, runs_in_progress
from planner.runs.read import RunTable
from planner.sweep.plan import propose
from planner.sweep.spec import read_sweep

SWEEP = REPOSITORY / "sweeps/chinchilla_70b.toml"
PLAN = pd.DataFrame({
    "run_id": ["a", "b", "c"], "study": "scaling", "kind": "scaling", "variant": "baseline", "status": "planned",
    "params_active": 1e9, "tokens": 2e10, "flops": 1.2e20, "flops_rule": "6nd:params_active", "accelerator": "h100",
    "gpu_hours": [10.0, 20.0, 30.0], "gpu_hours_source": "modelled", "usd": [20.0, 40.0, 60.0], "energy_kwh": 1.0,
})  # fmt: skip


def table(*rows: dict) -> RunTable:
    return RunTable(pd.DataFrame(rows).assign(line=1), "runs.csv", "", {})


def test_planned_runs_that_no_table_knows_cost_nothing_and_others_what_they_took():
    told = [{"run_id": "b", "status": "completed", "gpu_hours": 25.0, "tokens": 2e10, "owner": "ann", "month": "2026-01"},
            {"run_id": "x", "status": "failed", "gpu_hours": 3.0}]  # fmt: skip
    found = runs_in_progress(PLAN, [table(*told)], "h100").set_index("run_id")
    assert found.loc["a", ["status", "gpu_hours", "usd", "gpu_hours_source"]].tolist() == ["planned", 0, 0, "not run"]
    assert found.loc["b", ["status", "gpu_hours", "owner", "month", "params_active"]].tolist() == [
        "completed", 25, "ann", "2026-01", 1e9
    ]  # fmt: skip
    assert found.loc["b", "flops"] == pytest.approx(1.2e20)
    assert pd.isna(found.loc["b", "usd"])  # the plan's dollars are not what it took: the ledger prices its hours
    assert found.loc["x", ["study", "gpu_hours", "accelerator"]].tolist() == [UNPLANNED, 3, "h100"]


@pytest.mark.parametrize(("rows", "says"), [
    ([{"run_id": "a", "status": "done", "gpu_hours": 1.0}], "has the status 'done'"),
    ([{"run_id": "a", "gpu_hours": 1.0}], "no column 'status'"),
    ([{"run_id": "a", "status": "failed"}, {"run_id": "a", "status": "failed"}], "stands twice"),
])  # fmt: skip
def test_tables_that_are_no_runs_are_refused_in_one_line(rows, says):
    with pytest.raises(InputError, match=says):
        runs_in_progress(PLAN, [table(*rows)], "h100")


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Path:
    """A sweep half way: a third of its runs still to start, one run beside the plan, owners and months."""
    folder = tmp_path_factory.mktemp("lab")
    rows = propose(read_sweep(SWEEP)).runs.to_dict("records")
    draw = np.random.default_rng(0)
    for place, row in enumerate(rows):
        row |= {
            "owner": ("ann", "bo")[place % 2],
            "month": f"2026-0{place % 3 + 1}",
            "loss_name": "c4",
            "is_final": "false",
        }
        if place % 3 == 0:
            row |= dict.fromkeys(("gpu_hours", "usd", "energy_kwh", "flops", "tokens"), 0.0)
        else:
            law = 1.7 + 400 / row["params_active"] ** 0.34 + 410 / row["tokens"] ** 0.28
            row |= {"status": "completed", "is_final": "true", "loss": law * math.exp(draw.normal(0, 0.002))}
            row["gpu_hours"] *= 1.1 * math.exp(draw.normal(0, 0.1))
    rows.append({"run_id": "stray", "status": "failed", "gpu_hours": 12.0, "owner": "cy"})
    pd.DataFrame(rows).to_csv(folder / "runs.csv", index=False)
    return folder


@pytest.fixture
def there(planner, lab, monkeypatch):
    """The command in the lab's folder."""
    monkeypatch.chdir(lab)
    return planner


def test_a_report_of_a_lab_under_way_without_a_law(there, lab):
    done = there("report", SWEEP, "--runs", "runs.csv", "-o", "early", "--redact", "--json")
    assert done.code == 0, done.err
    told = done.json
    assert told["fit"] is None
    assert told["forecast"] is None
    assert set(told["by_owner"]) == {"ann", "bo", "cy"}
    assert {"2026-01", "2026-02", "2026-03"} & set(told["by_month"]) == {"2026-02", "2026-03"}  # those of January wait
    progress = told["completion"]["by_study"]
    assert progress[UNPLANNED]["runs_planned"] == 0
    assert progress[UNPLANNED]["actual_gpu_hours"] == 12
    assert progress["scaling"]["runs_open"] == 20
    hours = told["completion"]["gpu_hours"]
    assert told["exploration"]["gpu_hours"] < hours["p10"] < hours["p50"] < hours["p90"]
    page = (lab / "early" / store.REPORT_HTML).read_text()
    assert "the final run so far" in page
    assert "No law is fitted" in page
    assert "What the final run will reach" not in page


def test_with_a_fit_it_says_what_the_law_says_so_far_and_that_nothing_is_registered(there, lab):
    fitted = there("fit", "runs.csv", "--where", "kind=scaling", "--count", "params_active", "-o", "fit")
    assert fitted.code == 0, fitted.err
    done = there("report", SWEEP, "--runs", "runs.csv", "--fit", "fit", "-o", "later", "--json")
    assert done.code == 0, done.err
    assert done.json["forecast"]["registered"] is False
    assert done.json["allocation"]["params"] > 1e9
    assert "not registered yet" in (lab / "later" / store.REPORT_HTML).read_text()
    # The same folder again, without the fit: nothing of the law stays behind.
    again = there("report", SWEEP, "--runs", "runs.csv", "-o", "later", "--json")
    assert again.code == 0, again.err
    assert again.json["fit"] is None
    assert not (lab / "later" / store.FIT).exists()


def test_before_anything_has_run_it_is_the_plan(there, lab):
    done = there("report", SWEEP, "-o", "before", "--json")
    assert done.code == 0, done.err
    assert done.json["exploration"]["gpu_hours"] == 0
    assert done.json["not_run"] == {"planned": 60}
    assert "Exploration is planned to cost" in (lab / "before" / store.REPORT_HTML).read_text()


def test_registered_forecasts_stand_in_the_record_with_their_outcome(there, lab, little):
    whole = little[1]
    for name, tokens in (("a", "1T"), ("b", "2T")):
        done = there(
            "forecast", whole, "--params", "10B", "--tokens", tokens, "--of", name, "-o", f"sealed/{name}.json"
        )
        assert done.code == 0, done.err
    told = json.loads((lab / "sealed/a.json").read_text())["prediction"]["loss"]
    assert there("score", "sealed/a.json", "--loss", f"{told * 1.001:.6f}").code == 0
    shutil.copytree(whole, lab / "copy")
    done = there("report", "copy", "--forecasts", "sealed", "--json")
    assert done.code == 0, done.err
    record = done.json["record"]
    assert [row["of"].split()[0] for row in record["forecasts"]] == ["a", "b"]
    assert record["forecasts"][0]["outcome"] == pytest.approx(told * 1.001, abs=1e-6)
    assert record["forecasts"][1]["outcome"] is None
    assert record["hits"]["scored"] == record["hits"]["inside"] == 1
    page = (lab / "copy" / store.REPORT_HTML).read_text()
    assert "1 forecasts" not in page
    assert "not yet" in page


def test_what_does_not_go_together_is_refused(there, lab):
    for arguments, says in (
        ((".", "--runs", "runs.csv"), "--runs goes with a sweep file"),
        ((".",), "planner did not write it"),
        ((SWEEP, "--runs", "runs.csv", "--fit", "nofit"), "nofit: no such file"),
    ):
        done = there("report", *arguments)
        assert done.code == 2
        assert says in done.err
