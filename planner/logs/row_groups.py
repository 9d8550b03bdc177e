"""Whose rows are whose in a bulk table: the rows of one run in one file are a group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import duckdb

from planner.logs.measures import number_of
from planner.logs.normalise import PREFIXES, Columns
from planner.logs.row_table import FILE, quoted
from planner.logs.segment import Bulk
from planner.runs.where import TRUE


@dataclass(frozen=True)
class Group:
    """The rows of one run in one file: how many, how many with a step, how many whose step is no number, the step declared final,
    and cells by column.

    `key` is the run's id, "" where the file holds one run, None for rows that lack theirs. A cell is the first value of a
    column and whether the column changes within the run.
    """

    file: str
    key: str | None
    rows: int
    stepped: int
    unnumbered: int
    final_step: int | None
    cells: dict[str, tuple[str | None, bool]]


def with_ids_on_rows(columns: Columns) -> Columns:
    """Columns of a table in which every row says its run's id, where there is such a column; a config's id is its file's."""
    settings = dict(columns.settings)
    if "run_id" not in settings or settings["run_id"].theirs.lower().startswith(PREFIXES):
        return columns
    row_id = settings.pop("run_id")
    return replace(columns, settings=settings, row_id=row_id)


def with_ids_of_files(columns: Columns) -> Columns:
    """The same of a table in which the id is said once for a file: then it is a setting like others."""
    if columns.row_id is None:
        return columns
    return replace(columns, settings={**columns.settings, "run_id": columns.row_id}, row_id=None)


def told_once(groups: Iterable[Group]) -> bool:
    """Whether rows with steps carry no id, and each file says one beside them."""
    ids: dict[str, set[str]] = defaultdict(set)
    bare = {group.file for group in groups if group.key is None and group.stepped}
    for group in groups:
        if group.key is not None:
            ids[group.file].add(group.key)
            if group.stepped:
                return False
    return bool(bare) and all(len(ids[file]) <= 1 for file in bare)


def key_of(columns: Columns) -> str:
    """The SQL of the run that a row belongs to; without a column of ids a file holds one run."""
    return "''" if columns.row_id is None else f"CAST({quoted(columns.row_id.theirs)} AS VARCHAR)"


def step_of(bulk: Bulk, columns: Columns) -> str:
    """The SQL of a row's step."""
    theirs = columns.points["step"].theirs
    return number_of(theirs, bulk.columns[theirs], "BIGINT")


def groups_of(connection: duckdb.DuckDBPyConnection, bulk: Bulk, columns: Columns) -> list[Group]:
    """The groups of a table with a column of steps, in the order of files and ids."""
    names = list(dict.fromkeys([*(column.theirs for column in columns.settings.values()), *columns.others]))
    step, said = step_of(bulk, columns), quoted(columns.points["step"].theirs)
    final = columns.settings.get("is_final")
    declared = f"max({step}) FILTER ({_true(final.theirs)})" if final else "NULL"
    asked = "".join(_cell(name, bulk.columns[name]) for name in names)
    rows = connection.execute(
        f"SELECT {FILE}, {key_of(columns)}, count(*), count({step}), count({said}) - count({step}), {declared}{asked} "
        f"FROM {bulk.scan} GROUP BY 1, 2 ORDER BY 1, 2",
        list(bulk.parameters),
    ).fetchall()
    groups = []
    for file, key, number, stepped, unnumbered, final_step, *cells in rows:
        told = dict(zip(names, zip(cells[::2], cells[1::2], strict=True), strict=True))
        groups.append(Group(file, key, number, stepped, unnumbered, final_step, told))
    return groups


def _cell(name: str, kind: str) -> str:
    """The SQL of a column's first value in a group, and of whether it changes there."""
    if any(mark in kind for mark in ("STRUCT", "MAP", "[", "UNION")):  # they have no order
        return ", NULL, true"
    column = quoted(name)
    return f", CAST(any_value({column}) AS VARCHAR), min({column}) IS DISTINCT FROM max({column})"


def _true(name: str) -> str:
    listed = ", ".join(f"'{word}'" for word in TRUE)
    return f"lower(CAST({quoted(name)} AS VARCHAR)) IN ({listed})"


__all__ = ["Group", "groups_of", "key_of", "step_of", "told_once", "with_ids_of_files", "with_ids_on_rows"]
