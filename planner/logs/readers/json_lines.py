"""JSON lines (gz too): rows of many runs, or of one run per file, read by DuckDB where they lie."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from planner.errors import InputError, WorldError
from planner.logs.files import literal, start_of
from planner.logs.names import meaning
from planner.logs.normalise import TEXTS
from planner.logs.segment import Bulk, Log
from planner.logs.source import Part, Source, nested

ENDINGS = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
LONGEST = 16 << 20  # bytes of one line
LOOKED_AT = 64 << 20  # bytes of all files together that names are looked for in: the start and the end of each
LEAST, MOST = 4 << 10, 1 << 20  # of one file's start, and of its end
NOT_FINITE = ("nan", "inf", "-inf", "infinity", "-infinity")  # as tools write them in quotes


class JsonLines:
    """Files with one JSON object per line; nested objects become dotted names."""

    name = "jsonl"
    reads = "jsonl files (gz too), one object per run or per step of a run"

    def claim(self, source: Source) -> list[Part]:
        """Every file of these endings."""
        return source.parts(*ENDINGS)

    def read(self, parts: Sequence[Part]) -> Log:
        """One bulk table for the files that log steps, and one for those with a line per run.

        Names are looked for at the start and the end of each file. A line that is no JSON object, one cut in half for
        instance, is skipped and counted when the rows are loaded.
        """
        size = min(max(LOOKED_AT // (2 * max(len(parts), 1)), LEAST), MOST)
        lots: dict[bool, tuple[list[Part], dict[str, str]]] = {}
        for part in parts:
            found = _names(part, size)
            steps = any((known := meaning(name)) is not None and known.ours == "step" for name in found)
            lot, names = lots.setdefault(steps, ([], {}))
            lot.append(part)
            for name, kind in found.items():
                names[name] = kind if names.get(name, kind) == kind else "VARCHAR"
        return Log(bulk=[_bulk(lot, names) for lot, names in lots.values() if names])


def _names(part: Part, size: int) -> dict[str, str]:
    """The names in a file's first and last lines, nested ones dotted, each with the type it is read as."""
    found: dict[str, str] = {}
    number = 0
    for line in _sampled(part, size):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(record, dict):
            continue
        number += 1
        for path, value in _leaves(record):
            kind = _kind(path, value)
            if kind:
                found[path] = kind if found.get(path, kind) == kind else "VARCHAR"
    if not number and part.files[0].stat().st_size:
        raise InputError(f"{part.place}: not readable as jsonl: none of its first and last lines is a JSON object of at "
                         f"most {LONGEST >> 20} MB", "give one object per line, in UTF-8")  # fmt: skip
    return found


def _leaves(record: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Paths and values that DuckDB can be asked for: top names as they are, nested ones as JSON pointers of dots."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            for path, leaf in nested(value).items():
                yield f"{name}\x1f{path}", leaf
        else:
            yield name, value


def _kind(path: str, value: object) -> str:
    known = meaning(path.replace("\x1f", "."))
    if (known is not None and known.ours in TEXTS) or path.lower() in TEXTS:
        return "VARCHAR"
    if isinstance(value, (bool, str)):
        return "DOUBLE" if str(value).lower() in NOT_FINITE else "VARCHAR"
    return "DOUBLE" if isinstance(value, (int, float)) else ""


def _sampled(part: Part, size: int) -> list[bytes]:
    """Whole lines at the start and the end of a file; of a packed one at its start only."""
    path = part.files[0]
    start = start_of(part, max(size, LEAST))
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{part.place}: UTF-16, and JSON lines are UTF-8", "save it as UTF-8")
    lines = start.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    try:
        total = path.stat().st_size
        if total > len(start) and not path.name.lower().endswith(".gz"):
            with path.open("rb") as file:
                file.seek(max(total - size, 0))
                lines += file.read(size).split(b"\n")[1:]
        elif path.name.lower().endswith(".gz"):
            lines = start_of(part, MOST).split(b"\n")
    except OSError as error:
        raise WorldError(f"{part.place}: {error.strerror or error}") from None
    return lines


def _bulk(parts: list[Part], names: Mapping[str, str]) -> Bulk:
    tops: dict[str, str] = {}
    columns: dict[str, str] = {}
    selected: list[str] = []
    taken: set[str] = set()
    for path, kind in names.items():
        top, _, rest = path.partition("\x1f")
        shown = path.replace("\x1f", ".")
        if shown.lower() in taken or any(top.lower() == other.lower() and top != other for other in tops):
            continue  # DuckDB does not tell names apart by case
        taken.add(shown.lower())
        columns[shown] = kind
        if rest:
            tops[top] = "JSON"
            pointer = "$." + ".".join(json.dumps(step) for step in rest.split("."))
            value = f"json_extract_string({_name(top)}, {_text(pointer)})"
            selected.append(f"{f'TRY_CAST({value} AS DOUBLE)' if kind == 'DOUBLE' else value} AS {_name(shown)}")
        else:
            tops.setdefault(top, kind)
            selected.append(f"{_name(top)} AS {_name(shown)}")
    listed = ", ".join(f"{_text(top)}: '{kind}'" for top, kind in tops.items())
    options = f"format = 'newline_delimited', ignore_errors = true, maximum_object_size = {LONGEST}, filename = 'planner_file'"
    paths = [literal(part.files[0]) for part in parts]
    return Bulk(
        scan=f"(SELECT planner_file, {', '.join(selected)} FROM read_json(?, {options}, columns = {{{listed}}}))",
        parameters=[paths],
        columns=columns,
        places={str(part.files[0]): part.place for part in parts},
        slow=True,
        broken=f"SELECT count(*) FROM read_json_objects(?, {options}) WHERE json IS NULL OR json_type(json) <> 'OBJECT'",
    )


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


__all__ = ["JsonLines"]
