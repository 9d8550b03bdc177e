"""Levanter's own records: tracker_metrics.jsonl, and the events of its JSON logger, alone or in stdout.

tracker_metrics.jsonl (levanter/tracker/wandb.py, `_write_replicate_file`) is one object {"config": ..., "summary": ...} with
the last value of each metric. The JSON logger (levanter/tracker/json_logger.py) prints one object per event, behind a prefix in
stdout::

    {"tracker": "json_logger", "event": "log", "step": 10, "metrics": {"train/loss": 4.1, "throughput/total_tokens": 41943040}}
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from planner.logs.curves import last_values, number, travelled
from planner.logs.keys import name_of
from planner.logs.segment import Log, Segment
from planner.logs.source import Part, Source, head, nested
from planner.logs.stdout import Parse, Point, Settings, Stdout
from planner.logs.texts import document, lines, sample

_EVENT = re.compile(r'\{.*"tracker": *"json_logger".*\}')
_FILE = "tracker_metrics.jsonl"


class LevanterSummary:
    """tracker_metrics.jsonl: each line one run's config and last values."""

    name = "levanter_summary"
    reads = "tracker_metrics.jsonl of Levanter"

    def claim(self, source: Source) -> list[Part]:
        """Files of that name, or of that kind of first line."""
        return [Part(source, (file,)) for file in source.files if file.name == _FILE or _is_summary(file)]

    def read(self, parts: Sequence[Part]) -> Log:
        """One segment per line."""
        skipped: Counter[str] = Counter()
        return Log((one for part in parts for one in _summaries(part, skipped)), skipped=skipped)


def _summaries(part: Part, skipped: Counter[str]) -> Iterator[Segment]:
    file = part.files[0]
    run = file.parent if file.name == _FILE else file  # Levanter names the folder by the run
    records = _records(part, skipped)
    for row, record in enumerate(records):
        config, summary = record.get("config"), record.get("summary")
        if not isinstance(config, dict) or not isinstance(summary, dict):
            skipped["a line without a config and a summary"] += 1
            continue
        key = str(run) if row == 0 else f"{run}:{row + 1}"
        ended, ran = number(summary.get("_timestamp")), number(summary.get("_runtime"))
        values = {name.replace(".", "/"): value for name, value in nested(summary).items()}
        yield Segment(
            key=key,
            place=part.place,
            dialect="levanter",
            name=name_of(part.source, run),
            run_id=travelled(config),
            config=config,
            summary=last_values(values, {}, "levanter"),
            started=None if ended is None or ran is None else ended - ran,
            ended=ended,
        )


def _records(part: Part, skipped: Counter[str]) -> Iterator[dict[str, Any]]:
    """Each line's object; a file of one object may be written without an end of line or over many lines."""
    found = False
    mine: Counter[str] = Counter()
    for line in lines(part, mine):
        record = _object(line)
        if record is not None:
            found = True
            yield record
        elif found:
            mine["a line that is no JSON object"] += 1
    if not found:
        whole = document(part, part.files[0])
        if isinstance(whole, dict):
            yield whole
        return
    skipped.update(mine)


def _parser() -> Parse:
    def parse(line: str) -> Point | Settings | None:
        found = _EVENT.search(line)
        record = _object(found[0]) if found else None
        if record is None:
            return None
        if record.get("event") == "hparams" and isinstance(record.get("hparams"), dict):
            return Settings(record["hparams"], starts=True)
        step, metrics = number(record.get("step")), record.get("metrics")
        if record.get("event") != "log" or step is None or not isinstance(metrics, dict):
            return None
        values = _flat(metrics)
        return Point(step, values, training=any(name.startswith("train/") for name in values))

    return parse


def _flat(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    values: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            values |= _flat(value, f"{prefix}{name}/")
        elif (found := number(value)) is not None:
            values[f"{prefix}{name}"] = found
    return values


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_summary(file: Path) -> bool:
    """Whether the first line is an object of a config and a summary and nothing else."""
    if not re.match(rb'\s*\{\s*"(?:config|summary)"\s*:', head(file, 64)):
        return False
    first = _object(sample(file).lstrip().partition(b"\n")[0].decode("utf-8", "replace"))
    return first is not None and set(first) == {"config", "summary"}


LEVANTER = Stdout(
    name="levanter",
    reads="events of Levanter's JSON logger",
    mark=re.compile(rb'"tracker": *"json_logger"'),
    parser=_parser,
    tables=True,
)

__all__ = ["LEVANTER", "LevanterSummary"]
