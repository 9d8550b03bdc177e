"""Failures and hours drawn anew: their moments, the integrated common draw, and what a deadline makes of them."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from planner.errors import InputError
from planner.sweep.schedule import (
    SURE,
    Jobs,
    Packer,
    Pool,
    Risk,
    Setup,
    against_deadline,
    lay_out,
    planned_runs,
    spread_of,
)
from planner.sweep.schedule.spread import Spread


def one_run():
    return Jobs(("r",), np.array([24.0]), np.array([1]), np.array([1]))


def many(n=60, seed=0, gated=("ideas",)):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "run_id": [f"r{k}" for k in range(n)],
            "study": rng.choice(["scaling", "ideas"], n),
            "stage": rng.integers(1, 4, n).astype(str),
            "priority": rng.integers(1, 4, n).astype(str),
            "n_accelerators": (8 * 2 ** rng.integers(0, 3, n)).astype(str),
            "gpu_hours": rng.uniform(50, 3000, n).astype(str),
        }
    )
    return planned_runs(frame, "plan", chips_per_node=8, gated=gated)


@pytest.mark.parametrize(("rate", "lost"), [(0.0, 0.5), (0.04, 0.5), (0.3, 0.8), (0.3, 0.1)])
def test_draws_have_the_expected_mean_and_the_spread_asked_for(rate, lost):
    risk = Risk(rate, lost, 0.29)
    draws = risk.draws(200_000, 1, 0)
    assert draws.mean() == pytest.approx(risk.expected, rel=5e-3)
    assert math.hypot(risk.common_sd, risk.own_sd) == pytest.approx(0.29)
    if not rate:
        assert np.log(draws).std() == pytest.approx(risk.own_sd, rel=1e-2)


def test_expected_attempts_are_those_of_a_geometric_number_of_failures():
    assert Risk(0.2, 0.5, 0.0).expected == pytest.approx(1 + 0.25 * 0.5)
    draws = Risk(0.2, 0.5, 0.0).draws(100_000, 1, 1)
    assert (draws > 1).mean() == pytest.approx(0.2, abs=0.01)


def test_one_run_without_failures_has_the_lognormal_percentiles_against_theory():
    risk = Risk(0.0, 0.5, 0.29)
    spread = spread_of(Packer(one_run(), Pool(1)), np.array([24.0]), np.array([0]), risk, repeats=4000)
    found = spread.percentiles()
    for probability, value in ((0.1, found.p10), (0.5, found.p50), (0.9, found.p90)):
        assert value == pytest.approx(24 * math.exp(0.29 * norm.ppf(probability)), rel=0.02)
    assert spread.probability(24.0) == pytest.approx(0.5, abs=0.02)


def test_the_common_draw_that_is_integrated_is_the_one_that_would_be_simulated():
    runs, risk = many(), Risk(0.1, 0.5, 0.29)
    packer = Packer(runs.jobs.scaled(risk.expected), Pool(8))
    spread = spread_of(packer, runs.jobs.hours, runs.part, risk, repeats=400, seed=1)
    rng = np.random.default_rng(7)
    ends = []
    for draw in risk.draws(len(runs.jobs), 1500, 9):
        hours = runs.jobs.hours * draw * math.exp(risk.common_sd * rng.standard_normal())
        ends.append((packer.starts(hours) + hours).max())
    found = spread.percentiles()
    np.testing.assert_allclose([found.p10, found.p50, found.p90], np.quantile(ends, (0.1, 0.5, 0.9)), rtol=0.03)


def test_without_failures_and_spread_every_end_is_the_planned_one():
    runs = many()
    outcome = lay_out(runs, Setup(Pool(8), risk=Risk(0.0, 0.5, 0.0), repeats=3))
    found = outcome.spread.percentiles()
    assert found.p10 == found.p90 == pytest.approx(outcome.table.makespan)
    for answer in outcome.answers:
        assert answer.arrives.p50 == pytest.approx(answer.end)
    assert outcome.spread.error == 0


def test_the_same_seed_gives_the_same_ends_and_another_seed_others():
    a, b, c = (lay_out(many(), Setup(Pool(8), seed=seed)).spread for seed in (3, 3, 4))
    np.testing.assert_array_equal(a.ends, b.ends)
    assert not np.array_equal(a.ends, c.ends)


def test_the_error_told_is_that_of_the_median_over_seeds():
    runs = many()
    spreads = [lay_out(runs, Setup(Pool(8), seed=seed, repeats=30)).spread for seed in range(40)]
    medians = np.log([spread.percentiles().p50 for spread in spreads])
    told = np.mean([spread.error for spread in spreads])
    assert 0.5 * told < medians.std() < 2 * told


def test_answers_are_those_of_their_runs():
    runs = many()
    outcome = lay_out(runs, Setup(Pool(8)))
    assert sum(answer.n_runs for answer in outcome.answers) == len(runs.jobs)
    for index, answer in enumerate(outcome.answers):
        mine = runs.part == index
        assert answer.first_start == outcome.table.start[mine].min() and answer.end == outcome.table.end[mine].max()
        assert answer.gpu_hours == pytest.approx(runs.gpu_hours[mine].sum())


def test_the_ways_out_of_a_deadline_meet_it_and_a_sure_one_needs_none():
    outcome = lay_out(many(gated=()), Setup(Pool(8)))
    ends = outcome.spread.percentiles()
    late = against_deadline(outcome, 0.7 * ends.p50)
    assert late.probability < 0.2
    assert 0 < late.fewer_runs.runs.size < len(outcome.runs.jobs) and late.fewer_runs.probability >= SURE
    assert late.more_chips.pool.nodes > 8 and late.more_chips.probability >= SURE
    sure = against_deadline(outcome, 2 * ends.p90)
    assert (sure.probability, sure.fewer_runs, sure.more_chips) == (1.0, None, None)


def test_more_chips_do_not_shorten_a_chain_of_runs_that_wait_for_each_other():
    outcome = lay_out(many(), Setup(Pool(64)))
    late = against_deadline(outcome, 0.8 * outcome.table.jobs.remaining.max())
    assert late.more_chips is None and late.fewer_runs is not None


def test_a_deadline_that_nothing_meets_has_no_way_out():
    late = against_deadline(lay_out(many(), Setup(Pool(8))), 0.5)
    assert (late.probability, late.fewer_runs, late.more_chips) == (0.0, None, None)


def test_a_part_that_ends_early_is_not_the_whole():
    spread = Spread(np.array([[1.0, 5.0], [2.0, 6.0]]), 0.0)
    assert spread.percentiles(0).p50 == 1.5 and spread.percentiles().p50 == 5.5
    assert spread.probability(5.0) == 0.5


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Risk(failure_rate=1.0), "failure rate of 1 is not possible"),
        (lambda: Risk(lost=-0.1), "share lost by a failure of -0.1"),
        (lambda: Risk(spread=math.nan), "spread of ln hours of nan"),
        (lambda: against_deadline(lay_out(many(), Setup(Pool(8))), 0.0), "a deadline after 0 hours"),
    ],
)
def test_what_cannot_be_is_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()
