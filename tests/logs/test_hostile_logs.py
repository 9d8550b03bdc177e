"""Logs that are broken, strange or hostile: one clear error, or a count of what was left out; never a traceback."""

import gzip
import json
import os
import pickle

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.encode import table_bytes
from planner.errors import InputError, PlannerError
from planner.logs.database import held
from planner.logs.importing import Settings, read_logs
from planner.logs.readers import READERS, separated
from planner.logs.source import Source, scrubbed

ROWS = pd.DataFrame({"run_id": "a", "step": range(1, 201), "loss": [3 - 0.005 * at for at in range(200)]})
NAMES = ["<script>alert(1)</script>", "x'; DROP TABLE points; --", "[bold red]hi[/]", "$(touch /tmp/owned)", 'quo"te', "naïve ☃",
         "../../etc/passwd", "a\x1b[31mb", "{json}", "a,b", "%s%n", "=1+1", "'@x"]  # fmt: skip


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_gzip_that_ends_early_is_refused_by_name(tmp_path):
    packed = gzip.compress(os.urandom(20000).hex().encode() + table_bytes(ROWS, "csv"))
    (tmp_path / "log.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match=r"log.csv.gz: its gzip stream is damaged"):
        read_logs(["log.csv.gz"])
    packed = gzip.compress(b"".join(b'{"step": %d, "loss": 2.%d}\n' % (at, at) for at in range(9000)))
    (tmp_path / "log.jsonl.gz").write_bytes(packed[:-500])
    with pytest.raises(InputError, match=r"log.jsonl.gz: not readable as jsonl: Unexpected end of GZIP stream$"):
        read_logs(["log.jsonl.gz"])


def test_a_parquet_file_that_ends_early_is_refused_by_name(tmp_path):
    whole = table_bytes(ROWS, "parquet")
    (tmp_path / "log.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"log.parquet: not readable as parquet: No magic bytes found at end of file$"):
        read_logs(["log.parquet"])


def test_lines_that_are_no_objects_are_skipped_and_counted(tmp_path):
    lines = [json.dumps(row) for row in ROWS.to_dict("records")]
    lines[50] = lines[50][:17]
    lines[60:60] = ["[1, 2]", '"text"', ""]
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, lines[-1][:20]]))
    found = read_logs(["log.jsonl"])
    assert found.skipped == {"line that is not a JSON object, or is cut in half": 4}
    assert found.n_points == 199


def test_csv_lines_with_too_few_or_too_many_cells_are_skipped_and_counted(tmp_path):
    lines = table_bytes(ROWS, "csv").decode().splitlines()
    lines[10], lines[20] = "a,9", lines[20] + ",1"
    (tmp_path / "log.csv").write_text("\n".join([*lines, "a,20"]))
    found = read_logs(["log.csv"])
    assert found.skipped == {"line with missing columns": 2, "line with too many columns": 1}
    assert found.n_points == 198


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_csv_in_other_encodings_is_read(tmp_path, encoding):
    rows = ROWS.assign(run_id="größe")
    (tmp_path / "log.csv").write_bytes(rows.to_csv(index=False).encode(encoding))
    found = read_logs(["log.csv"])
    assert found.frame["run_id"].tolist() == ["größe"]
    assert found.n_points == 200


def test_csv_of_mixed_encodings_keeps_the_lines_that_are_utf8(tmp_path):
    lines = ROWS.assign(run_id="größe").to_csv(index=False).splitlines()
    (tmp_path / "log.csv").write_bytes(
        b"\n".join(line.encode("latin-1" if at == 7 else "utf-8") for at, line in enumerate(lines))
    )
    found = read_logs(["log.csv"])
    assert (found.frame["run_id"].tolist(), found.n_points) == (["größe"], 199)
    assert found.skipped == {"line that is not UTF-8": 1}


