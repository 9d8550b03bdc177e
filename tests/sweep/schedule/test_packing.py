"""List scheduling of runs of fixed size, against theory, brute force and a simulation of nodes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.sweep.schedule import Gate, Jobs, Packer, Pool, Rule, lanes, schedule, within_deadline
from planner.sweep.schedule.bounds import lower_bound
from planner.sweep.schedule.deadline import nodes_within


def jobs_of(rows, gates=()):
    hours, nodes, priority = (np.array(column) for column in zip(*rows, strict=True))
    made = tuple(Gate(np.array(before), np.array(after), "a gate") for before, after in gates)
    return Jobs(tuple(f"r{k}" for k in range(len(rows))), hours.astype(float), nodes, priority, made)


@st.composite
def problems(draw, gated=True, limited=True, most=24):
    nodes = draw(st.integers(1, 12))
    size = draw(st.integers(1, most))
    row = st.tuples(st.integers(1, 9), st.integers(1, nodes), st.integers(1, 3))
    rows = draw(st.lists(row, min_size=size, max_size=size))
    gates = []
    for _ in range(draw(st.integers(0, 4)) if gated and size > 1 else 0):
        cut = draw(st.integers(1, size - 1))  # before from below the cut, after from above it: never a circle
        before = draw(st.lists(st.integers(0, cut - 1), min_size=1, max_size=4, unique=True))
        after = draw(st.lists(st.integers(cut, size - 1), min_size=1, max_size=4, unique=True))
        gates.append((before, after))
    at_once = draw(st.none() | st.integers(1, 5)) if limited else None
    return jobs_of(rows, gates), Pool(nodes, at_once), draw(st.sampled_from(Rule))


def in_use(start, end, weight):
    """The most in use just after any start."""
    return max(float(weight[(start <= at) & (end > at)].sum()) for at in start)


@settings(max_examples=400, deadline=None)
@given(problems())
def test_a_schedule_is_feasible_and_no_shorter_than_its_bound(problem):
    jobs, pool, rule = problem
    table = schedule(jobs, pool, rule=rule)
    start, end = table.start, table.end
    assert np.isfinite(start).all() and (start >= 0).all()
    assert in_use(start, end, jobs.nodes) <= pool.nodes
    if pool.runs_at_once:
        assert in_use(start, end, np.ones(len(jobs))) <= pool.runs_at_once
    for gate in jobs.gates:
        assert start[gate.after].min() >= end[gate.before].max()
    assert table.makespan >= table.lower_bound * (1 - 1e-12)
    assert 0 <= table.idle_share < 1
    np.testing.assert_array_equal(start, schedule(jobs, pool, rule=rule).start)


@settings(max_examples=400, deadline=None)
@given(problems(gated=False, limited=False))
def test_the_list_rule_ends_within_twice_the_bound_of_independent_runs_against_garey_and_graham(problem):
    jobs, pool, _ = problem
    table = schedule(jobs, pool, rule=Rule.LIST)
    assert table.makespan <= 2 * table.lower_bound


@settings(max_examples=200, deadline=None)
@given(problems())
def test_the_list_rule_never_leaves_nodes_idle_that_a_waiting_run_would_fit(problem):
    jobs, pool, _ = problem
    table = schedule(jobs, pool, rule=Rule.LIST)
    ready = np.zeros(len(jobs))
    for gate in jobs.gates:
        ready[gate.after] = np.maximum(ready[gate.after], table.end[gate.before].max())
    for at in np.unique(table.end):
        going = (table.start <= at) & (table.end > at)
        if pool.runs_at_once and going.sum() >= pool.runs_at_once:
            continue
        waiting = (ready <= at) & (table.start > at)
        assert not (jobs.nodes[waiting] <= pool.nodes - jobs.nodes[going].sum()).any()


@settings(max_examples=200, deadline=None)
@given(problems(gated=False, limited=False))
def test_a_reserved_run_starts_as_if_nothing_stood_behind_it_on_the_list(problem):
    jobs, pool, _ = problem
    start = Packer(jobs, pool, Rule.RESERVE).starts()
    late = np.flatnonzero(start[jobs.order] > 0)
    if late.size:
        ahead = np.sort(jobs.order[: late[0] + 1])
        alone = jobs.only(ahead)
        assert start[jobs.order[late[0]]] == schedule(alone, pool, rule=Rule.LIST).start[alone.order[-1]]


def best_possible(jobs, pool):
    """The shortest makespan of all: every active schedule is some order of runs, each put as early as it can be."""
    best = np.inf
    for order in itertools.permutations(range(len(jobs))):
        start = np.full(len(jobs), np.nan)
        for run in order:
            needed = [start[gate.before] + jobs.hours[gate.before] for gate in jobs.gates if run in gate.after]
            if any(np.isnan(ends).any() for ends in needed):
                break
            after = max([0.0, *(float(ends.max()) for ends in needed)])
            start[run] = earliest(run, after, start, jobs, pool)
        else:
            best = min(best, float((start + jobs.hours).max()))
    return best


def earliest(run, after, start, jobs, pool):
    placed = ~np.isnan(start)
    end = start + jobs.hours
    for at in sorted({after, *(float(t) for t in end[placed] if t > after)}):
        starts = [at, *(float(t) for t in start[placed] if at < t < at + jobs.hours[run])]
        if all(jobs.nodes[placed & (start <= t) & (end > t)].sum() + jobs.nodes[run] <= pool.nodes for t in starts):
            return at
    raise AssertionError("nothing ends")


@settings(max_examples=60, deadline=None)
@given(problems(limited=False, most=5))
def test_no_schedule_beats_the_lower_bound_against_brute_force(problem):
    jobs, pool, rule = problem
    best = best_possible(jobs, pool)
    assert lower_bound(jobs, pool) * (1 - 1e-12) <= best <= schedule(jobs, pool, rule=rule).makespan


@pytest.mark.parametrize("rule", Rule)
def test_small_cases_of_which_the_best_is_known(rule):
    assert schedule(jobs_of([(4, 2, 1), (4, 2, 1), (2, 4, 1)]), Pool(4), rule=rule).makespan == 6
    trunk = jobs_of([(5, 1, 1), (1, 1, 1), (1, 1, 1), (6, 3, 1)], [([0], [1, 2])])
    assert schedule(trunk, Pool(4), rule=rule).makespan == 7
    stages = jobs_of([(1, 1, 1), (3, 1, 1), (2, 2, 1), (2, 2, 1)], [([0, 1], [2, 3])])
    table = schedule(stages, Pool(2), rule=rule)
    assert table.makespan == table.lower_bound == 7
    assert table.idle_share == pytest.approx(1 - 12 / 14)


def test_the_bound_counts_wide_runs_late_runs_and_runs_at_once():
    assert lower_bound(jobs_of([(2, 3, 1)] * 3), Pool(5)) == 6  # two of them never fit together
    late = jobs_of([(4, 1, 1)] + [(1, 2, 1)] * 5, [([0], [1, 2, 3, 4, 5])])
    assert lower_bound(late, Pool(2)) == 9
    early = jobs_of([(1, 2, 1)] * 5 + [(4, 1, 1)], [([0, 1, 2, 3, 4], [5])])
    assert lower_bound(early, Pool(2)) == 9
    assert lower_bound(jobs_of([(2, 1, 1)] * 6), Pool(6, runs_at_once=2)) == 6


def test_a_list_may_end_later_with_more_nodes_as_graham_showed_in_1969():
    """Graham's anomaly: with 4 in place of 3 machines this list ends at 15, not 12 (doi 10.1137/0117039, figure 2)."""
    hours = [3, 2, 2, 2, 4, 4, 4, 4, 9]
    gates = [([0], [8]), ([3], [4, 5, 6, 7])]
    jobs = jobs_of([(h, 1, place) for place, h in enumerate(hours, 1)], gates)
    assert jobs.order.tolist() == list(range(9))  # priorities make the list Graham's own
    ends = [float((Packer(jobs, Pool(nodes), Rule.LIST).starts() + jobs.hours).max()) for nodes in (3, 4)]
    assert ends == [12, 15]


