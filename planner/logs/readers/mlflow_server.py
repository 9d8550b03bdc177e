"""An MLflow tracking server, or the one that Databricks keeps.

The client's own retries are turned off and its timeout is short, so that a server that fails or hangs ends the import within
minutes; `MLFLOW_HTTP_REQUEST_TIMEOUT` changes it. User and password come from MLflow's own variables or the URI, and are
never shown.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from planner.errors import InputError
from planner.logs.readers.mlflow_files import segment_of
from planner.logs.segment import Log, Segment
from planner.logs.source import Part, Source
from planner.logs.tracker import TIMEOUT, asked, client

T = TypeVar("T")
_SCHEMES = ("http://", "https://", "databricks://")
_DATABASES = ("postgresql", "mysql", "mssql")
_PAGE = 200  # runs a request
_AT_ONCE = 8  # histories asked for at the same time
# Set before the client is imported, where the user has not set them. Telemetry would leave the user's network.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(TIMEOUT),
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class MlflowServer:
    """A tracking URI that is not a file."""

    name = "mlflow_server"
    reads = "an MLflow tracking URI (http://HOST:PORT)"

    def claim(self, source: Source) -> list[Part]:
        """The URI itself, when its scheme is one of MLflow's."""
        return [Part(source)] if source.uri.lower().startswith(_SCHEMES + _DATABASES) else []

    def read(self, parts: Sequence[Part]) -> Log:
        """One segment per run, in the order they were started."""
        skipped: Counter[str] = Counter()
        return Log((one for part in parts for one in _runs(part)), skipped=skipped)


def _runs(part: Part) -> Iterator[Segment]:
    if part.source.uri.lower().startswith(_DATABASES):
        raise InputError(
            f"{part.place}: a database that MLflow's own server opens",
            "start it with `mlflow server --backend-store-uri` and this URI, and give its address",
        )
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    package = client("mlflow", "mlflow", part.place)
    tracker = _asked(part, lambda: package.MlflowClient(tracking_uri=part.source.uri))
    experiments = [one.experiment_id for one in _pages(part, lambda page: tracker.search_experiments(page_token=page))]
    runs = _pages(
        part,
        lambda page: tracker.search_runs(
            experiments, max_results=_PAGE, order_by=["attributes.start_time ASC"], page_token=page
        ),
    )
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for run in runs:
            yield _run(part, tracker, run, pool)


def _pages(part: Part, page: Callable[[str | None], Any]) -> Iterator[Any]:
    token: str | None = None
    while True:
        found = _asked(part, lambda token=token: page(token))  # type: ignore[misc]
        yield from found
        token = found.token
        if not token:
            return


def _run(part: Part, tracker: Any, run: Any, pool: ThreadPoolExecutor) -> Segment:  # noqa: ANN401 - MLflow's classes
    key, place = run.info.run_id, f"{part.place}, run {run.info.run_id}"
    names = sorted(run.data.metrics)
    histories = pool.map(lambda name: _asked(part, lambda: tracker.get_metric_history(key, name)), names)
    points = [
        (name, float(point.step), float(point.value), float(point.timestamp))
        for name, history in zip(names, histories, strict=True)
        for point in sorted(history, key=lambda point: (point.timestamp, point.step))
    ]
    info = run.info
    return segment_of(
        key,
        place,
        info.run_name or "",
        run.data.params,
        run.data.tags,
        info.status or "",
        (info.start_time, info.end_time),
        points,
    )


def _asked(part: Part, question: Callable[[], T]) -> T:
    return asked(question, part.place, refused=_refused)


def _refused(error: Exception) -> bool:
    """Whether the server said no, rather than failing: a 4xx that is no time-out and no limit."""
    status = getattr(error, "get_http_status_code", lambda: math.nan)()
    return 400 <= status < 500 and status not in (408, 429)


__all__ = ["MlflowServer"]
