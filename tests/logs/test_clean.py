"""Points that do not count are named: overlaps, duplicates, spikes, losses that are no numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from planner.logs.clean import REASONS, Points, Reason, marks_of

NAN = np.nan


def points(steps, train=None, loss=None, run=None, tokens=None):
    n = len(steps)
    return Points(
        run=np.zeros(n, np.int64) if run is None else np.asarray(run, np.int64),
        step=np.asarray(steps, np.int64),
        tokens=np.full(n, NAN) if tokens is None else np.asarray(tokens, float),
        loss=np.full(n, NAN) if loss is None else np.asarray(loss, float),
        train_loss=np.linspace(3, 2, n) if train is None else np.asarray(train, float),
        lr=np.full(n, NAN),
    )  # fmt: skip


def reasons(one, final=NAN, keep=()):
    n_runs = int(one.run.max(initial=0)) + 1
    final = np.full(n_runs, final) if np.isscalar(final) else np.asarray(final, float)
    return [REASONS[mark] for mark in marks_of(one, final, frozenset(keep))]


def test_a_restart_wins_from_its_first_step_on():
    assert reasons(points([10, 20, 30, 40, 25, 35])) == [
        "",
        "",
        "overlap after a restart",
        "overlap after a restart",
        "",
        "",
    ]


def test_a_restart_that_repeats_what_was_logged_leaves_exact_duplicates():
    found = reasons(points([10, 20, 30, 20, 30, 40], train=[3, 2.9, 2.8, 2.9, 2.7, 2.6]))
    assert found == ["", "exact duplicate", "overlap after a restart", "", "", ""]


def test_training_and_evaluation_of_one_step_both_count():
    found = reasons(points([10, 10, 20, 20], train=[3, NAN, 2.9, NAN], loss=[NAN, 3.1, NAN, 3.0]))
    assert found == ["", "", "", ""]


def test_one_run_says_nothing_of_another():
    assert reasons(points([10, 20, 10, 20], run=[0, 0, 1, 1])) == [""] * 4


def test_a_loss_that_is_no_number_does_not_count():
    assert reasons(points([1, 2, 3], train=[3, np.inf, 2.9])) == ["", "loss not finite", ""]


def test_what_follows_the_declared_final_point_does_not_count():
    assert reasons(points([1, 2, 3, 1, 2], run=[0, 0, 0, 1, 1]), final=[2, NAN])[2:] == [
        "after the declared final point",
        "",
        "",
    ]


def test_a_spike_is_seven_sd_above_the_thousand_values_before_it():
    rng = np.random.default_rng(0)
    train = 2.5 + 0.01 * rng.standard_normal(3000)
    train[[50, 1500, 2999]] += [1.0, 0.2, 0.05]  # too early to judge; 20 sd; 5 sd
    found = reasons(points(np.arange(3000), train=train))
    assert [at for at, reason in enumerate(found) if reason == "spike"] == [1500]


def test_a_spike_is_found_by_the_rule_written_out():
    rng = np.random.default_rng(1)
    train = np.concatenate([3 + 0.02 * rng.standard_t(3, 1700), 2 + 0.02 * rng.standard_t(3, 400)])
    run = np.repeat([0, 1], [1700, 400])
    found = (
        np.array(reasons(points(np.concatenate([np.arange(1700), np.arange(400)]), train=train, run=run))) == "spike"
    )
    wanted = []
    for start, end in ((0, 1700), (1700, 2100)):
        for at in range(start, end):
            before = train[max(start, at - 1000) : at]
            wanted.append(before.size >= 100 and train[at] > before.mean() + 7 * before.std())
    assert found.tolist() == wanted
    assert any(wanted)


def test_a_point_that_is_kept_in_spite_of_one_reason_may_have_another():
    found = reasons(points([10, 20, 10, 20], train=[3, np.inf, 3, 2]), keep=[Reason.OVERLAP, Reason.DUPLICATE])
    assert found == ["", "loss not finite", "", ""]


def test_a_kept_reason_is_never_given():
    assert reasons(points([10, 20, 10, 20]), keep=[Reason.OVERLAP]) == [""] * 4


LOSSES = st.sampled_from([NAN, 2.0, 3.0])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), LOSSES, LOSSES), max_size=25))
def test_overlaps_by_the_rule_written_out(rows):
    rows.sort(key=lambda row: row[0])
    run, step, loss, train = (np.array(column) for column in zip(*rows, strict=True)) if rows else [np.zeros(0)] * 4
    one = points(step, train=train, loss=loss, run=run)
    found = [reason in ("overlap after a restart", "exact duplicate") for reason in reasons(one)]
    for at, (its, place, value, trained) in enumerate(rows):
        later = [row for row in rows[at + 1 :] if row[0] == its]
        behind = any(row[1] < place for row in later)
        # of the points of this step, those that no later point sends away
        same = [
            other for k, other in enumerate(rows[at + 1 :], at + 1)
            if other[0] == its and other[1] == place and not any(r[0] == its and r[1] < place for r in rows[k + 1 :])
        ]  # fmt: skip
        again = (np.isnan(value) or any(not np.isnan(row[2]) for row in same)) and (
            np.isnan(trained) or any(not np.isnan(row[3]) for row in same)
        )
        assert found[at] == (behind or (bool(same) and again)), (at, rows)
