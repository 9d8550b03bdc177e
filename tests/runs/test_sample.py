"""From a table to the sample that a law is fitted to: what is dropped is counted, what is wrong is named."""

import numpy as np
import pytest

from planner.errors import InputError
from planner.runs import read_runs, sample_of
from planner.runs.columns import Count
from planner.runs.sample import choose_count, groups_of


@pytest.fixture
def table(tmp_path):
    def table(text):
        path = tmp_path / "runs.csv"
        path.write_text(text, encoding="utf-8")
        return read_runs(path)

    return table


def test_arrays_are_the_columns(table):
    sample = sample_of(table("params,tokens,loss\n1e9,2e10,2.5\n2e9,4e10,2.25\n"))
    np.testing.assert_array_equal(sample.params, [1e9, 2e9])
    np.testing.assert_array_equal(sample.tokens, [2e10, 4e10])
    np.testing.assert_array_equal(sample.loss, [2.5, 2.25])
    np.testing.assert_array_equal(sample.flops, [1.2e20, 4.8e20])
    assert (sample.count, sample.group, sample.loss_unit) == (Count.PARAMS, "", "nats_per_token")
    assert sample.dropped == {}
    assert sample.notes == ()


@pytest.mark.parametrize("value", ["0", "-1", "inf"])
@pytest.mark.parametrize("column", ["params", "tokens", "loss"])
def test_a_number_that_is_not_positive_and_finite_is_named(table, column, value):
    row = {"params": "1e9", "tokens": "2e10", "loss": "2.5"} | {column: value}
    with pytest.raises(InputError, match=rf"line 3: column '{column}' is {value}, which is not above zero") as refusal:
        sample_of(table(f"params,tokens,loss\n1e9,2e10,2.5\n{','.join(row.values())}\n"))
    assert f"{column}>0" in refusal.value.hint


@pytest.mark.parametrize("value", ["nan", ""])
@pytest.mark.parametrize("column", ["params", "tokens", "loss"])
def test_a_missing_number_is_named(table, column, value):
    row = {"params": "1e9", "tokens": "2e10", "loss": "2.5"} | {column: value}
    with pytest.raises(InputError, match=f"line 2: column '{column}' is missing"):
        sample_of(table(f"params,tokens,loss\n{','.join(row.values())}\n"))


def test_unfinished_runs_are_dropped_and_counted(table):
    rows = ["completed,2.5", "Finished,2.25", ",2.1", "failed,", "failed,", "diverged,nan", "running,9", "preempted,-1"]
    sample = sample_of(table("params,tokens,status,loss\n" + "".join(f"1e9,2e10,{row}\n" for row in rows)))
    np.testing.assert_array_equal(sample.loss, [2.5, 2.25, 2.1])
    assert sample.dropped == {
        "status failed": 2, "status diverged": 1, "status running": 1, "status preempted": 1,
    }  # fmt: skip


def test_variants_are_dropped_and_counted(table):
    sample = sample_of(table("params,tokens,loss,variant\n1,1,2.5,baseline\n1,1,2.4,qk-norm\n1,1,2.3,muon\n"))
    np.testing.assert_array_equal(sample.loss, [2.5])
    assert sample.dropped == {"variant": 2}


def test_checkpoints_that_are_not_final_are_dropped_and_counted(table):
    sample = sample_of(table("params,tokens,loss,is_final\n1,1,2.5,false\n1,2,2.4,True\n1,3,2.3,0\n1,4,2.2,1\n"))
    np.testing.assert_array_equal(sample.tokens, [2, 4])
    assert sample.dropped == {"not final": 2}


def test_every_row_is_kept_or_counted(table):
    rows = ["completed,baseline,true", "failed,baseline,true", "completed,idea,true", "completed,baseline,false"]
    found = table("params,tokens,loss,status,variant,is_final\n" + "".join(f"1,1,2.5,{row}\n" for row in rows))
    sample = sample_of(found)
    assert sample.loss.size + sum(sample.dropped.values()) == len(rows)


def test_no_finished_run_is_refused_with_what_was_dropped(table):
    with pytest.raises(
        InputError, match="no finished run is left; dropped: 1 status failed, 1 status running"
    ) as refusal:
        sample_of(table("params,tokens,loss,status\n1,1,2.5,failed\n1,1,2.5,running\n"))
    assert "completed" in refusal.value.hint


@pytest.mark.parametrize("column", ["loss_name", "loss_unit", "flops_rule"])
def test_mixed_losses_are_refused(table, column):
    with pytest.raises(InputError, match=f"runs differ in {column}: 'c4', 'pile'") as refusal:
        sample_of(table(f"params,tokens,loss,{column}\n1,1,2.5,pile\n1,1,2.5,c4\n"))
    assert f"--where {column}=" in refusal.value.hint


