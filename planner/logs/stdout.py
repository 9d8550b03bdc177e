"""What a trainer prints to a terminal or a Slurm file: points and settings, line by line, with the restarts in between."""

from __future__ import annotations

import math
import re
from calendar import timegm
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from planner.logs.curves import Curves, travelled
from planner.logs.keys import name_of
from planner.logs.segment import Log, Segment
from planner.logs.source import Part, Source, head
from planner.logs.texts import lines, sample

# "[default0]:" of torchrun --tee, "[rank0]:" of torchrun, "0: " of srun --label.
_RANK = re.compile(r"\s*(?:\[(?:default|rank)?(\d+)\]:|(\d+):(?= ))\s?")
_CLOCK = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,6}))?(Z|[+-]\d\d:?\d\d)?")
_TABLES = (".csv", ".tsv", ".jsonl", ".parquet", ".json", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".json.gz")
_JSON = (".jsonl", ".json")


@dataclass(frozen=True)
class Point:
    """One line of numbers: `values` by name at `step`; `settings` it says of the run; an evaluation is no `training`."""

    step: float
    values: Mapping[str, float]
    training: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """A line that says how the run is set; `starts` when a process prints it once, before it trains."""

    values: Mapping[str, Any] = field(default_factory=dict)
    starts: bool = False


Parse = Callable[[str], Point | Settings | None]


@dataclass(frozen=True)
class Stdout:
    """A reader of what one tool prints. `mark` is found in its logs and in no other's; `parser` makes a parser of lines.

    Files named as tables are left to other readers, those named as JSON only unless the tool's lines are JSON (`tables`).
    """

    name: str
    reads: str
    mark: re.Pattern[bytes]
    parser: Callable[[], Parse]
    tables: bool = False

    def claim(self, source: Source) -> list[Part]:
        """Each file whose start or end holds a line of the tool."""
        return [Part(source, (file,)) for file in source.files if self._may_be_log(file) and self._marked(file)]

    def read(self, parts: Sequence[Part]) -> Log:
        """One segment for each process whose lines a file holds."""
        skipped: Counter[str] = Counter()
        return Log((one for part in parts for one in self._segments(part, skipped)), skipped=skipped)

    def _may_be_log(self, file: Path) -> bool:
        name = file.name.lower()
        return not name.endswith(_TABLES) or (self.tables and name.endswith(_JSON))

    def _marked(self, file: Path) -> bool:
        if self.tables and file.name.lower().endswith(_JSON):
            return bool(self.mark.search(head(file)))
        return bool(self.mark.search(sample(file)) or self.mark.search(_tail(file)))

    def _segments(self, part: Part, skipped: Counter[str]) -> Iterator[Segment]:
        parse, attempt = self.parser(), _Attempt(1)
        for line in lines(part, skipped):
            rank, text = _ranked(line)
            item = parse(text)
            if isinstance(item, Settings):
                if item.starts and attempt.curves:
                    yield attempt.segment(part, self.name)
                    attempt = _Attempt(attempt.number + 1, dict(attempt.config))
                attempt.config.update(item.values)
            elif item is not None:
                if attempt.is_restarted_by(item, rank):
                    yield attempt.segment(part, self.name)
                    attempt = _Attempt(attempt.number + 1, dict(attempt.config))
                attempt.add(item, rank, clock(line), skipped)
        if attempt.curves:
            yield attempt.segment(part, self.name)


class _Attempt:
    """One process's lines while they are read."""

    def __init__(self, number: int, config: dict[str, Any] | None = None) -> None:
        self.number, self.config, self.curves = number, config or {}, Curves()
        self._step, self._rank, self._at_step = -math.inf, "", dict[str, float]()
        self._evaluated: dict[str, float] = {}  # the step at which each evaluation was logged last
        self._first = self._last = self._now = math.nan

    def is_restarted_by(self, point: Point, rank: str) -> bool:
        """Whether a training step that does not advance, or a value logged otherwise, starts this run again."""
        if not point.training or rank != self._rank:
            return False
        if point.step == self._step:
            return any(not _same(self._at_step.get(name, value), value) for name, value in point.values.items())
        return point.step < self._step

    def add(self, point: Point, rank: str, time: float, skipped: Counter[str]) -> None:
        if rank != self._rank and self._is_old(point):
            skipped["a line that another rank has printed too"] += 1
            return
        if point.training:
            if point.step != self._step:
                self._step, self._at_step, self._now = point.step, {}, math.nan
            self._rank = rank
        self._now = self._now if math.isnan(time) else time
        for name, value in point.values.items():
            if point.training and name in self._at_step:
                skipped["a value that was logged twice"] += 1
                continue
            (self._at_step if point.training else self._evaluated)[name] = value if point.training else point.step
            # A block of lines has its time in the first.
            self.curves.add(name, point.step, value, self._now if point.step == self._step else time)
        self.config.update(point.settings)
        if not math.isnan(time):
            self._first, self._last = (time if math.isnan(self._first) else self._first), time

    def _is_old(self, point: Point) -> bool:
        if point.training:
            return point.step <= self._step
        return any(self._evaluated.get(name) == point.step for name in point.values)

    def segment(self, part: Part, dialect: str) -> Segment:
        """What was read, as a segment of the file's run."""
        return Segment(
            key=str(part.files[0]),
            place=part.place,
            dialect=dialect,
            name=name_of(part.source, part.files[0]),
            run_id=travelled(self.config),
            attempt=self.number,
            config=self.config,
            started=None if math.isnan(self._first) else self._first,
            ended=None if math.isnan(self._last) else self._last,
            history=self.curves.series(),
        )


def clock(line: str) -> float:
    """The time a line was printed, in seconds since 1970 UTC (local clocks are taken for UTC); NaN without one."""
    found = _CLOCK.search(line[:200])
    if found is None:
        return math.nan
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    start = _day(year, month, day)
    shift = 0 if zone in (None, "Z") else int(f"{zone[0]}1") * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)
    return start + int(hour) * 3600 + int(minute) * 60 + int(second) + float(f"0.{fraction or 0}") - shift


@lru_cache(maxsize=64)
def _day(year: str, month: str, day: str) -> float:
    try:
        return timegm((int(year), int(month), int(day), 0, 0, 0))
    except (ValueError, OverflowError):
        return math.nan


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _ranked(line: str) -> tuple[str, str]:
    found = _RANK.match(line)
    return ("", line) if found is None else (found[1] or found[2], line[found.end() :])


def _tail(file: Path, size: int = 1 << 16) -> bytes:
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - size))
            return opened.read(size)
    except OSError:
        return b""


__all__ = ["Point", "Settings", "Stdout", "clock"]
