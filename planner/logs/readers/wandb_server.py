"""A W&B project or run on its server, through W&B's public API: the whole history of every run, never the sampled one.

`wandb://ENTITY/PROJECT` or `wandb://ENTITY/PROJECT/RUN`, or the address of its page on wandb.ai; `WANDB_BASE_URL` names another
server. `run.history()` would give 500 rows; `run.scan_history()` gives all (docs.wandb.ai, Import and export data).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from planner.errors import InputError
from planner.logs.curves import last_values, travelled
from planner.logs.segment import Log, Segment
from planner.logs.source import Part, Source
from planner.logs.tracker import TIMEOUT, asked, client
from planner.logs.wandb_rows import history_of

T = TypeVar("T")
_URI = re.compile(
    r"(?:wandb://|https?://(?:www\.)?wandb\.ai/)([\w.-]+)/([\w.%-]+)(?:/(?:runs/)?([\w-]+))?/?(?:[?#].*)?",
    re.IGNORECASE,
)
_PAGES = {"table", "workspace", "overview", "sweeps", "reports", "groups", "runs"}  # pages of a project, no runs
_PAGE = 1000  # rows a request
# Set before the client starts its service, where the user has not set them: it would try for half an hour, and report errors home.
_SETTINGS = {
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_HTTP_TIMEOUT": str(TIMEOUT),
    "WANDB__GRAPHQL_RETRY_MAX": "1",
    "WANDB__GRAPHQL_RETRY_WAIT_MIN_SECONDS": "1",
    "WANDB__GRAPHQL_RETRY_WAIT_MAX_SECONDS": "1",
}
_REFUSAL = re.compile(
    r"invalid credentials|permission|could not find|not found|unauthorized|forbidden|\b40[134]\b", re.IGNORECASE
)


class WandbServer:
    """A URI that names a project or a run of W&B."""

    name = "wandb_server"
    reads = "a W&B project (wandb://ENTITY/PROJECT, or its address on wandb.ai)"

    def claim(self, source: Source) -> list[Part]:
        """The URI itself, when it is W&B's."""
        return [Part(source)] if source.uri.lower().startswith("wandb://") or _URI.fullmatch(source.uri) else []

    def read(self, parts: Sequence[Part]) -> Log:
        """One segment per run, oldest first."""
        return Log(segment for part in parts for segment in _runs(part))


def _runs(part: Part) -> Iterator[Segment]:
    found = _URI.fullmatch(part.source.uri)
    if found is None:
        raise InputError(f"{part.place}: no W&B address", "write wandb://ENTITY/PROJECT or wandb://ENTITY/PROJECT/RUN")
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    package = client("wandb", "wandb", part.place)
    if not os.environ.get("WANDB_API_KEY"):
        raise InputError(
            f"{part.place}: no key to read it with", "set WANDB_API_KEY (your key is on wandb.ai/authorize)"
        )
    api = _asked(part, lambda: package.Api(timeout=TIMEOUT))
    entity, project, run = found.groups()
    if run and run.lower() not in _PAGES:
        yield _segment(part, _asked(part, lambda: api.run(f"{entity}/{project}/{run}")))
        return
    runs = iter(api.runs(f"{entity}/{project}", order="+created_at"))
    while (one := _asked(part, lambda: next(runs, None))) is not None:
        yield _segment(part, one)


def _segment(part: Part, run: Any) -> Segment:  # noqa: ANN401 - W&B's class
    config, summary = _asked(part, lambda: (dict(run.config), dict(run.summary)))
    rows = _asked(part, lambda: list(run.scan_history(page_size=_PAGE)))
    curves, first, last = history_of(rows, nan_is_missing=False)
    history = curves.series()
    return Segment(
        key=run.id,
        place=f"{part.place}, run {run.id}",
        dialect="wandb",
        name=run.name or run.id,
        run_id=travelled(config),
        config={name: value for name, value in config.items() if name != "_wandb"},
        summary=last_values(summary, history, "wandb"),
        status=str(run.state or "").lower(),
        started=_moment(getattr(run, "created_at", None)) if first is None else first,
        ended=last,
        history=history,
    )


def _asked(part: Part, question: Callable[[], T]) -> T:
    return asked(question, part.place, refused=_refused)


def _refused(error: Exception) -> bool:
    """W&B's errors carry no status: its words tell a refusal from a failure."""
    return bool(_REFUSAL.search(str(error)))


def _moment(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


__all__ = ["WandbServer"]
