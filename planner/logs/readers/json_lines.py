"""JSON lines (gz too): rows of many runs, or of one run per file, read by DuckDB where they lie."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import duckdb

from planner.errors import InputError
from planner.logs.database import held
from planner.logs.files import literal, unreadable
from planner.logs.names import meaning
from planner.logs.normalise import TEXTS
from planner.logs.segment import Bulk, Log
from planner.logs.source import Part, Source, head, nested

ENDINGS = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
LONGEST = 16 << 20  # bytes of one line
NOT_FINITE = ("nan", "inf", "-inf", "infinity", "-infinity")  # as tools write them in quotes
_OPTIONS = (
    f"format = 'newline_delimited', ignore_errors = true, maximum_object_size = {LONGEST}, filename = 'planner_file'"
)
_SHAPES = (
    f"SELECT planner_file, any_value(json), count(*) FROM read_json_objects(?, {_OPTIONS}) "
    "GROUP BY planner_file, json_structure(json)"
)


class JsonLines:
    """Files with one JSON object per line; nested objects become dotted names."""

    name = "jsonl"
    reads = "jsonl files (gz too), one object per run or per step of a run"

    def claim(self, source: Source) -> list[Part]:
        """Every file of these endings."""
        return source.parts(*ENDINGS)

    def read(self, parts: Sequence[Part]) -> Log:
        """One bulk table for the files that log steps, and one for those with a line per run.

        Every line is looked at for its names: a metric may be logged once in the middle of a run. A line that is no JSON object,
        one cut in half for instance, is skipped and counted.
        """
        skipped: Counter[str] = Counter()
        lots: dict[bool, tuple[list[Part], dict[str, str]]] = {}
        for part, found in _names(parts, skipped):
            steps = any((known := meaning(name)) is not None and known.ours == "step" for name in found)
            lot, names = lots.setdefault(steps, ([], {}))
            lot.append(part)
            for name, kind in found.items():
                names[name] = kind if names.get(name, kind) == kind else "VARCHAR"
        return Log(bulk=[_bulk(lot, names) for lot, names in lots.values() if names], skipped=skipped)


def _names(parts: Sequence[Part], skipped: Counter[str]) -> Iterator[tuple[Part, dict[str, str]]]:
    """The names in each file, nested ones with a mark between, and the type that each is read as."""
    shapes: dict[str, list[tuple[str | None, int]]] = defaultdict(list)
    for file, line, number in _shapes(parts):
        shapes[file].append((line, number))
    for part in parts:
        found: dict[str, str] = {}
        objects = 0
        for line, number in shapes[str(part.files[0])]:
            record = _object(line)
            if record is None:
                skipped["line that is not a JSON object, or is cut in half"] += number
                continue
            objects += number
            for path, value in _leaves(record):
                kind = _kind(path, value)
                if kind:
                    found[path] = kind if found.get(path, kind) == kind else "VARCHAR"
        if not objects and part.files[0].stat().st_size:
            raise InputError(f"{part.place}: not readable as jsonl: none of its lines is a JSON object",
                             "give one object per line, in UTF-8")  # fmt: skip
        yield part, found


def _shapes(parts: Sequence[Part]) -> list[tuple[str, str | None, int]]:
    """One line of each shape in each file, and how many lines have it."""
    for part in parts:
        if head(part.files[0], 2) in (b"\xff\xfe", b"\xfe\xff"):
            raise InputError(f"{part.place}: UTF-16, and JSON lines are UTF-8", "save it as UTF-8")
    with held(None) as connection:
        try:
            return connection.execute(_SHAPES, [[literal(part.files[0]) for part in parts]]).fetchall()
        except duckdb.Error as error:
            if "maximum_object_size" in str(error) and len(parts) == 1:
                raise InputError(
                    f"{parts[0].place}: a line of more than {LONGEST >> 20} MiB", "cut it out, or leave the file out"
                ) from None
            if len(parts) == 1:
                raise unreadable(parts[0], "jsonl", error) from None
    for part in parts:
        _shapes([part])  # one of them is the one
    raise AssertionError


def _object(line: str | None) -> Mapping[str, object] | None:
    try:
        record = json.loads(line or "null", parse_int=float)  # int refuses thousands of digits; DuckDB reads them
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


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
    paths = [literal(part.files[0]) for part in parts]
    return Bulk(
        scan=f"(SELECT planner_file, {', '.join(selected)} FROM read_json(?, {_OPTIONS}, columns = {{{listed}}}))",
        parameters=[paths],
        columns=columns,
        places={str(part.files[0]): part.place for part in parts},
        slow=True,
    )


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


__all__ = ["JsonLines"]
