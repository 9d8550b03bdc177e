"""The learning-rate schedule is told from the logged rates."""

import numpy as np
import pytest

from planner.logs.schedule import schedules_of

STEPS = np.arange(1.0, 1001.0)


def told(rates, at=STEPS):
    found = schedules_of(rates, np.arange(rates.size), np.array([0, rates.size]), at)
    return found.name[0], found.seen[0], found.peak[0], found.last[0], found.warm[0], found.stable[0]


def warmed(shape, warm=50):
    x = np.clip((STEPS - warm) / (STEPS[-1] - warm), 0, 1)
    return 3e-4 * np.where(warm > STEPS, STEPS / warm, shape(x))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("constant", np.ones_like),
        ("linear", lambda x: 1 - x),
        ("linear", lambda x: 1 - 0.9 * x),
        ("cosine", lambda x: 0.1 + 0.45 * (1 + np.cos(np.pi * x))),
        ("cosine", lambda x: 0.5 * (1 + np.cos(np.pi * x))),
        ("warmup_stable_decay", lambda x: np.minimum(1, (1 - x) / 0.2)),
        ("warmup_stable_decay", lambda x: np.where(x < 0.8, 1, 1 - np.sqrt(np.maximum(x - 0.8, 0) / 0.2))),
        ("other", lambda x: 0.5 + 0.5 * np.cos(6 * np.pi * x) ** 2),
    ],
)
def test_shapes_are_recognised(name, shape):
    assert told(warmed(shape))[0] == name


def test_inverse_square_root_is_recognised():
    assert told(np.minimum(STEPS / 50, np.sqrt(50 / STEPS)))[0] == "inverse_sqrt"


def test_a_cosine_that_was_cut_short_says_how_much_it_saw():
    name, seen, *_ = told(warmed(lambda x: 0.1 + 0.45 * (1 + np.cos(np.pi * x * 0.6))))
    assert (name, seen) == ("cosine", pytest.approx(0.6, abs=0.03))


def test_warm_up_and_stable_phase_end_where_they_do():
    *_, warm, stable = told(warmed(lambda x: np.minimum(1, (1 - x) / 0.2)))
    assert STEPS[warm] == 50
    assert STEPS[stable] == pytest.approx(50 + 0.8 * 950, abs=3)


def test_runs_without_rates_have_no_schedule():
    found = schedules_of(np.full(4, np.nan), np.zeros(0, np.int64), np.array([0, 4]), np.arange(4.0))
    assert found.name.tolist() == [""]
    assert np.isnan(found.peak).all()


def test_several_runs_at_once_are_told_as_one_by_one():
    one, two = warmed(np.ones_like), warmed(lambda x: 1 - x)
    rates = np.concatenate([one, two[::3], one[:3]])
    starts = np.array([0, 1000, 1334, 1337])
    at = np.concatenate([STEPS, STEPS[::3], STEPS[:3]])
    found = schedules_of(rates, np.arange(rates.size), starts, at)
    assert found.name.tolist() == ["constant", "linear", ""]
