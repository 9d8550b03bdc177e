"""The ledger adds up."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.report.ledger import QUANTITIES, ledger_of

FINAL = {"flops": 1e24, "gpu_hours": 1e6, "usd": 2e6, "energy_kwh": 1e6}
row = st.fixed_dictionaries({
    "study": st.sampled_from(["scaling", "ideas"]),
    "status": st.sampled_from(["completed", "failed", "diverged", "planned"]),
    "params_active": st.sampled_from([1e9, 2.6e9, 7e9]),
    "flops": st.floats(0, 1e23), "gpu_hours": st.floats(0, 1e5), "usd": st.floats(0, 1e6), "energy_kwh": st.floats(0, 1e5),
})  # fmt: skip


@given(st.lists(row, min_size=1, max_size=40))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_sums_agree_along_every_axis(rows):
    ledger = ledger_of(pd.DataFrame(rows), FINAL)
    for axis in (ledger.by_study, ledger.by_size, ledger.by_status):
        assert sum(part.runs for part in axis.values()) == ledger.exploration.runs
        for name in QUANTITIES:
            assert math.fsum(getattr(part, name) for part in axis.values()) == pytest.approx(
                getattr(ledger.exploration, name)
            )


def test_runs_that_took_no_hours_are_not_counted_and_failed_ones_are():
    rows = [
        {
            "study": "a",
            "status": status,
            "params_active": 1e9,
            "flops": hours * 1e18,
            "gpu_hours": hours,
            "usd": 2 * hours,
            "energy_kwh": hours,
        }
        for status, hours in (("completed", 10.0), ("failed", 5.0), ("planned", 0.0))
    ]
    ledger = ledger_of(pd.DataFrame(rows), FINAL)
    assert ledger.exploration.runs == 2
    assert ledger.exploration.gpu_hours == 15
    assert ledger.ratio == {"flops": 1.5e-5, "gpu_hours": 1.5e-5, "usd": 1.5e-5}