def test_priority_goes_first_and_is_lent_to_what_a_run_waits_for():
    jobs = jobs_of([(5, 1, 1), (5, 1, 2), (5, 1, 9), (1, 1, 1)], [([2], [3])])
    assert jobs.urgency.tolist() == [1, 2, 1, 1]
    start = schedule(jobs, Pool(1)).start
    assert start.tolist() == [5, 11, 0, 10]


def test_a_reservation_keeps_narrow_runs_from_starving_a_wide_one():
    wide_first = [(3, 3, 1), (2, 4, 1)] + [(4, 1, 2)] * 8
    late, soon = (schedule(jobs_of(wide_first), Pool(4), rule=rule).start[1] for rule in Rule)
    assert (late, soon) == (11, 3)


def test_a_run_that_ends_before_the_reservation_may_overtake():
    rows = [(6, 3, 1), (5, 4, 1), (8, 1, 2), (3, 1, 2)]
    assert schedule(jobs_of(rows), Pool(4)).start.tolist() == [0, 6, 11, 0]


def test_what_ends_with_the_last_that_a_reservation_waits_for_is_to_spare():
    rows = [(4, 2, 1), (4, 1, 1), (3, 3, 1), (9, 1, 2)]
    assert schedule(jobs_of(rows), Pool(4)).start.tolist() == [0, 0, 4, 0]


