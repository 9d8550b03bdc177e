"""Rows of many runs, from the files straight into the database: no row becomes a Python object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pandas as pd

from planner.logs.database import value_of
from planner.logs.history import HISTORY, add_measures
from planner.logs.load import Loaded, Register, append_new
from planner.logs.measures import Measures, listed
from planner.logs.names import NATS
from planner.logs.normalise import PREFIXES, Columns, columns_of, settings_of
from planner.logs.row_table import load_rows, other_setting, quoted, segment_of
from planner.logs.segment import Bulk
from planner.logs.units import in_nats
from planner.runs.where import TRUE

FILE = "planner_file"
UNCLOSED = "quote that is not closed, with all lines up to the next quote"


def load_bulk(connection: duckdb.DuckDBPyConnection, register: Register, bulk: Bulk, loaded: Loaded) -> None:
    """One bulk table into the database: its runs become segments, its rows points or, one row per run, settings."""
    if bulk.slow:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE parsed AS SELECT * FROM {bulk.scan}", list(bulk.parameters))
        if bulk.rejects:
            _count_rejects(connection, loaded)
        bulk = replace(bulk, scan="parsed", parameters=[])
    columns = columns_of(bulk.columns, dialect=bulk.dialect, given=loaded.given)
    columns = _with_row_ids(columns, by_file=False)
    told = {*columns.points, *columns.settings}
    # Tokens stand for steps; but rows that tell a state are attempts.
    if {"tokens", ROW_ID} <= told and "step" not in told and "status" not in told:
        columns = replace(columns, points={**columns.points, "step": columns.points["tokens"]})
    groups = _groups(connection, bulk, columns) if "step" in columns.points else []
    if ROW_ID in columns.settings and _told_once(groups):
        columns = _with_row_ids(columns, by_file=True)
        groups = _groups(connection, bulk, columns)
    if all(group.rows <= 1 for group in groups):
        load_rows(connection, register, bulk, loaded)
    else:
        _load_history(connection, register, bulk, columns, groups, loaded)
    if bulk.slow:
        connection.execute("DROP TABLE parsed")


def _count_rejects(connection: duckdb.DuckDBPyConnection, loaded: Loaded) -> None:
    """Lines that were no rows, by what is wrong with them."""
    for kind, number in connection.execute(
        "SELECT lower(error_type::VARCHAR), count(*) FROM reject_errors GROUP BY 1"
    ).fetchall():
        loaded.skipped[UNCLOSED if kind == "unquoted value" else f"line with {kind}"] += int(number)
    connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")


# The setting run_id where every row says it; else it is said once for a file, in its config for instance.
ROW_ID = "row_id"


def _with_row_ids(columns: Columns, *, by_file: bool) -> Columns:
    """Whether the run's id stands on every row, as a table has it, or is a setting of the file."""
    settings = dict(columns.settings)
    if by_file:
        settings["run_id"] = settings.pop(ROW_ID)
    elif "run_id" in settings and not settings["run_id"].theirs.lower().startswith(PREFIXES):
        settings[ROW_ID] = settings.pop("run_id")
    return replace(columns, settings=settings)


def _told_once(groups: Iterable[_Group]) -> bool:
    """Whether rows with steps carry no id, and each file says one beside them."""
    ids: dict[str, set[str]] = defaultdict(set)
    bare = {group.file for group in groups if group.key is None and group.stepped}
    for group in groups:
        if group.key is not None:
            ids[group.file].add(group.key)
            if group.stepped:
                return False
    return bool(bare) and all(len(ids[file]) <= 1 for file in bare)


@dataclass(frozen=True)
class _Group:
    """The rows of one run in one file: how many, how many with a step, the step declared final, and cells by column.

    A cell is the first value of a column and whether the column changes within the run.
    """

    file: str
    key: str | None
    rows: int
    stepped: int
    final_step: int | None
    cells: dict[str, tuple[str | None, bool]]


def _key(columns: Columns) -> str:
    """The SQL of the run that a row belongs to; without a column of ids a file holds one run."""
    return f"CAST({quoted(columns.settings[ROW_ID].theirs)} AS VARCHAR)" if ROW_ID in columns.settings else "''"


