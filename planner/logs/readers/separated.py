"""Comma- and tab-separated files (gz too): rows of many runs, read by DuckDB where they lie."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Sequence

from planner.errors import InputError
from planner.logs.files import LONG_LINE, Encoding, encoding_of, first_lines, lines_over, literal, unpacked_size
from planner.logs.segment import Bulk, Log
from planner.logs.source import Part, Source
from planner.text import short

ENDINGS = {".csv": ",", ".tsv": "\t", ".csv.gz": ",", ".tsv.gz": "\t"}
GUARDED = (
    r"^'+[=+\-@\t\r\n \x{ff1d}\x{ff0b}\x{ff0d}\x{ff20}]"  # what encode.guard_formula writes, as DuckDB's RE2 reads it
)
LONGEST = 16_000_000  # bytes of one line that DuckDB is asked to hold
BUFFER = 16 * LONGEST  # bytes that it holds at once: a longer line it leaves out and does not count


class Separated:
    """Files with a header line and one row per run, or per step of a run."""

    name = "csv"
    reads = "csv and tsv files (gz too), one row per run or per step of a run"

    def claim(self, source: Source) -> list[Part]:
        """Every file of these endings."""
        return source.parts(*ENDINGS)

    def read(self, parts: Sequence[Part]) -> Log:
        """One bulk table for all files of equal columns; lines with too few or too many cells are skipped and counted."""
        alike: dict[tuple[str, Encoding, tuple[str, ...]], list[Part]] = defaultdict(list)
        skipped: Counter[str] = Counter()
        for part in parts:
            delimiter = next(mark for ending, mark in ENDINGS.items() if part.files[0].name.lower().endswith(ending))
            encoding = encoding_of(part)
            alike[delimiter, encoding, _header(part, delimiter, encoding)].append(part)
            if unpacked_size(part.files[0]) > BUFFER and (number := lines_over(part.files[0], BUFFER)):
                skipped[LONG_LINE] += number
        return Log(bulk=[_bulk(*key, group) for key, group in alike.items()], skipped=skipped)


def _header(part: Part, delimiter: str, encoding: Encoding) -> tuple[str, ...]:
    """The names in the first line; DuckDB is told them, so that it has nothing to guess."""
    text = first_lines(part, encoding)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
        names = next((row for row in rows if row), None)
    except csv.Error as error:
        raise InputError(f"{part.place}: not readable as csv: {error}", "check its delimiter and quoting") from None
    if not names:
        raise InputError(f"{part.place}: no header", "give a header and one row per run or step")
    names = [name.strip() for name in names]
    if len(names) == 1 and (other := next((mark for mark in ";\t|," if mark in names[0]), None)):
        raise InputError(f"{part.place}: one column only, {short(names[0])!r}", f"is its delimiter {other!r}?")
    twice = next((name for name in names if [n.lower() for n in names].count(name.lower()) > 1), None)
    if twice is not None:
        raise InputError(f"{part.place}: two columns are called {twice!r}", "rename one of them")
    return tuple(name or f"column {at}" for at, name in enumerate(names, start=1))


def _scan(delimiter: str, encoding: Encoding, names: Sequence[str]) -> str:
    """The table function; names are bound by position, for the header of each file is skipped. Odd lines are noted."""
    columns = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv(?, delim = {_text(delimiter)}, header = true, quote = '\"', escape = '\"', columns = {{{columns}}}, "
        f"auto_detect = false, encoding = '{encoding}', max_line_size = {LONGEST}, buffer_size = {BUFFER}, nullstr = '', "
        "filename = 'planner_file', store_rejects = true)"
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _bulk(delimiter: str, encoding: Encoding, names: tuple[str, ...], parts: list[Part]) -> Bulk:
    paths = [literal(part.files[0]) for part in parts]
    return Bulk(
        scan=_unguarded(names, _scan(delimiter, encoding, names)),
        parameters=[paths],
        columns=dict.fromkeys(names, "VARCHAR"),
        places={str(part.files[0]): part.place for part in parts},
        slow=True,
        rejects=True,
    )


def _unguarded(names: tuple[str, ...], scan: str) -> str:
    """Cells as they were before `encode.guard_formula` kept a spreadsheet from running them."""
    cells = []
    for name in names:
        cell = '"' + name.replace('"', '""') + '"'
        guarded = f"starts_with({cell}, chr(39)) AND regexp_matches({cell}, {_text(GUARDED)})"
        cells.append(f"CASE WHEN {guarded} THEN substr({cell}, 2) ELSE {cell} END AS {cell}")
    return f"(SELECT {', '.join(cells)}, planner_file FROM {scan})"


__all__ = ["Separated"]
