"""The grammar of --where: what it keeps, what it refuses, and that it never runs code."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.runs.where import Where

TABLE = pd.DataFrame(
    {
        "params": ["1e9", "2000000000", "10e9", ""],
        "is_final": ["true", "False", "1", ""],
        "study": ["scaling", "ideas", "scaling", "hyper parameters"],
        "eval/loss": ["2.5", "2.25", "2.0", "nan"],
    }
)
quickly = settings(max_examples=100, deadline=None, derandomize=True)


def kept(text: str) -> list[int]:
    return list(TABLE.index[Where.parse(text).keep(TABLE)])


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("params<2e9", [0]),
        ("params<=2e9", [0, 1]),
        ("params>2e9", [2]),
        ("params>=2e9", [1, 2]),
        ("params=2e9", [1]),
        ("params!=2e9", [0, 2, 3]),
        ("study=scaling", [0, 2]),
        ("study!=scaling", [1, 3]),
        ("study = hyper parameters", [3]),
        ("is_final", [0, 2]),
        ("!is_final", [1, 3]),
        ("eval/loss < 2.4", [1, 2]),
        ("is_final,params>=1e9,study=scaling", [0, 2]),
        (" is_final , params > 1e9 ", [2]),
        ("params>=2B", [1, 2]),
        ("params=2B", [1]),
        ("params!=2B", [0, 2, 3]),
        ("params<-1", []),
    ],
)
def test_a_condition_keeps_its_rows(text, rows):
    assert kept(text) == rows


def test_a_missing_number_meets_no_comparison():
    assert 3 not in kept("params<1e30")
    assert 3 not in kept("params>-1e30")
    assert 3 not in kept("eval/loss>=0")


def test_text_equality_is_exact():
    assert kept("study=Scaling") == []
    assert kept("study=scal") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "is_final,",
        "params==1",
        "params==1; import os",
        "__import__('os')",
        "__import__('os').system('true')=1",
        "params<=>1",
        "params<1<2",
        "params<",
        "=1",
        "!params=1",
        "!!is_final",
        "1<params",
        "params>1 or `rm`<2",
        "(params)",
        "params[0]>1",
        "@x",
    ],
)
def test_what_is_outside_the_grammar_is_refused(text):
    with pytest.raises(InputError, match="is outside the grammar") as refusal:
        Where.parse(text)
    assert "column=value" in refusal.value.hint


def test_a_value_that_looks_like_code_is_only_compared():
    assert kept("study=scaling; import os") == []
    assert kept("study=__import__('os')") == []


@pytest.mark.parametrize("limit", ["b", "nan", "true", "0x10", "1e400", "1e999999999"])
def test_a_comparison_with_text_is_refused(limit):
    with pytest.raises(InputError, match=f"'params<{limit}' is outside the grammar: '{limit}' is not a number"):
        Where.parse(f"params<{limit}")


def test_an_unknown_column_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="no column 'parms'") as refusal:
        kept("parms>1")
    assert "params" in refusal.value.hint


@pytest.mark.parametrize("text", ["study", "!study"])
def test_a_bare_column_that_is_not_true_or_false_is_refused(text):
    with pytest.raises(InputError, match="'study' is not true/false: it holds 'scaling'") as refusal:
        kept(text)
    assert "study=value" in refusal.value.hint


@quickly
@given(st.text() | st.text("params!<>=,1e9_ study()';.", max_size=40))
def test_any_text_is_parsed_or_refused(text):
    try:
        where = Where.parse(text)
    except InputError as refusal:
        assert "outside the grammar" in refusal.message
    else:
        assert len(where.clauses) == text.count(",") + 1


@quickly
@given(st.sampled_from(["", "!"]), st.sampled_from(list(TABLE)), st.sampled_from(["", "<", ">=", "=", "!="]), st.text())
def test_any_condition_on_a_column_keeps_rows_or_is_refused(negated, column, symbol, value):
    text = f"{negated}{column}{symbol}{value}"
    try:
        mask = Where.parse(text).keep(TABLE)
    except InputError as refusal:
        assert refusal.message.startswith("--where: ")
    else:
        assert mask.dtype == bool
        assert len(mask) == len(TABLE)
