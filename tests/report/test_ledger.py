"""The ledger adds up exactly, along every axis; unlike things are not added; bad rows are refused."""

from __future__ import annotations

import random
from dataclasses import asdict
from decimal import Decimal
from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.costs.accelerators import find_accelerator
from planner.errors import InputError
from planner.report.amounts import QUANTITIES, exact_sum, whole
from planner.report.entries import COLUMNS, entries_of
from planner.report.ledger import AXES, comparisons, ledger_of
from planner.report.rates import rates_record

RATES = rates_record(find_accelerator("h800"), 2.0)
FINAL = {
    "name": "final", "side": "final", "kind": "pretraining", "accelerator": "h800", "flops": 1e24, "gpu_hours": 1e6,
    "flops_rule": "6nd:params_active", "status": "planned",
}  # fmt: skip
row = st.fixed_dictionaries({
    "study": st.sampled_from(["scaling", "ideas"]),
    "status": st.sampled_from(["completed", "failed", "diverged", "preempted", "running"]),
    "params_active": st.sampled_from([1e9, 2.6e9, 7e9]),
    "variant": st.sampled_from(["baseline", "z-loss"]),
    "accelerator": st.sampled_from(["h800", "a100"]),
    "owner": st.sampled_from(["", "ann", "bo"]),
    "flops": st.floats(0, 1e23), "gpu_hours": st.floats(0, 1e5),
})  # fmt: skip


def costs(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame([FINAL, *rows], columns=list(dict.fromkeys([*COLUMNS, *(key for row in rows for key in row)])))


def runs(rows: list[dict]) -> pd.DataFrame:
    base = {"study": "scaling", "status": "completed", "params_active": 1e9, "variant": "baseline", "accelerator": "h800",
            "flops": 1e20, "gpu_hours": 10.0, "flops_rule": "6nd:params_active", "precision": "bf16"}  # fmt: skip
    return pd.DataFrame([{**base, "run_id": f"r{n}", **row} for n, row in enumerate(rows)])


@given(st.lists(row, min_size=1, max_size=40))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_sums_agree_exactly_along_every_axis(rows):
    ledger = ledger_of(entries_of(runs(rows), costs(), RATES))
    for axis in AXES:
        parts = ledger.by_axis[axis].values()
        assert sum(part.runs for part in parts) == ledger.exploration.runs
        for name in QUANTITIES:
            added = sum(Decimal(repr(getattr(part, name) or 0)) for part in parts)
            assert added == Decimal(repr(getattr(ledger.exploration, name) or 0)), (axis, name)


def test_a_hundred_thousand_rows_do_not_drift_against_fractions():
    draw = random.Random(0)
    values = [round(draw.uniform(0, 1000), 6) for _ in range(100_000)]
    assert Fraction(repr(exact_sum(values))) == sum(Fraction(repr(value)) for value in values)
    assert Fraction(repr(sum(values))) != sum(Fraction(repr(value)) for value in values)  # what a plain sum would do
    assert whole(1.2058083915046532e20) == 120580839150465320000


def test_the_rows_of_the_csv_add_up_to_the_ledger():
    table = runs([{"gpu_hours": hours / 7, "flops": hours * 1e19 / 3} for hours in range(1, 300)])
    ledger = ledger_of(entries_of(table, costs(), RATES))
    explored = ledger.entries[ledger.entries["side"] == "exploration"]
    for name in ("gpu_hours", "usd", "usd_owned", "energy_kwh", "co2_kg"):
        assert sum(Decimal(repr(v)) for v in explored[name]) == Decimal(repr(getattr(ledger.exploration, name))), name
    assert sum(explored["flops"]) == ledger.exploration.flops


def test_failed_runs_are_paid_for_and_planned_and_cancelled_ones_are_listed():
    rows = [{"status": "completed"}, {"status": "failed", "gpu_hours": 5.0}, {"status": "planned", "gpu_hours": 0.0},
            {"status": "cancelled", "gpu_hours": None}]  # fmt: skip
    ledger = ledger_of(entries_of(runs(rows), costs(), RATES))
    assert (ledger.exploration.runs, ledger.exploration.gpu_hours, ledger.exploration.usd) == (2, 15, 30)
    assert ledger.not_run == {"cancelled": 1, "planned": 1}
    assert ledger.ratio["gpu_hours"] == 1.5e-5


def test_hours_of_another_accelerator_are_converted_by_peak_and_said():
    ledger = ledger_of(entries_of(runs([{"accelerator": "a100", "usd": 13.0}]), costs(), RATES))
    assert ledger.exploration.gpu_hours == pytest.approx(10 * 312 / 989, rel=1e-6)
    assert ledger.exploration.usd == 13
    assert any("BF16 peaks" in note for note in ledger.notes)


def test_flops_by_two_rules_are_not_added():
    ledger = ledger_of(entries_of(runs([{}, {"flops_rule": "6nd:params_total"}]), costs(), RATES))
    assert ledger.exploration.flops is None
    assert ledger.ratio["flops"] is None
    assert any("not added up" in note for note in ledger.notes)


def test_staff_stands_beside_and_changes_no_ratio():
    staff = {"name": "team", "side": "beside", "kind": "staff", "usd": 1e6, "gpu_hours": 0.0}
    with_staff, without = (ledger_of(entries_of(runs([{}]), costs(*more), RATES)) for more in ((staff,), ()))
    assert with_staff.ratio == without.ratio
    assert with_staff.beside["staff"].usd == 1e6


def test_only_figures_of_the_same_scope_stand_beside_a_ratio():
    for found in comparisons(ledger_of(entries_of(runs([{}]), costs(), RATES)), ["scaling"]):
        assert found.published
        assert {case["scope"] for case in found.published} == {str(found.scope)}


@pytest.mark.parametrize(("table", "more", "says"), [
    (runs([{"gpu_hours": None}]), {}, "runs without cost"),
    (runs([{"gpu_hours": -1.0}]), {}, "is negative"),
    (runs([{"currency": "EUR"}]), {}, "two currencies"),
    (runs([{}]), {"kind": "credit", "usd": -5.0, "name": "credit"}, "is negative"),
    (runs([{}]), {"run_id": "ghost", "usd": 5.0}, "does not exist"),
    (runs([{"accelerator": "h8000"}]), {}, "unknown accelerator"),
])  # fmt: skip
def test_bad_rows_are_refused_in_one_line(table, more, says):
    with pytest.raises(InputError, match=says):
        entries_of(table, costs(more) if more else costs(), RATES)


def test_amounts_know_what_they_do_not_know():
    ledger = ledger_of(entries_of(runs([{"accelerator": "mi250x", "usd": 20.0}]), costs(), RATES))
    assert ledger.exploration.usd_owned is None
    assert asdict(ledger.final)["usd_owned"] > 0
