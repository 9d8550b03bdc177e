"""Runs from before that failed are paid for and never fitted; what a log says of owner, month and cost reaches the ledger."""

from __future__ import annotations

import pandas as pd
import pytest
from truths import REPOSITORY

from planner.errors import InputError
from planner.logs.reconcile import import_logs
from planner.report.costs import costs_of
from planner.sweep.plan import propose
from planner.sweep.spec import read_sweep

HEADER = "run_id,params_active,tokens,loss,status,gpu_hours,owner,month,currency\n"
DONE = "old-1,1e9,2e10,2.4,completed,110,ann,2025-11,\n"


def swept(folder, *lines: str):
    (folder / "old.csv").write_text(HEADER + DONE + "".join(lines))
    text = (REPOSITORY / "sweeps/chinchilla_70b.toml").read_text()
    (folder / "s.toml").write_text(text.replace("[exploration]", '[exploration]\nprior_runs = ["old.csv"]'))
    return read_sweep(folder / "s.toml")


def test_failed_prior_runs_are_charged_and_stay_out_of_the_fit(tmp_path):
    sweep = swept(tmp_path, "old-2,1e9,5e9,,failed,40,bo,2025-12,\n")
    assert sweep.prior["run_id"].tolist() == ["old-1"]
    assert sweep.sunk["run_id"].tolist() == ["old-2"]
    costs = costs_of(propose(sweep)).set_index("name")
    assert costs.loc[["old-1", "old-2"], "gpu_hours"].tolist() == [110, 40]
    assert costs.loc["old-2", ["status", "owner", "month"]].tolist() == ["failed", "bo", "2025-12"]


def test_prior_runs_without_cost_or_in_another_currency_are_refused(tmp_path):
    for line, says in (("old-2,1e9,,,failed,,,,\n", "has neither gpu_hours nor tokens"),
                       ("old-2,1e9,5e9,,failed,40,,,EUR\n", "two currencies: USD and EUR")):  # fmt: skip
        plan = propose(swept(tmp_path, line))
        with pytest.raises(InputError, match=says):
            costs_of(plan)


def test_owner_month_accelerator_and_dollars_of_a_log_reach_the_table_of_runs(tmp_path):
    plan = pd.DataFrame({
        "run_id": ["a", "b"], "study": "scaling", "variant": "baseline", "params_active": 1e9, "tokens": 2e10,
        "accelerator": "h100", "precision": "bf16", "gpu_hours": 10.0, "usd": 20.0, "energy_kwh": 5.0, "schedule": "cosine",
    })  # fmt: skip
    (tmp_path / "log.csv").write_text(
        "run_id,status,tokens,loss,gpu_hours,owner,month,accelerator,usd\n"
        "a,completed,2e10,2.4,11,ann,2026-01,,\n"
        "b,completed,2e10,2.4,30,bo,2026-02,A100,33\n"
    )
    found = import_logs(tmp_path / "log.csv", plan).frame.set_index("run_id")
    assert found["owner"].tolist() == ["ann", "bo"]
    assert found["month"].tolist() == ["2026-01", "2026-02"]
    assert found["accelerator"].tolist() == ["h100", "a100"]
    assert found["usd"].tolist() == [pytest.approx(22), 33]
    assert found["energy_kwh"].isna().tolist() == [False, True]  # the plan's kWh are another accelerator's
