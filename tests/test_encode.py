"""What is written comes back: csv cells that a spreadsheet would run, any text, any number."""

from __future__ import annotations

import csv
import io
import string

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.encode import guard_formula, table_bytes, unguard_formula
from planner.runs.read import read_runs

HOSTILE = (
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    " =1",
    "'=1",
    "''=1",
    "'",
    "''",
    "-",
    "-1e5",
    "+.5",
    "\uff1d1",
)
# Texts as they come from UTF-8 files; a byte order mark at a file's start is the reader's to drop.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\ufeff"), max_size=12) | st.sampled_from(HOSTILE)


@given(TEXTS)
def test_a_guarded_text_comes_back(text):
    assert unguard_formula(guard_formula(text)) == text


@given(TEXTS)
def test_no_cell_begins_like_a_formula_unless_it_is_a_number(text):
    cell = guard_formula(text)
    if cell[:1] in tuple("=+-@\t\r\n \uff1d\uff0b\uff0d\uff20"):
        assert float(cell) is not None and not set(cell) - set(string.digits + "+-.eE")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(TEXTS.filter(bool), min_size=1, max_size=5))
def test_a_table_of_any_texts_comes_back(tmp_path_factory, kind, texts):
    path = tmp_path_factory.mktemp("t") / f"plan.{kind}"
    path.write_bytes(table_bytes(pd.DataFrame({"run_id": texts, "variant": texts[::-1], "tokens": 1.5}), kind))
    back = read_runs(path).frame
    assert list(back["run_id"]) == texts
    assert list(back["variant"]) == texts[::-1]
    assert list(back["tokens"]) == [1.5] * len(texts)


def test_numbers_are_never_guarded():
    frame = pd.DataFrame({"gain": [-1.5, 2.0], "seed": [-1, 3], "name": ["-1.5", "-x"]})
    rows = list(csv.reader(io.StringIO(table_bytes(frame, "csv").decode())))
    assert rows[1:] == [["-1.5", "-1", "-1.5"], ["2.0", "3", "'-x"]]
