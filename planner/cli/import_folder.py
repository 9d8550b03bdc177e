"""The results folder of an import: the database, the table of runs, and how they were made."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from planner import store
from planner.logs.database import DATABASE, held
from planner.logs.points import checkpoints
from planner.logs.reconcile import Imported, import_logs, read_plan
from planner.runs import read_runs

if TYPE_CHECKING:
    from planner.logs.importing import Settings

UNPLANNED = "unplanned.csv"


def import_into(
    sources: list[str],
    plan: str | None,
    output: str | None,
    usd_per_gpu_hour: float | None,
    settings: Settings,
    points: str | None,
) -> tuple[Imported, Path]:
    """Import into the folder `output`; the import, and the path of its table of runs.

    The database is committed first and held until the table is written, so that two imports never mix. An import that fails
    leaves a folder as it was, and none where there was none.
    """
    path = Path(output or f"results/{_name(sources[0])}-runs")
    planned = None if plan is None else read_plan(plan)
    folder = store.Folder(path, "import", {}, replace=True)
    folder.check()
    fresh = not (path / store.PROVENANCE).exists()
    parents = [parent for parent in path.parents if not parent.exists()]
    try:
        if fresh:
            folder.start()
        with held(path / DATABASE, patience=settings.patience) as database:
            found = import_logs(
                sources, planned, usd_per_gpu_hour=usd_per_gpu_hour, settings=settings, database=database
            )
            folder.inputs = _inputs(found, plan, usd_per_gpu_hour)
            folder.start()
            written = folder.write_table(store.RUNS, found.frame)
            if len(found.extra):
                folder.write_table(UNPLANNED, found.extra)
            if points is not None:
                folder.write_table(f"points.{points}", checkpoints(database))
            folder.finish()
    except BaseException:
        if fresh:
            _remove(path, parents)
        raise
    return found, written


def _inputs(found: Imported, plan: str | None, usd_per_gpu_hour: float | None) -> dict[str, str]:
    inputs = {"logs": found.logged.digest}
    inputs |= {} if plan is None else {"plan": read_runs(plan).sha256}
    return inputs | ({} if usd_per_gpu_hour is None else {"usd_per_gpu_hour": str(usd_per_gpu_hour)})


def _remove(path: Path, parents: list[Path]) -> None:
    """What an import that failed had begun in a new folder."""
    for name in (DATABASE, f"{DATABASE}.wal", store.PROVENANCE):
        (path / name).unlink(missing_ok=True)
    for folder in (path, *parents):
        with contextlib.suppress(OSError):  # not empty: not ours
            folder.rmdir()


def _name(source: str) -> str:
    from planner.text import slug

    return slug(Path(source).name.partition(".")[0] or "logs")
