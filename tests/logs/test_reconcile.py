"""Logs and plan become one clean table."""

import pandas as pd
import pytest

from planner.errors import InputError
from planner.logs.reconcile import import_logs, read_plan

PLAN = pd.DataFrame({
    "run_id": ["a", "b", "c"], "study": "scaling", "variant": "baseline", "seed": 0.0, "params_active": 1e9, "tokens": 2e10,
    "gpu_hours": 100.0, "energy_kwh": 105.1, "accelerator": "h800", "flops": 1.2e20,
})  # fmt: skip
LOGS = [
    {
        "run_id": "a",
        "state": "finished",
        "eval/loss": 2.5,
        "n_tokens_seen": 2e10,
        "gpu_hours": 110.0,
        "eval_set": "val",
    },
    {"run_id": "b", "state": "crashed", "eval/loss": None, "n_tokens_seen": 1e10, "gpu_hours": 55.0, "eval_set": "val"},
    {"run_id": "z", "state": "finished", "eval/loss": 2.4, "n_tokens_seen": 2e10, "gpu_hours": 1.0, "eval_set": "val"},
]


@pytest.fixture
def imported(tmp_path):
    def run(records, plan=PLAN):
        pd.DataFrame(records).to_json(tmp_path / "logs.jsonl", orient="records", lines=True)
        return import_logs(tmp_path / "logs.jsonl", plan, usd_per_gpu_hour=2.0)

    return run


def test_every_planned_run_is_there_once_with_what_became_of_it(imported):
    found = imported(LOGS)
    assert found.frame["run_id"].tolist() == ["a", "b", "c"]
    assert found.frame["status"].tolist() == ["completed", "failed", "planned"]
    assert (found.missing, found.unplanned, found.unfinished) == (("c",), ("z",), {"failed": 1, "planned": 1})


def test_cost_follows_what_was_really_spent(imported):
    frame = imported(LOGS).frame.set_index("run_id")
    assert frame.loc["a", "usd"] == 220
    assert frame.loc["b", "flops"] == pytest.approx(6 * 1e9 * 1e10)
    assert frame.loc["c", ["flops", "gpu_hours", "usd", "energy_kwh"]].sum() == 0
    assert frame.loc["a", "energy_kwh"] == pytest.approx(110 * 1.051, rel=1e-3)


def test_what_a_ledger_asks_of_a_run_is_kept_from_its_log(imported):
    own = {"owner": "ann", "month": "2026-10", "precision": "fp8", "rerun_of": "b"}
    frame = imported([{**LOGS[0], **own}, *LOGS[1:]]).frame.set_index("run_id")
    assert frame.loc["a", list(own)].to_dict() == own
    assert (frame.loc[["b", "c"], ["owner", "month"]] == "").all(axis=None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"run_id": "z"}, "run 'z' is logged twice"),
        ({"eval/loss": None}, "run 'a' completed with loss nan"),
        ({"eval/loss": -1.0}, "completed with loss -1.0"),
    ],
)
def test_bad_logs_are_refused_with_their_line(imported, change, says):
    with pytest.raises(InputError, match=r"row \d") as caught:
        imported([{**LOGS[0], **change}, *LOGS[1:]])
    assert says in caught.value.message


def test_hours_that_were_not_logged_are_the_plans_for_the_tokens_seen(imported):
    frame = imported([{key: value for key, value in log.items() if key != "gpu_hours"} for log in LOGS]).frame
    assert frame["gpu_hours"].tolist() == [100.0, 50.0, 0.0]
    assert frame["gpu_hours_source"].tolist() == ["modelled", "modelled", "not run"]


def test_a_failed_attempt_is_charged_to_its_run(imported):
    found = imported([{**LOGS[1], "run_id": "a"}, *LOGS])
    assert found.frame["status"].tolist() == ["completed", "failed", "planned"]
    assert found.frame["loss"].iloc[0] == 2.5
    assert found.frame["gpu_hours"].iloc[0] == 110.0 + 55.0
    assert found.frame["attempts"].tolist() == [2.0, 1.0, 0.0]


def test_hours_more_than_a_fifth_off_the_model_are_named(imported):
    assert imported(LOGS).hours_off == ()
    found = imported([{**LOGS[0], "gpu_hours": 121.0}, *LOGS[1:]])
    assert (found.hours_off, found.hours_ratio) == (("a",), 1.21)


def test_a_completed_run_that_saw_too_few_tokens_is_not_final(imported):
    found = imported([{**LOGS[0], "n_tokens_seen": 1.9e10}, *LOGS[1:]])
    assert found.frame["is_final"].tolist() == ["false", "false", "false"]
    assert found.frame["problem"].iloc[0] == "truncated"
    assert found.unfinished == {"failed": 1, "planned": 1, "not final": 1}


def test_a_table_that_is_no_plan_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="not a plan"):
        read_plan(tmp_path / "x.csv")


def test_a_logged_unit_of_loss_is_kept(imported):
    in_bits = [{**log, "loss_unit": "bits_per_byte"} for log in LOGS]
    assert imported(in_bits).frame["loss_unit"].iloc[0] == "bits_per_byte"
    assert imported(LOGS).frame["loss_unit"].iloc[0] == "nats_per_token"


def test_a_logged_run_that_fits_several_planned_ones_or_shares_one_is_left_alone(imported):
    plan = pd.concat(
        [PLAN[:2].assign(lr_peak=1e-3, batch_tokens=65536.0), PLAN[2:].assign(lr_peak=2e-3, batch_tokens=65536.0)]
    )
    row = {"state": "finished", "eval/loss": 2.5, "params_active": 1e9, "n_tokens_seen": 2e10, "batch_tokens": 65536.0}
    found = imported([{**row, "run_id": "w", "lr_peak": 1e-3}], plan)
    assert (found.by_content, found.unplanned) == ({}, ("w",))
    assert found.notes == ("1 logged runs fit several planned ones, or share one: left unplanned; log the run_id",)
    found = imported([{**row, "run_id": name, "lr_peak": 2e-3} for name in ("v", "w")], plan)
    assert (found.by_content, found.unplanned) == ({}, ("v", "w"))
    assert imported([{**row, "run_id": "w", "lr_peak": 2e-3}], plan).by_content == {"w": "c"}