def _groups(connection: duckdb.DuckDBPyConnection, bulk: Bulk, columns: Columns) -> list[_Group]:
    candidates = {column.theirs: None for ours, column in columns.settings.items() if ours != ROW_ID}
    names = [*candidates, *columns.others]
    step = f"TRY_CAST({quoted(columns.points['step'].theirs)} AS BIGINT)"
    final = columns.settings.get("is_final")
    declared = f"max({step}) FILTER ({_true(final.theirs)})" if final else "NULL"
    said = "".join(
        f", CAST(any_value({quoted(name)}) AS VARCHAR), min({quoted(name)}) IS DISTINCT FROM max({quoted(name)})"
        if _orderable(bulk.columns[name]) else ", NULL, true"
        for name in names
    )  # fmt: skip
    rows = connection.execute(
        f"SELECT {FILE}, {_key(columns)}, count(*), count({step}), {declared}{said} FROM {bulk.scan} GROUP BY 1, 2 ORDER BY 1, 2",
        list(bulk.parameters),
    ).fetchall()
    return [
        _Group(
            row[0],
            row[1],
            row[2],
            row[3],
            row[4],
            {name: (row[5 + 2 * at], row[6 + 2 * at]) for at, name in enumerate(names)},
        )
        for row in rows
    ]


def _load_history(
    connection: duckdb.DuckDBPyConnection,
    register: Register,
    bulk: Bulk,
    columns: Columns,
    groups: list[_Group],
    loaded: Loaded,
) -> None:
    segments = _segments(register, bulk, columns, groups, loaded)
    if not len(segments):
        return
    measures = {ours: column for ours, column in columns.points.items() if ours != "step"}
    step = f"TRY_CAST({quoted(columns.points['step'].theirs)} AS BIGINT)"
    for known in (False, True):
        some = segments[segments["known"] == known]
        if not len(some):
            continue
        code = _code(columns, some)
        numbered = _numbered(connection, some, code, plain=not known)
        beside = Measures(bulk, some, code)
        add_measures(connection, measures)
        selected = "".join(f", {beside.measure(ours, measures)} AS {ours}" for ours in measures)
        start = f"SELECT {numbered} AS segment, {step} AS step"
        rest = f"FROM {bulk.scan} WHERE {code} IS NOT NULL AND {step} IS NOT NULL"
        _insert(connection, HISTORY, ["segment", "step", *measures], f"{start}{selected} {rest}", some, bulk, loaded)
        if columns.evals:
            listed = f"unnest([{beside.evaluations(columns)}], recursive := true)"
            names = ["segment", "step", "name", "unit", "value"]
            _insert(connection, "evals", names, f"{start}, {listed} {rest}", some, bulk, loaded)
            connection.execute("DELETE FROM evals WHERE value IS NULL OR NOT isfinite(value)")


def _code(columns: Columns, segments: pd.DataFrame) -> str:
    """The SQL of the place of a row's run among the segments; not a join, for that would lose the order of the rows."""
    if ROW_ID not in columns.settings:
        return f"TRY_CAST({FILE} AS bulk_keys)"
    if segments["key"].is_unique:
        return f"TRY_CAST({_key(columns)} AS bulk_keys)"
    return f"TRY_CAST({FILE} || chr(31) || {_key(columns)} AS bulk_keys)"