def test_a_csv_that_is_neither_utf8_nor_latin1_is_told_so(tmp_path):
    (tmp_path / "log.csv").write_bytes(ROWS.assign(run_id="“a”").to_csv(index=False).encode("cp1252"))
    with pytest.raises(InputError, match="neither UTF-8 nor Latin-1") as error:
        read_logs(["log.csv"])
    assert error.value.hint == "save it as UTF-8"


def test_jsonl_of_mixed_encodings_keeps_the_lines_that_are_utf8(tmp_path):
    lines = [json.dumps({**row, "note": "é"}, ensure_ascii=False) for row in ROWS.to_dict("records")]
    (tmp_path / "log.jsonl").write_bytes(
        b"\n".join(line.encode("latin-1" if at == 7 else "utf-8") for at, line in enumerate(lines))
    )
    found = read_logs(["log.jsonl"])
    assert found.n_points == 199
    assert sum(found.skipped.values()) == 1


def test_numbers_that_are_none_are_read_as_what_they_mean(tmp_path):
    lines = ['{"step": 1, "loss": 3}', '{"step": 2, "loss": NaN}', '{"step": 3, "loss": Infinity}', '{"step": 4, "loss": "nan"}',
             '{"step": 5, "loss": null}', '{"step": 6, "loss": 2.5}']  # fmt: skip
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    found = read_logs(["log.jsonl"])
    assert found.dropped == {"loss not finite": 3}
    assert found.frame["loss"].tolist() == [2.5]


def test_a_number_of_thousands_of_digits_does_not_cost_its_line(tmp_path):
    """Python makes no whole number of more than 4,300 digits."""
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 3}\n{"step": 2, "loss": 2, "x": ' + "9" * 5000 + "}\n")
    found = read_logs(["log.jsonl"])
    assert (found.n_points, found.skipped) == (2, {})


def test_a_line_of_many_megabytes_is_refused_without_being_held(tmp_path):
    with (tmp_path / "log.jsonl").open("wb") as file:
        file.write(b'{"step": 1, "loss": 3}\n{"step": 2, "note": "')
        for _ in range(64):
            file.write(b"a" * (1 << 20))
        file.write(b'"}\n')
    with pytest.raises(InputError, match=r"log.jsonl: a line of more than 16 MiB"):
        read_logs(["log.jsonl"])


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
@pytest.mark.parametrize("length", [200_000, 5_000_000], ids=["held", "longer than DuckDB's buffer"])
def test_a_csv_line_that_is_too_long_is_skipped_and_counted(tmp_path, monkeypatch, ending, length):
    monkeypatch.setattr(separated, "LONGEST", 100_000)
    monkeypatch.setattr(separated, "BUFFER", 1_600_000)
    content = b"run_id,step,loss\na,1,3\na,2," + b"9" * length + b"\na,3,2.5\n"
    (tmp_path / f"log.{ending}").write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    found = read_logs([f"log.{ending}"])
    assert (found.n_points, found.skipped) == (2, {"line of more than 16 MB": 1})


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_numbers_grouped_by_commas_are_numbers_in_tables_of_text(tmp_path, kind):
    rows = pd.DataFrame(
        {"run_id": "a", "step": ["1,000", "2,000"], "tokens": ["2,048,000", "4,096,000"], "loss": ["3", "2.5"]}
    )
    (tmp_path / f"log.{kind}").write_bytes(table_bytes(rows, kind))
    found = read_logs([f"log.{kind}"])
    assert found.n_points == 2 and found.frame[["tokens", "loss"]].values.tolist() == [[4_096_000, 2.5]]


def test_a_decimal_comma_is_no_number(tmp_path):
    """Read as one that groups digits it would make 25 of a loss of 2,5."""
    (tmp_path / "log.tsv").write_text("run_id\ttokens\tloss\na\t1,000,000\t2,5\n")
    with pytest.raises(InputError, match="column 'loss' is not all numbers: row 1 holds '2,5'"):
        read_logs(["log.tsv"])


def test_rows_whose_step_is_no_number_are_skipped_and_counted(tmp_path):
    """An empty step is that of a row that tells something else, a setting for instance."""
    (tmp_path / "log.csv").write_text("run_id,step,loss\na,1,3\na,2,2.9\na,x,2.8\na,,2.7\nb,1,3\nb,1e400,2\n")
    found = read_logs(["log.csv"])
    assert (found.n_points, found.skipped) == (3, {"row whose step is no number": 2})


def test_a_format_that_is_named_reads_a_file_of_any_ending_but_no_pickle(tmp_path):
    (tmp_path / "log.txt").write_bytes(table_bytes(ROWS, "jsonl"))
    with pytest.raises(InputError, match="no reader fits"):
        read_logs(["log.txt"])
    assert read_logs(["log.txt"], Settings(reader="jsonl")).n_points == 200
    (tmp_path / "log.pkl").write_bytes(table_bytes(ROWS, "jsonl"))
    with pytest.raises(InputError, match="a pickle"):
        read_logs(["log.pkl"], Settings(reader="jsonl"))


def test_what_is_printed_obeys_no_name_and_shows_no_name_of_ours(planner, tmp_path):
    rows = [
        {**row, "run_id": name, name: at} for name in NAMES for at, row in enumerate(ROWS.head(3).to_dict("records"))
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({**row, "lr_peak": 1e-3}) + "\n" for row in rows))
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({**row, "peak_lr": 2e-3}) + "\n" for row in rows))
    done = planner("import", "a.jsonl", "b.jsonl", "-o", "out")
    assert done.code == 0 and "\x1b" not in done.out + done.err
    for name in NAMES:
        assert repr(name)[1:-1] in done.out.replace("\\\\", "\\"), name
    (mapped,) = (line for line in done.out.splitlines() if line.startswith("columns: "))
    assert mapped == "columns: peak_lr -> lr_peak"
    assert not list(tmp_path.rglob("owned"))