def test_a_failed_run_does_not_mix_losses(table):
    text = "params,tokens,loss,loss_name,status\n1,1,2.5,c4,completed\n1,1,2.5,pile,failed\n"
    assert sample_of(table(text)).loss.size == 1


SEVERAL = "params_total,params_active,tokens,loss\n8e9,1e9,2e10,2.5\n"


def test_several_columns_of_parameters_without_a_choice_are_refused(table):
    with pytest.raises(InputError, match="several columns of parameters: params_total, params_active") as refusal:
        sample_of(table(SEVERAL))
    assert refusal.value.hint == "choose one: --count params_total"


def test_the_chosen_column_of_parameters_is_used(table):
    sample = sample_of(table(SEVERAL), count=Count.ACTIVE)
    np.testing.assert_array_equal(sample.params, [1e9])
    assert sample.count is Count.ACTIVE


def test_a_chosen_column_that_is_not_there_is_refused(table):
    with pytest.raises(InputError, match="no column 'params_non_embedding'") as refusal:
        choose_count(table(SEVERAL), Count.NON_EMBEDDING)
    assert "params_total, params_active" in refusal.value.hint


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("size,tokens,loss", "no column of parameters"),
        ("params,steps,loss", "no column 'tokens'"),
        ("params,tokens,perplexity", "no column 'loss'"),
    ],
)
def test_a_missing_column_is_named(table, header, message):
    with pytest.raises(InputError, match=message) as refusal:
        sample_of(table(f"{header}\n1,1,2.5\n"))
    assert "--column" in refusal.value.hint


GROUPED = "group,params,tokens,loss\nb,1,1,2.5\na,1,1,2.25\nb,1,1,2.0\n"


def test_groups_come_in_order_of_appearance(table):
    found = table(GROUPED)
    assert groups_of(found) == ["b", "a"]
    np.testing.assert_array_equal(sample_of(found, group="b").loss, [2.5, 2.0])
    assert sample_of(found, group="a").group == "a"


def test_a_table_without_groups_is_one(table):
    assert groups_of(table("params,tokens,loss\n1,1,2.5\n")) == [""]


def test_an_unknown_group_is_refused(table):
    with pytest.raises(InputError, match="no group 'c'") as refusal:
        sample_of(table(GROUPED), group="c")
    assert refusal.value.hint == "groups: b, a"


def test_the_hash_follows_the_numbers(table):
    one, same = (sample_of(table("params,tokens,loss\n1,1,2.5\n")) for _ in range(2))
    other = sample_of(table("params,tokens,loss\n1,1,2.5000000000000004\n"))
    assert one.sha256 == same.sha256 != other.sha256


def test_a_part_of_a_sample_keeps_its_rows(table):
    sample = sample_of(table("params,tokens,loss\n1,1,2.5\n2,2,2.25\n"))
    part = sample.at(np.array([False, True]))
    assert (part.params.tolist(), part.tokens.tolist(), part.loss.tolist()) == ([2.0], [2.0], [2.25])


@pytest.mark.parametrize("loss", ["0.5", "40"])
def test_a_loss_that_is_unusual_for_its_unit_is_noted(table, loss):
    (note,) = sample_of(table(f"params,tokens,loss\n1,1,{loss}\n")).notes
    assert "check the unit" in note


def test_pooled_studies_are_noted(table):
    (note,) = sample_of(table("params,tokens,loss,study\n1,1,2.5,scaling\n1,1,2.5,ideas\n")).notes
    assert "ideas, scaling" in note


def test_only_what_the_law_speaks_of_is_demanded(table):
    found = table("params,params_total,flops,loss\n,1e9,1e20,2.5\n2e9,2e9,1e21,2.25\n")
    sample = sample_of(found, variables=("flops",))
    np.testing.assert_array_equal(sample.columns(["flops"])[0], [1e20, 1e21])
    assert sample.count is None
    assert np.isnan(sample.params).all()
    assert "tokens" not in sample.named
    with pytest.raises(InputError, match="several columns of parameters"):
        sample_of(found, variables=("params",))
    with pytest.raises(InputError, match="no column 'tokens'"):
        sample_of(found, variables=("tokens",))


def test_the_hash_covers_every_column_a_law_may_speak_of(table):
    one, other = (sample_of(table(f"flops,loss\n{flops},2.5\n"), variables=("flops",)) for flops in ("1e20", "2e20"))
    assert one.sha256 != other.sha256
