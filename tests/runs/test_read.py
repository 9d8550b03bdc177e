"""Tables of runs are read exactly, under our names, and what cannot be read is refused with its place."""

import gzip
import re

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.encode import FORMATS, table_bytes
from planner.errors import InputError, PlannerError
from planner.runs import Where, read_runs

CSV = "run_id,params,tokens,loss\na,1e9,2e10,2.5\nb,2e9,4e10,2.25\n"
JSONL = '{"run_id": "a", "params": 1e9, "tokens": 2e10, "loss": 2.5}\n' * 2
quickly = settings(max_examples=100, deadline=None, derandomize=True)


def by_name(value: object) -> str:
    """Test ids without the files' contents."""
    return value if isinstance(value, str) and re.fullmatch(r"\w+(\.\w+)*", value) else ""


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("runs.csv", CSV),
        ("runs.CSV", CSV),
        ("runs.tsv", CSV.replace(",", "\t")),
        ("runs.txt", CSV.replace(",", "\t")),
        ("runs.csv.gz", gzip.compress(CSV.encode())),
        ("bom.csv", "\ufeff" + CSV),
        ("crlf.csv", CSV.replace("\n", "\r\n")),
        ("quoted.csv", CSV.replace("1e9", '"1e9"')),
        ("spaced.csv", CSV.replace(",", ", ")),
        ("runs.jsonl", JSONL),
        ("runs.ndjson", JSONL),
        ("runs.jsonl.gz", gzip.compress(JSONL.encode())),
        ("runs.parquet", table_bytes(pd.DataFrame({"params": [1e9], "tokens": [2e10], "loss": [2.5]}), "parquet")),
    ],
    ids=by_name,
)
def test_every_kind_of_table_is_read(write, name, content):
    table = read_runs(write(name, content))
    assert table.frame[["params", "tokens", "loss"]].iloc[0].tolist() == [1e9, 2e10, 2.5]
    assert table.source.endswith(name)
    assert len(table.sha256) == 64


numbers = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_written_table_reads_back_to_the_same_numbers(tmp_path_factory, kind):
    path = tmp_path_factory.mktemp(kind) / f"runs.{kind}"

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(
        st.lists(st.tuples(numbers, numbers, st.integers(0, 2**53), numbers | st.just(np.nan)), min_size=1, max_size=4)
    )
    def reads_back(rows):
        written = pd.DataFrame(rows, columns=["params", "tokens", "flops", "loss"])
        path.write_bytes(table_bytes(written, kind))
        read = read_runs(path).frame
        for name in written:
            np.testing.assert_array_equal(read[name], written[name].astype(float), strict=True)

    reads_back()


@pytest.mark.parametrize("kind", FORMATS)
def test_text_reads_back_as_written(write, kind):
    names = ["a", 'b,"c', "NA", "007", "x y", "é"]
    table = read_runs(write(f"runs.{kind}", table_bytes(pd.DataFrame({"run_id": names, "params": 1.0}), kind)))
    assert table.frame["run_id"].tolist() == names


def test_names_that_people_use_become_ours(write):
    table = read_runs(write("runs.csv", "Model Size,D,val_loss,lr\n1e9,2e10,2.5,3e-4\n"))
    assert table.mapped == {"Model Size": "params", "D": "tokens", "val_loss": "loss", "lr": "lr_peak"}
    assert table.frame[["params", "tokens", "loss", "lr_peak"]].iloc[0].tolist() == [1e9, 2e10, 2.5, 3e-4]


def test_a_column_that_is_already_ours_wins_over_an_alias(write):
    table = read_runs(write("runs.csv", "N,params,loss\n7,1e9,2.5\n"))
    assert table.frame["params"].tolist() == [1e9]
    assert table.frame["N"].tolist() == ["7"]


def test_a_given_name_wins_over_an_alias(write):
    table = read_runs(write("runs.csv", "N,mine,loss\n7,1e9,2.5\n"), columns={"mine": "params"})
    assert table.frame["params"].tolist() == [1e9]
    assert table.mapped == {"mine": "params"}


def test_a_given_name_that_is_not_there_is_refused(write):
    with pytest.raises(InputError, match=r"--column size=params: no column 'size'") as refusal:
        read_runs(write("runs.csv", CSV), columns={"size": "params"})
    assert "tokens" in refusal.value.hint


def test_two_columns_with_one_given_name_are_refused(write):
    with pytest.raises(InputError, match="two columns would be 'params'"):
        read_runs(write("runs.csv", "a,b,loss\n1,2,3\n"), columns={"a": "params", "b": "params"})


@pytest.mark.parametrize("header", ["params,params,loss", "N,N,loss"])
def test_two_columns_with_one_name_in_the_file_are_refused(write, header):
    with pytest.raises(InputError, match=r"two columns"):
        read_runs(write("runs.csv", f"{header}\n1,2,3\n"))


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("runs.csv", "params,loss\n1e9,2.5\n1B,2.5\n", 3),
        ("blank.csv", "params,loss\n1e9,2.5\n\n1B,2.5\n", 4),
        ("note.csv", 'params,loss,note\n1e9,2.5,"two\nlines"\n1B,2.5,\n', 4),
        ("runs.tsv", "params\tloss\n1B\t2.5\n", 2),
        ("runs.jsonl", '{"params": 1e9}\n{"params": "1B"}\n', 2),
    ],
    ids=by_name,
)
def test_text_in_a_number_column_names_the_line(write, name, content, line):
    with pytest.raises(InputError, match=rf"{name}: line {line}: column 'params' holds '1B', which is not a number"):
        read_runs(write(name, content))


