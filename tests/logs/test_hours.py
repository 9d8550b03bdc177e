"""GPU-hours of runs whose logs tell them by their clocks."""

import numpy as np
import pandas as pd
import pytest

from planner.logs.importing import read_logs

STEPS = np.arange(1, 361)  # ten seconds each: one hour


def imported(tmp_path, time, **columns):
    rows = pd.DataFrame(
        {"run_id": "a", "step": STEPS[: len(time)], "loss": 3.0, "time": time, "n_accelerators": 8} | columns
    )
    rows.to_csv(tmp_path / "log.csv", index=False)
    found = read_logs([tmp_path / "log.csv"])
    return found.frame["gpu_hours"].iloc[0], [note for note in found.notes if "clock" in note]


def test_hours_are_those_between_first_and_last_point(tmp_path):
    assert imported(tmp_path, 1.7e9 + 10.0 * STEPS) == (pytest.approx(8.0), [])


@pytest.mark.parametrize(("at", "by"), [(200, 3600), (180, 1e6), (20, 3600), (340, 600)])
def test_hours_of_a_clock_that_goes_back_are_those_for_which_it_went_forward(tmp_path, at, by):
    """Summer time ends, or a host's clock is put right: the step at which it happens is not counted."""
    hours, notes = imported(tmp_path, 1.7e9 + 10.0 * STEPS - np.where(at < STEPS, by, 0.0))
    assert hours == pytest.approx(8.0 * 358 / 359)
    assert notes == [
        f"{tmp_path / 'log.csv'}: run 'a': the clock goes back; hours are the time for which it went forward"
    ]


def test_clocks_of_ranks_that_differ_by_less_than_a_second_go_forward(tmp_path):
    assert imported(tmp_path, 1.7e9 + 10.0 * STEPS - np.where(STEPS == 360, 10.5, 0.0))[1] == []


def test_a_printed_clock_that_is_set_back_an_hour_in_the_night_keeps_its_hours(tmp_path):
    line = " [2026-10-25 {}] iteration {:8d}/     100 | consumed samples: {:12d} | lm loss: 2.5E+00 |\n"
    clocks = ["02:40:00", "02:50:00", "02:00:00", "02:10:00", "02:20:00"]
    lines = [line.format(clock, step, step) for step, clock in enumerate(clocks, start=1)]
    (tmp_path / "a.log").write_text("  world_size ...................................... 8\n" + "".join(lines))
    found = read_logs([tmp_path / "a.log"])
    assert found.frame["gpu_hours"].tolist() == [pytest.approx(8 * 0.5 * 5 / 4)]
    assert any("the clock goes back" in note for note in found.notes)