@settings(max_examples=200, deadline=None)
@given(problems(), st.integers(1, 60))
def test_what_is_kept_by_a_deadline_ends_by_it_and_nothing_hangs_in_the_air(problem, hours):
    jobs, pool, rule = problem
    kept = within_deadline(jobs, pool, hours, rule=rule)
    for gate in jobs.gates:
        assert set(gate.before) <= set(kept) or not set(gate.after) & set(kept)
    start = Packer(jobs, pool, rule).starts(until=hours)
    assert (start[kept] + jobs.hours[kept] <= hours).all()
    if schedule(jobs, pool, rule=rule).makespan <= hours:
        assert kept.size == len(jobs)


def test_a_deadline_keeps_the_runs_of_priority():
    jobs = jobs_of([(4, 1, 3), (4, 1, 1), (4, 1, 2), (2, 1, 3)])
    assert within_deadline(jobs, Pool(1), 10).tolist() == [1, 2, 3]
    assert within_deadline(jobs, Pool(1), 1).size == 0


@settings(max_examples=100, deadline=None)
@given(problems(), st.integers(1, 80))
def test_the_nodes_said_to_be_enough_are(problem, hours):
    jobs, pool, rule = problem
    nodes = nodes_within(jobs, pool, hours, rule=rule)
    if nodes is not None:
        assert schedule(jobs, Pool(nodes, pool.runs_at_once), rule=rule).makespan <= hours
    elif pool.runs_at_once is None:
        assert jobs.remaining.max() > hours


def test_no_more_nodes_are_asked_for_than_a_deadline_takes():
    runs = jobs_of([(1, 2, 1)] * 30)
    assert [nodes_within(runs, Pool(4), hours) for hours in (1, 2, 3, 15, 40, 0.5)] == [60, 30, 20, 4, 2, None]


@settings(max_examples=150, deadline=None)
@given(problems())
def test_lanes_put_every_run_on_nodes_of_its_own(problem):
    jobs, pool, rule = problem
    table = schedule(jobs, pool, rule=rule)
    pieces = lanes(table)
    np.testing.assert_array_equal(np.bincount(pieces.run, pieces.width, len(jobs)), jobs.nodes)
    for at in table.start:
        on = [range(first, first + width) for run, first, width in zip(pieces.run, pieces.first, pieces.width, strict=True)
              if table.start[run] <= at < table.end[run]]  # fmt: skip
        used = list(itertools.chain(*on))
        assert len(used) == len(set(used)) and all(0 <= node < pool.nodes for node in used)


def test_usage_is_what_runs_use():
    at, nodes = schedule(jobs_of([(4, 2, 1), (2, 1, 1)]), Pool(3)).usage
    assert at.tolist() == [0, 2, 4] and nodes.tolist() == [3, 2, 0]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: jobs_of([(0, 1, 1)]), "run r0 takes 0 hours"),
        (lambda: jobs_of([(np.inf, 1, 1)]), "run r0 takes inf hours"),
        (lambda: jobs_of([(1, 0, 1)]), "run r0 takes 0 nodes"),
        (lambda: Jobs((), np.empty(0), np.empty(0, int), np.empty(0, int)), "no run to schedule"),
        (lambda: jobs_of([(1, 1, 1), (1, 1, 1)], [([0], [1]), ([1], [0])]), "in a circle: a gate, a gate"),
        (lambda: schedule(jobs_of([(1, 5, 1)]), Pool(4)), "run r0 needs 5 nodes and there are 4"),
        (lambda: Pool(0), "0 nodes"),
        (lambda: Pool(1, 0), "0 runs at once"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()
