"""Interruptions, checkpoints and goodput, against Llama 3 and the formula of Young and Daly."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.costs.reliability import Reliability
from planner.errors import InputError

LLAMA_3 = Reliability()
counts = st.integers(1, 200_000)


def test_llama_3_is_interrupted_419_times_in_54_days_against_published():
    # arXiv 2407.21783, section 3.3.4 and table 5
    assert round(LLAMA_3.interruptions(16_384 * 54 * 24)) == 419
    assert LLAMA_3.seconds_between(16_384) / 3600 == pytest.approx(3.1, abs=0.05)


def test_effective_time_is_above_90_per_cent_on_16_384_against_published():
    # arXiv 2407.21783, section 3.3.4: "higher than 90 % effective training time"
    assert 0.90 < LLAMA_3.goodput(16_384) < 0.95


def test_the_checkpoint_interval_is_young_and_dalys_against_published():
    # three hours between stops, five minutes to write: sqrt(2 x 180 x 5) = 42.4 minutes
    terms = Reliability(gpu_hours_per_interruption=3.0, checkpoint_seconds=300.0)
    assert terms.checkpoint_interval(1) / 60 == pytest.approx(42.4, abs=0.05)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(counts, st.floats(0.2, 5.0))
def test_no_other_interval_loses_less(count, factor):
    best = LLAMA_3.checkpoint_interval(count)

    def lost(interval):
        return LLAMA_3.checkpoint_seconds / interval + interval / 2 / LLAMA_3.seconds_between(count)

    assert lost(best) <= lost(factor * best) * (1 + 1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(counts)
def test_more_accelerators_keep_less_of_their_time(count):
    assert 0 < LLAMA_3.goodput(2 * count) < LLAMA_3.goodput(count) < 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(counts)
def test_quantiles_of_goodput_are_in_order_around_the_expected(count):
    low, middle, high = (LLAMA_3.goodput_quantile(count, p) for p in (0.1, 0.5, 0.9))
    assert 0 < low < middle < high < 1
    assert middle == pytest.approx(LLAMA_3.goodput(count))


@pytest.mark.parametrize("name", list(vars(LLAMA_3)))
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_values_that_are_not_positive_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        replace(LLAMA_3, **{name: value})
