"""W&B's own run folders (offline-run-*, run-*): the .wandb file that its service writes, read without W&B.

The file is `:W&B`, the magic number 0xBEE1 and a version byte, then blocks of 32 KiB as in LevelDB's log, each record in one or
more pieces `crc32 (4 bytes), length (2), type (1: full, 2: first, 3: middle, 4: last)`; a record is a `Record` of
wandb/proto/wandb_internal.proto (numbers read from wandb 0.31.0): history = 2, summary = 3, config = 5, run = 17, exit = 18,
environment = 26.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from planner.errors import WorldError
from planner.logs import wire
from planner.logs.curves import Curves, OwnSteps, last_values, number, travelled
from planner.logs.segment import Log, Segment
from planner.logs.source import Part, Source, head

_MARK = b":W&B"
_BLOCK = 1 << 15
_PIECE = struct.Struct("<IHB")
_HISTORY, _SUMMARY, _CONFIG, _RUN, _EXIT, _ENVIRONMENT = 2, 3, 5, 17, 18, 26
_STEP, _TIME = "_step", "_timestamp"


class WandbOffline:
    """Folders that hold a .wandb file."""

    name = "wandb"
    reads = "W&B run folders (wandb/offline-run-*)"

    def claim(self, source: Source) -> list[Part]:
        """One part per .wandb file; what else lies in its folder (console output, metadata) goes with it."""
        runs = {file: file.parent for file in source.files if head(file, 4) == _MARK}
        folders = {folder for folder in runs.values() if folder.name.startswith(("run-", "offline-run-"))}
        beside: dict[Path, list[Path]] = defaultdict(list)
        for file in source.files if source.root and source.root.is_dir() else ():
            for folder in list(file.parents)[:3]:
                if folder in folders and file not in runs:
                    beside[folder].append(file)
                    break
        parts = []
        for file, folder in runs.items():
            parts.append(Part(source, (file, *beside.pop(folder, ()))))
        return parts

    def read(self, parts: Sequence[Part]) -> Log:
        """One segment per folder; a resumed run has several of one key."""
        skipped: Counter[str] = Counter()
        return Log(_segments(parts, skipped), skipped=skipped)


def _segments(parts: Sequence[Part], skipped: Counter[str]) -> Iterator[Segment]:
    for part in parts:
        run = _Run()
        for record in _records(part, skipped):
            try:
                run.add(record)
            except wire.WireError:
                skipped["a damaged record"] += 1
        key = run.id or part.files[0].stem.removeprefix("run-")
        yield run.segment(part, key)


class _Run:
    """One .wandb file while it is read."""

    def __init__(self) -> None:
        self.id = self.name = self.status = ""
        self.config, self.summary, self.curves = dict[str, Any](), dict[str, Any](), Curves()
        self.started, self.last = math.nan, math.nan
        self._row, self._steps = -1, OwnSteps()

    def add(self, record: bytes) -> None:
        for kind, value in wire.fields(record):
            if not isinstance(value, bytes):
                continue
            if kind == _HISTORY:
                self._history(value)
            elif kind == _SUMMARY:
                self.summary |= {name: found for name, text in _items(value) if (found := _json(text)) is not None}
            elif kind == _CONFIG:
                self._configured(value)
            elif kind == _RUN:
                self._described(value)
            elif kind == _EXIT:
                self.status = "failed" if wire.signed(wire.first(value, 1)) else "finished"
            elif kind == _ENVIRONMENT:
                self._machine(value)

    def segment(self, part: Part, key: str) -> Segment:
        """What was read, as a segment."""
        history = self.curves.series()
        return Segment(
            key=key,
            place=part.place,
            dialect="wandb",
            name=self.name or key,
            run_id=travelled(self.config),
            config=self.config,
            summary=last_values(self.summary, history, "wandb"),
            status=self.status,
            started=None if math.isnan(self.started) else self.started,
            ended=None if math.isnan(self.last) else self.last,
            history=history,
        )

    def _history(self, data: bytes) -> None:
        row = {name: value for name, text in _items(data) if (value := number(_json(text))) is not None}
        logged = wire.first(data, 2)
        self._row += 1
        counted = float(wire.signed(wire.first(logged, 1))) if isinstance(logged, bytes) else self._row
        step = self._steps.of(row, row.get(_STEP, counted))
        time = row.get(_TIME, math.nan)
        self.last = self.last if math.isnan(time) else time
        for name, value in row.items():
            if not name.startswith("_"):
                self.curves.add(name, step, value, time)

    def _configured(self, data: bytes) -> None:
        for name, text in _items(data):
            value = _json(text)
            if name != "_wandb":
                _put(self.config, name, value)

    def _described(self, data: bytes) -> None:
        for kind, value in wire.fields(data):
            if kind == 1:
                self.id = wire.text(value)
            elif kind == 4 and isinstance(value, bytes):
                self._configured(value)
            elif kind == 8:
                self.name = wire.text(value)
            elif kind == 17 and isinstance(value, bytes):
                self.started = wire.signed(wire.first(value, 1)) + wire.signed(wire.first(value, 2)) * 1e-9

    def _machine(self, data: bytes) -> None:
        """The accelerators of the host: gpu_type = 18, gpu_count = 19."""
        kind, count = wire.text(wire.first(data, 18)), wire.signed(wire.first(data, 19))
        if kind:
            self.config.setdefault("gpu_type", kind)
        if count:
            self.config.setdefault("gpu_count", count)


def _items(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and JSON text of each item (field 1: key = 1, nested_key = 2, value_json = 16)."""
    for kind, item in wire.fields(data):
        if kind != 1 or not isinstance(item, bytes):
            continue
        key, nested, text = "", [], ""
        for field, value in wire.fields(item):
            if field == 1:
                key = wire.text(value)
            elif field == 2:
                nested.append(wire.text(value))
            elif field == 16:
                text = wire.text(value)
        yield key or ".".join(nested), text


def _json(text: str) -> Any:  # noqa: ANN401 - a config holds anything
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _put(config: dict[str, Any], name: str, value: object) -> None:
    """W&B's config.yaml wraps a value as {"value": ...}; its records do not."""
    config[name] = value["value"] if isinstance(value, dict) and set(value) == {"desc", "value"} else value


def _records(part: Part, skipped: Counter[str]) -> Iterator[bytes]:
    try:
        with part.files[0].open("rb") as file:
            yield from _pieces(file, skipped)
    except OSError as error:
        raise WorldError(f"{part.place}: {error.strerror or error}") from None


def _pieces(file: IO[bytes], skipped: Counter[str]) -> Iterator[bytes]:
    """The whole records of a file, joined from their pieces; a damaged block is left out and counted."""
    started: list[bytes] | None = None
    at = 7  # the header stands in the first block
    while block := file.read(_BLOCK):
        while at + _PIECE.size <= len(block):
            check, length, kind = _PIECE.unpack_from(block, at)
            data = block[at + _PIECE.size : at + _PIECE.size + length]
            if not check and not length and not kind:
                break  # zeros fill what a block has left
            at += _PIECE.size + length
            if at > len(block) or zlib.crc32(data, zlib.crc32(bytes([kind]))) != check:
                last = len(block) < _BLOCK and at > len(block)
                skipped["a last record cut in half" if last else "a damaged block of a .wandb file"] += 1
                started = None
                break
            if kind == 1:
                yield data
            elif kind == 2:
                started = [data]
            elif started is not None:
                started.append(data)
                if kind == 4:
                    yield b"".join(started)
                    started = None
        at = 0
    if started:
        skipped["a last record cut in half"] += 1


__all__ = ["WandbOffline"]