@pytest.mark.parametrize("missing", ["", "nan", "NA", "null", "None", "-"])
def test_a_missing_number_stays_missing(write, missing):
    assert np.isnan(read_runs(write("runs.csv", f"params,loss\n1e9,{missing}\n")).frame["loss"][0])


def test_an_integer_column_with_a_null_is_read(write, tmp_path):
    path = tmp_path / "runs.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * FROM (VALUES (1000000000, 2.5), (NULL, 2.25)) t(tokens, loss)) TO '{path}' (FORMAT parquet)"
        )
    np.testing.assert_array_equal(read_runs(path).frame["tokens"], [1e9, np.nan])


def test_flops_logged_as_a_whole_number_are_read(write):
    flops = 6 * 37_552_297_472 * 14_800_000_000_000
    assert flops > 2**64
    assert read_runs(write("runs.jsonl", f'{{"params": 1, "flops": {flops}}}\n')).frame["flops"][0] == float(flops)


def test_a_run_id_does_not_change_when_another_row_has_none(write):
    table = read_runs(write("runs.jsonl", '{"run_id": 7, "params": 1}\n{"params": 2}\n'))
    assert table.frame["run_id"].tolist() == ["7", ""]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", "", "the file is empty"),
        ("blank.csv", "\n\n", "not readable as csv: No columns"),
        ("header.csv", "params,tokens,loss\n", "a header and no rows"),
        ("header.parquet", table_bytes(pd.DataFrame({"params": [1.0]})[:0], "parquet"), "a header and no rows"),
        ("runs.xlsx", CSV, "unknown kind of table 'xlsx'"),
        ("runs", CSV, "unknown kind of table 'runs'"),
        ("runs.gz", gzip.compress(CSV.encode()), "unknown kind of table 'runs'"),
        ("open.csv", 'params,loss\n"1,2\n', "not readable as csv"),
        ("long.csv", "params,loss\n1,2\n1,2,3\n", "not readable as csv: .*line 3"),
        ("latin.csv", "params,lo\u00df\n1,2\n".encode("latin-1"), "not readable as csv: .*decode"),
        ("cut.csv.gz", gzip.compress(CSV.encode() * 99)[:40], "not readable as csv"),
        ("plain.csv.gz", CSV, "not readable as csv"),
        ("cut.jsonl", '{"params": 1', "not readable as jsonl"),
        ("list.jsonl", "[1, 2]\n", "not readable as jsonl"),
        ("number.jsonl", "1\n2\n", "not readable as jsonl"),
        ("junk.parquet", "PAR1 and nothing", "not readable as parquet"),
        ("junk.csv", bytes(range(256)) * 4, "not readable as csv"),
    ],
    ids=by_name,
)
def test_a_file_that_is_no_table_is_refused(write, name, content, message):
    with pytest.raises(InputError, match=f"{name}: {message}") as refusal:
        read_runs(write(name, content))
    assert refusal.value.hint


def test_a_first_row_longer_than_the_header_is_refused(write):
    with pytest.raises(InputError, match=r"wide\.csv"):
        read_runs(write("wide.csv", "params,tokens,loss\n1e9,2e10,2.5,7\n"))


def test_a_short_row_leaves_its_last_cells_missing(write):
    assert np.isnan(read_runs(write("short.csv", "params,tokens,loss\n1,2\n")).frame["loss"][0])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"runs\.csv: no such file"):
        read_runs(tmp_path / "runs.csv")


def test_a_folder_instead_of_a_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder, not a file") as refusal:
        read_runs(tmp_path)
    assert str(tmp_path) in refusal.value.message


def test_where_sees_their_names_and_ours_and_is_counted(write):
    path = write("runs.csv", "N,loss,ok\n1e9,2.5,true\n2e9,2.25,true\n3e9,2.0,false\n")
    for text in ("N>1e9,ok", "params>1e9,ok"):
        table = read_runs(path, where=Where.parse(text))
        assert table.frame["params"].tolist() == [2e9]
        assert table.frame["line"].tolist() == [3]
        assert table.n_filtered == 2


def test_where_leaves_out_a_cell_that_could_not_be_read(write):
    table = read_runs(write("runs.csv", "params,loss,ok\n1B,2.5,no\n2e9,2.25,yes\n"), where=Where.parse("ok"))
    assert table.frame["params"].tolist() == [2e9]


def test_where_that_no_row_meets_is_refused(write):
    with pytest.raises(InputError, match="no row meets --where") as refusal:
        read_runs(write("runs.csv", CSV), where=Where.parse("params>1e30"))
    assert "2 rows were read" in refusal.value.hint


@pytest.mark.parametrize("name", ["any.csv", "any.tsv", "any.csv.gz", "any.jsonl", "any.parquet"])
def test_any_bytes_are_a_table_or_a_planner_error(tmp_path_factory, name):
    path = tmp_path_factory.mktemp("any") / name
    cells = st.text('N,D\n\r\t"{}[]:01e.-\0 \ufeff', max_size=40).map(str.encode)

    @quickly
    @given(st.binary(max_size=60) | cells | cells.map(lambda tail: b"params,loss\n" + tail))
    def reads_or_refuses(content):
        path.write_bytes(content)
        try:
            table = read_runs(path)
        except PlannerError as refusal:
            assert name in refusal.message
        else:
            assert len(table.frame) > 0

    reads_or_refuses()