def _numbered(connection: duckdb.DuckDBPyConnection, segments: pd.DataFrame, code: str, *, plain: bool) -> str:
    """The SQL of a row's segment, by an enumeration of the keys in the order of `segments`; new ones are numbered in a row."""
    both = segments["file"] + ("\x1f" + segments["key"] if "chr(31)" in code else "")
    own = both if FILE in code else segments["key"]
    connection.register("own_keys", pd.DataFrame({"own": own.to_numpy(), "place": range(len(own))}))
    connection.execute("DROP TYPE IF EXISTS bulk_keys")
    connection.execute("CREATE TEMP TYPE bulk_keys AS ENUM (SELECT own FROM own_keys ORDER BY place)")
    connection.unregister("own_keys")
    if plain:
        return f"enum_code({code}) + {int(segments['segment'].iloc[0])}"
    return f"{listed(segments['segment'])}[enum_code({code}) + 1]"


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str], rows: str, segments: pd.DataFrame, bulk: Bulk,
    loaded: Loaded,
) -> None:  # fmt: skip
    """New segments straight from the files; of known ones the rows that the database does not hold."""
    numbers = [int(number) for number in segments["segment"]]
    if segments["known"].any():
        connection.execute(f"CREATE OR REPLACE TEMP TABLE rows_of_known AS {rows}", list(bulk.parameters))
        append_new(connection, table, "rows_of_known", list(names), numbers, loaded)
        connection.execute("DROP TABLE rows_of_known")
        return
    done = value_of(connection, f"INSERT INTO {table} ({', '.join(names)}) {rows}", bulk.parameters)
    loaded.points += int(done) if table == HISTORY else 0
    loaded.touched.update(numbers)


def _segments(register: Register, bulk: Bulk, columns: Columns, groups: list[_Group], loaded: Loaded) -> pd.DataFrame:
    """The runs of a bulk table with what belongs to a run, registered: (file, key, segment, known, multipliers)."""
    changing = {name for group in groups if group.stepped for name, (_, changes) in group.cells.items() if changes}
    loaded.unused |= dict.fromkeys(name for name in columns.others if name in changing)
    loaded.mapped |= {theirs: ours for theirs, ours in columns.mapped.items() if theirs not in changing}
    units = _units(columns)
    found = []
    said: Columns | None = None
    for group in groups:
        if group.key is None and group.stepped:
            loaded.skipped["row without a run id"] += group.stepped
        if group.key is None or not group.stepped:
            continue
        config = {
            name: value for name, (value, _) in group.cells.items() if not (name in changing and name in columns.others)
        }
        flat = {**config, **loaded.constants}
        said = said or columns_of(flat, dialect=bulk.dialect, given=loaded.given, steps=False)
        settings = settings_of(flat, said)
        settings |= {
            name: text
            for name in config
            if name in columns.others and (text := other_setting(config[name])) is not None
        }
        settings |= units
        if "is_final" in columns.settings:
            settings.pop("is_final", None)
            settings["final_step"] = -1.0 if group.final_step is None else float(group.final_step)
        segment = segment_of(bulk, group.file, group.key, settings, config)
        number, known, changed = register.number(segment, settings, config)
        if changed:
            loaded.touched.add(number)
        found.append((group.file, group.key, number, known, *(_number(settings, name) for name in MULTIPLIERS)))
    register.write()
    return pd.DataFrame(found, columns=["file", "key", "segment", "known", *MULTIPLIERS])


MULTIPLIERS = ("context_length", "n_accelerators", "bytes_per_token")


def _number(settings: Mapping[str, Any], name: str) -> float | None:
    value = settings.get(name)
    return value if isinstance(value, float) else None


def _orderable(kind: str) -> bool:
    return not any(mark in kind for mark in ("STRUCT", "MAP", "[", "UNION"))


def _true(name: str) -> str:
    listed = ", ".join(f"'{word}'" for word in TRUE)
    return f"lower(CAST({quoted(name)} AS VARCHAR)) IN ({listed})"


def _units(columns: Columns) -> dict[str, str]:
    """Units and names of the losses; bits per byte stay so in a table, unless every run says its bytes per token."""
    found: dict[str, str] = {}
    loss, train = columns.points.get("loss"), columns.points.get("train_loss")
    if loss is not None and "loss_unit" not in columns.settings:
        one = 1.0 if "bytes_per_token" in columns.settings else None
        found["loss_unit"] = in_nats(loss.name.unit, one)[0] or NATS
    if loss is not None and "loss_name" not in columns.settings and loss.theirs.lower() != "loss":
        found["loss_name"] = loss.theirs.rpartition("/")[0] or loss.theirs
    if train is not None:
        found["train_loss_name"] = train.theirs
    return found


__all__ = ["load_bulk"]
