"""OLMo-core's console, and the metrics*.json files that it saves.

The console as src/olmo_core/train/callbacks/console_logger.py prints it, numbers grouped by commas; the files as
metric_saver.py and config_saver.py write them into the run's folder (metrics_step100.json, metrics.json, config.json)::

    2025-03-01 10:00:00.123 node-0:0 olmo_core.train.callbacks.console_logger:112 INFO [step=10/1000,epoch=1,eta=0:12:31]
        train/CE loss=10.31
        throughput/total tokens=4,194,304
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.logs.curves import Curves, last_values, number, travelled
from planner.logs.keys import name_of
from planner.logs.segment import Log, Segment
from planner.logs.source import Part, Source, head
from planner.logs.stdout import Parse, Point, Settings, Stdout
from planner.logs.texts import document

_MARKER = re.compile(r"\[step=([\d,]+)/([\d,]+|\?\?\?),epoch=\d+")
_VALUE = re.compile(r"\s{2,}(\S.*?)=(\S+)\s*")
_AT_STEP = re.compile(r"metrics_step(\d{1,18})\.json")
_FINAL = "metrics.json"


def _parser() -> Parse:
    step = math.nan

    def parse(line: str) -> Point | Settings | None:
        nonlocal step
        if marked := _MARKER.search(line):
            step, total = number(marked[1]) or 0.0, number(marked[2])
            return Point(step, {}, settings={"max_steps": total} if total else {})
        if math.isnan(step):
            return None
        found = _VALUE.fullmatch(line)
        if found is None:
            step = math.nan  # another line: the block of metrics is over
            return None
        value = number(found[2])
        return None if value is None else Point(step, {found[1]: value})

    return parse


class OlmoCoreFiles:
    """Folders of metrics_step*.json and metrics.json."""

    name = "olmo_core_files"
    reads = "metrics*.json that OLMo-core saves"

    def claim(self, source: Source) -> list[Part]:
        """One part per folder."""
        folders: dict[Path, list[Path]] = defaultdict(list)
        for file in source.files:
            if _AT_STEP.fullmatch(file.name) or (file.name == _FINAL and _is_final(file)):
                folders[file.parent].append(file)
        for file in source.files if folders else ():
            if file.name == "config.json" and file.parent in folders:
                folders[file.parent].append(file)
        return [Part(source, tuple(files), str(folder)) for folder, files in folders.items()]

    def read(self, parts: Sequence[Part]) -> Log:
        """One segment per folder."""
        return Log(_saved(part) for part in parts)


def _saved(part: Part) -> Segment:
    curves, summary, config = Curves(), dict[str, float](), dict[str, Any]()
    steps = [(int(found[1]), file) for file in part.files if (found := _AT_STEP.fullmatch(file.name))]
    for step, file in sorted(steps):
        for name, value in _numbers(part, file).items():
            curves.add(name, step, value)
    for file in part.files:
        if file.name == _FINAL:
            summary = last_values(_numbers(part, file), curves.series(), "olmo_core")
        elif file.name == "config.json":
            config = _object(part, file)
    return Segment(
        key=part.key,
        place=part.place,
        dialect="olmo_core",
        name=name_of(part.source, Path(part.key)),
        run_id=travelled(config),
        config=config,
        summary=summary,
        history=curves.series(),
    )


def _numbers(part: Part, file: Path) -> dict[str, float]:
    return {name: found for name, value in _object(part, file).items() if (found := number(value)) is not None}


def _object(part: Part, file: Path) -> dict[str, Any]:
    found = document(part, file)
    if not isinstance(found, dict):
        raise InputError(f"{part.source.place(file)}: no JSON object", "write it again, or leave it out")
    return found


def _is_final(file: Path) -> bool:
    start = head(file)
    return start[:1] == b"{" and (b'"train/' in start or b'"throughput/' in start or b' loss"' in start)


OLMO_CORE = Stdout(
    name="olmo_core",
    reads="stdout of OLMo-core",
    mark=re.compile(rb"\[step=[\d,]+/(?:[\d,]+|\?\?\?),epoch=\d+[^\]\n]*\]"),
    parser=_parser,
)

__all__ = ["OLMO_CORE", "OlmoCoreFiles"]