def test_steps_and_clocks_that_go_back_are_a_restart(tmp_path):
    rows = pd.concat([ROWS, ROWS[100:]]).assign(time=[*range(1000, 1200), *range(900, 1000)])
    rows.to_csv("log.csv", index=False)
    found = read_logs(["log.csv"])
    assert found.dropped == {"exact duplicate": 100}


def test_a_pickle_is_refused_and_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'owned'}",))

    (tmp_path / "log.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="a pickle"):
        read_logs(["log.pkl"])
    (tmp_path / "log.csv").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="a pickle"):
        read_logs(["log.csv"])
    assert not (tmp_path / "owned").exists()


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    ROWS.to_csv(tmp_path / "secret.csv", index=False)
    logs = tmp_path / "logs"
    logs.mkdir()
    ROWS.assign(run_id="inside").to_csv(logs / "mine.csv", index=False)
    (logs / "link.csv").symlink_to(tmp_path / "secret.csv")
    (logs / "folder").symlink_to(tmp_path)
    assert read_logs(["logs"]).frame["run_id"].tolist() == ["inside"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_names_stay_text_whatever_they_hold(tmp_path, kind):
    rows = pd.concat([ROWS.assign(run_id=name, **{'odd "column" \'; --': name}) for name in NAMES], ignore_index=True)
    (tmp_path / f"log.{kind}").write_bytes(table_bytes(rows, kind))
    found = read_logs([f"log.{kind}"])
    assert sorted(found.frame["run_id"]) == sorted(NAMES)
    assert found.n_points == len(rows)


@pytest.mark.parametrize("name", ["a'b.jsonl", "x*[y]?.jsonl", "; rm -rf.jsonl", "<b>.jsonl"])
def test_file_names_stay_names(tmp_path, name):
    (tmp_path / "logs").mkdir()
    ROWS.drop(columns="run_id").to_json(tmp_path / "logs" / name, orient="records", lines=True)
    ROWS.drop(columns="run_id").to_json(tmp_path / "logs" / "xzyq.jsonl", orient="records", lines=True)
    assert sorted(read_logs(["logs"]).frame["run_id"]) == sorted([f"logs/{name.removesuffix('.jsonl')}", "logs/xzyq"])


def test_credentials_reach_no_message_and_no_file(tmp_path):
    secret = "hunter2"  # noqa: S105
    for address in (
        f"mysql://user:{secret}@host/db",
        f"https://host/x?api_key={secret}&y=1",
        f"s3://b/c?X-Amz-Signature={secret}",
    ):
        assert secret not in scrubbed(address)
        with pytest.raises(PlannerError) as caught:
            read_logs([address])
        assert secret not in caught.value.message + caught.value.hint


def test_a_table_without_anything_known_says_so(tmp_path):
    (tmp_path / "log.csv").write_text("colour,shape\nred,round\n")
    with pytest.raises(InputError, match="no run in it"):
        read_logs(["log.csv"])
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InputError, match="no header"):
        read_logs(["empty.csv"])


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
@given(content=st.one_of(
    st.binary(max_size=400),
    st.binary(max_size=200).map(gzip.compress),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.dictionaries(st.sampled_from(["step", "loss", "run_id", "lr", "a.b", "x"]), st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2),
        st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)), max_size=4), max_size=5).map(
            lambda rows: "\n".join(map(json.dumps, rows)).encode()),
))  # fmt: skip
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_reader_raises_nothing_but_our_own_errors_on_random_bytes(tmp_path_factory, reader, content):
    folder = tmp_path_factory.mktemp("bytes")
    for ending in (
        ".csv",
        ".tsv",
        ".csv.gz",
        ".jsonl",
        ".jsonl.gz",
        ".parquet",
        ".json",
        ".log",
        ".txt",
        ".db",
        ".wandb",
    ):
        file = folder / f"log{ending}"
        file.write_bytes(content)
        try:
            parts = reader.claim(Source.of(str(file)))
            if parts:
                read_logs([file], Settings(reader=reader.name))
        except PlannerError:
            pass
        file.unlink()


WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8).filter(
    lambda text: text == text.strip()
)
FORMULAS = st.sampled_from(["=1+1", "-x", "+a", "@b", "'=q", "'", "1e5", "=", "007", "true"])
cells = st.floats(min_value=0.1, max_value=20)


@given(
    losses=st.lists(st.lists(cells, min_size=1, max_size=6), min_size=1, max_size=4),
    names=st.lists(WORDS | FORMULAS, min_size=4, max_size=4, unique=True),
    kind=st.sampled_from(["csv", "jsonl", "parquet"]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_importing_what_was_exported_gives_the_same_table(tmp_path_factory, losses, names, kind):
    folder = tmp_path_factory.mktemp("round")
    rows = [
        {"run_id": name, "step": step, "eval/x/loss": value, "tokens": 1000.0 * step, "seed": float(at)}
        for at, (name, values) in enumerate(zip(names, losses, strict=False))
        for step, value in enumerate(values, start=1)
    ]
    (folder / "log.jsonl").write_bytes(table_bytes(pd.DataFrame(rows), "jsonl"))
    once = read_logs([folder / "log.jsonl"]).frame
    (folder / f"runs.{kind}").write_bytes(table_bytes(once, kind))
    again = read_logs([folder / f"runs.{kind}"]).frame
    both = ["run_id", "status", "tokens", "loss", "seed", "is_final", "loss_unit", "loss_name"]
    pd.testing.assert_frame_equal(
        once[both].sort_values("run_id", ignore_index=True), again[both].sort_values("run_id", ignore_index=True),
        check_exact=True,
    )  # fmt: skip


def test_the_store_holds_points_as_they_were_logged(tmp_path):
    ROWS.to_csv("log.csv", index=False)
    with held(None) as connection:
        read_logs(["log.csv"], database=connection)
        points = connection.execute("SELECT step, loss FROM points ORDER BY step").df()
    pd.testing.assert_frame_equal(points, ROWS[["step", "loss"]], check_dtype=False)
