"""What a reader gives: segments of runs, with histories, as one source holds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from planner.logs.source import Part, Source

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """One metric of a segment in the order it was logged: arrays `(n_points,)`.

    `step` is the optimizer step (NaN where none was logged), `value` as logged (NaN and infinity stay), `time` seconds since
    1970 UTC when it was logged, where that is known.
    """

    step: Array
    value: Array
    time: Array | None = None


@dataclass(frozen=True)
class Segment:
    """One piece of one run: what a process logged from a start to its end, under the source's own names and units.

    `key` is what no other run has and what stays the same when it is read again: a W&B run id, an MLflow run uuid, else the file or
    folder as the user gave it. It stands for the run where no `run_id` did.
    `run_id` is the planner's id where it travelled (in a config, a tag or the environment), else "". `attempt` counts restarts
    from 1 where the source knows them. `config` may nest; `summary` holds last values by metric. `status` is the source's word.
    `dialect` names the tool that wrote it (`names.py`). `started` and `ended` are seconds since 1970 UTC. `place` is shown to
    people: a path or URI without credentials.
    """

    key: str
    place: str
    dialect: str = ""
    name: str = ""
    run_id: str = ""
    attempt: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    started: float | None = None
    ended: float | None = None
    history: Mapping[str, Series] = field(default_factory=dict)


@dataclass(frozen=True)
class Bulk:
    """Rows of many runs in files that DuckDB reads in place, so that no row becomes a Python object.

    `scan` is a table expression such as `read_parquet(?, filename = 'planner_file')`, `parameters` its values, `columns` the
    names and DuckDB types it has (without `planner_file`, the path as DuckDB reports it), `places` each file's shown place by
    that path. Text is `slow`: it is parsed once, into a temporary table. `rejects` says that the scan notes the lines that are no
    rows in DuckDB's table `reject_errors`.
    """

    scan: str
    parameters: Sequence[Any]
    columns: Mapping[str, str]
    places: Mapping[str, str]
    dialect: str = ""
    slow: bool = False
    rejects: bool = False


@dataclass(frozen=True)
class Log:
    """What one reader found in its parts of a source.

    `segments` is read once, lazily. `skipped` counts what was left out by reason; it is complete when `segments` is used up.
    """

    segments: Iterable[Segment] = ()
    bulk: Sequence[Bulk] = ()
    skipped: Counter[str] = field(default_factory=Counter)


class Reader(Protocol):
    """Reads one kind of log. `name` is what `--format` takes, `reads` tells people what it is for."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def reads(self) -> str: ...  # noqa: D102

    def claim(self, source: Source) -> list[Part]:
        """The parts of `source` that this reader reads; none when it is of another kind."""
        ...

    def read(self, parts: Sequence[Part]) -> Log:
        """What these parts hold. Raises InputError for a file that cannot be read, WorldError for a tracker that fails."""
        ...
