"""TensorBoard event files: the scalars of each folder, and the hyperparameters and texts that were written beside them.

Written by torch's and tensorboardX's SummaryWriter, TensorFlow, Lightning, Megatron-LM, NeMo, torchtitan, MaxText and Levanter.
A folder is a run, and every event file in it one process of it: a restart goes on in a new file.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from planner.errors import WorldError
from planner.logs import wire
from planner.logs.curves import Curves, setting, travelled
from planner.logs.keys import name_of
from planner.logs.segment import Log, Segment
from planner.logs.source import Part, Source, head
from planner.logs.tfrecord import DamagedError, Summary, event, masked_crc32c, records

_HPARAMS = re.compile(r"\d{9,11}(?:\.\d+)?")  # the folder that add_hparams makes inside a run's, named by the time
_START, _END = "_hparams_/session_start_info", "_hparams_/session_end_info"
_STATUS = {1: "finished", 2: "failed", 3: "running"}  # hparams api.proto, Status
_MOST_TEXT = 1 << 20


class TensorBoard:
    """Folders of event files, known by the checksum and the version in their first record."""

    name = "tensorboard"
    reads = "TensorBoard event files"

    def claim(self, source: Source) -> list[Part]:
        """One part per folder, with the folder that add_hparams makes inside it."""
        folders: dict[Path, list[Path]] = defaultdict(list)
        for file in source.files:
            if _is_event_file(file):
                folders[file.parent].append(file)
        for folder in list(folders):
            if _HPARAMS.fullmatch(folder.name) and folder.parent in folders:
                folders[folder.parent] += folders.pop(folder)
        return [Part(source, tuple(sorted(files, key=_order)), str(folder)) for folder, files in folders.items()]

    def read(self, parts: Sequence[Part]) -> Log:
        """One segment for each event file with scalars."""
        skipped: Counter[str] = Counter()
        return Log((one for part in parts for one in _segments(part, skipped)), skipped=skipped)


class _Run:
    """One event file while it is read."""

    def __init__(self) -> None:
        self.curves, self.config, self.status = Curves(), dict[str, Any](), ""
        self.first, self.last = math.nan, math.nan

    def add(self, time: float, step: int, found: Summary) -> None:
        if found.scalar is not None:
            self.curves.add(found.tag, step, found.scalar, time)
            self.first = time if math.isnan(self.first) else self.first
            self.last = time
        elif found.tag == _START:
            self.config |= _hparams(found.content)
        elif found.tag == _END:
            info = wire.first(found.content, 4)
            self.status = _STATUS.get(wire.signed(wire.first(info, 1)) if isinstance(info, bytes) else 0, "")
        elif found.text:
            self.config |= _words(found)


def _segments(part: Part, skipped: Counter[str]) -> Iterator[Segment]:
    runs = [(file, _read(part, file, skipped)) for file in part.files]
    config = {name: value for _, run in runs for name, value in run.config.items()}
    folder = part.files[0].parent
    # What add_hparams writes is one point of its own folder, not a process.
    logged = [(file, run) for file, run in runs if run.curves and (file.parent == folder or not run.config)]
    for attempt, (file, run) in enumerate(logged, 1):
        yield Segment(
            key=part.key,
            place=part.source.place(file),
            dialect="tensorboard",
            name=name_of(part.source, Path(part.key)),
            run_id=travelled(config),
            config=config,
            status=run.status or (runs[-1][1].status if attempt == len(logged) else ""),
            started=run.first,
            ended=run.last,
            history=run.curves.series(),
        )


def _read(part: Part, file: Path, skipped: Counter[str]) -> _Run:
    run = _Run()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise WorldError(f"{part.source.place(file)}: {error.strerror or error}") from None
    try:
        for record in records(data):
            try:
                time, step, values = event(record)
                for value in values:
                    run.add(time, step, value)
            except wire.WireError:
                skipped["a damaged event"] += 1
    except EOFError:
        skipped["a last event cut in half"] += 1
    except DamagedError:
        skipped["the rest of an event file after a damaged record"] += 1
    return run


def _hparams(content: bytes) -> dict[str, Any]:
    """HParamsPluginData.session_start_info = 3, its map hparams = 1 of google.protobuf.Value."""
    info = wire.first(content, 3)
    found: dict[str, Any] = {}
    for number, entry in wire.fields(info) if isinstance(info, bytes) else ():
        if number == 1 and isinstance(entry, bytes):
            value = wire.first(entry, 2)
            found[wire.text(wire.first(entry, 1))] = _value(value) if isinstance(value, bytes) else None
    return found


def _value(data: bytes) -> Any:  # noqa: ANN401 - a number, a text or a truth
    for number, value in wire.fields(data):
        if number == 2:
            return wire.double(value)
        if number == 3:
            return setting(wire.text(value))
        if number == 4:
            return bool(value)
    return None


def _words(found: Summary) -> dict[str, Any]:
    """A text as settings: a JSON object by its names (in a fence or not), any short text under its tag."""
    name, text = (
        found.tag.removesuffix("/text_summary"),
        found.text[:_MOST_TEXT].strip().strip("`").removeprefix("json"),
    )
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, dict):
        return whole
    return {name: setting(text)} if len(text) <= 200 else {}


def _order(file: Path) -> tuple[float, str]:
    found = re.search(r"tfevents\.(\d{1,15})", file.name)
    return (float(found[1]) if found else math.inf, file.name)


def _is_event_file(file: Path) -> bool:
    start = head(file, 64)
    return (
        len(start) > 12 and start[8:12] == masked_crc32c(start[:8]).to_bytes(4, "little") and b"brain.Event:" in start
    )


__all__ = ["TensorBoard"]
