"""`planner import`."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Annotated, Any

import typer

from planner.cli.output import Json, Output, say, show_json, warn

if TYPE_CHECKING:
    from pathlib import Path

    from planner.logs.importing import Settings
    from planner.logs.reconcile import Imported

SHOWN = 5  # of a list in the text; --json has all
# New objects between two looks for cycles. Rows of thousands of runs have none, and at Python's own 700 looking costs a
# tenth of the main thread's time.
GC_EVERY = 100_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_logs)


def import_logs(
    source: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Logs: files, folders or a tracker's address.")
    ],
    plan: Annotated[
        str | None, typer.Option("--plan", help="The plan they belong to: plan.csv, .jsonl or .parquet.")
    ] = None,
    usd_per_gpu_hour: Annotated[float | None, typer.Option(min=0, help="Rent of one accelerator-hour.")] = None,
    column: Annotated[
        list[str] | None, typer.Option("--column", help="theirs=ours: a logged name and our name of it.")
    ] = None,
    constant: Annotated[
        list[str] | None, typer.Option("--set", help="name=value for every run: context_length=4096.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", help="A reason for which points are not to be dropped: spike.")
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=1, help="Values that a final loss is the mean of; else 1 of an evaluation, 2 % of a training loss."
        ),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="The reader to use, where looking at the source misleads.")
    ] = None,
    points: Annotated[
        str | None, typer.Option("--points", help="Also write every point with its phase: csv, jsonl or parquet.")
    ] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for another import into the same folder.")] = 60,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and report; write nothing.")] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """From any lab's logs to a clean table of runs, beside the plan where there is one.

    Logs are read into lab.duckdb in the folder; reading them again changes nothing, and longer ones are added to. Any DuckDB
    client can query it: tables runs, segments, points, evals, sources.
    """
    gc.set_threshold(GC_EVERY)
    from planner.cli.import_folder import import_into
    from planner.encode import FORMATS
    from planner.errors import InputError
    from planner.logs.allocator import keep_freed_memory
    from planner.logs.importing import Settings, parse_keep

    keep_freed_memory()
    if points is not None and points not in FORMATS:
        raise InputError(f"--points {points!r} is no format", f"one of: {', '.join(FORMATS)}")

    settings = Settings(
        columns=_pairs("--column", column), constants=_pairs("--set", constant), keep=parse_keep(keep or []),
        window=window, patience=wait, reader=form or "",
    )  # fmt: skip
    if dry_run:
        found, path = _read(source, plan, usd_per_gpu_hour, settings), None
    else:
        found, path = import_into(source, plan, output, usd_per_gpu_hour, settings, points)
    failed = found.logged.error
    if not json:
        _tell(found, path, planned=plan is not None)
        if failed is not None:  # the rest is kept
            raise failed
        return
    record = _record(found, path)
    if failed is None:
        show_json(record)
        return
    show_json(record | {"error": {"kind": failed.kind, "message": failed.message, "try": failed.hint}})
    raise typer.Exit(failed.exit_code)


def _read(source: list[str], plan: str | None, usd_per_gpu_hour: float | None, settings: Settings) -> Imported:
    from planner.logs.reconcile import import_logs as reconcile
    from planner.logs.reconcile import read_plan

    planned = None if plan is None else read_plan(plan)
    return reconcile(source, planned, usd_per_gpu_hour=usd_per_gpu_hour, settings=settings)


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    from planner.errors import InputError

    pairs = {}
    for item in given or []:
        theirs, equals, ours = item.rpartition("=") if option == "--column" else item.partition("=")
        if not (equals and theirs.strip() and ours.strip()):
            example = "their_name=train_loss" if option == "--column" else "context_length=4096"
            raise InputError(f"{option} {item!r} is not a name=value", f"for example {option} {example}")
        pairs[theirs] = ours.strip()
    return pairs


def _record(found: Imported, path: Path | None) -> dict[str, Any]:
    logged = found.logged
    return {
        "n_runs": len(found.frame), "dropped": found.unfinished, "missing": found.missing, "unplanned": found.unplanned,
        "runs": None if path is None else str(path), "readers": logged.readers, "mapped": logged.mapped, "unused": logged.unused,
        "skipped": logged.skipped, "dropped_points": logged.dropped, "n_points": logged.n_points, "new_points": logged.points,
        "by_content": found.by_content, "differences": found.differences, "hours_off": found.hours_off,
        "hours_ratio": found.hours_ratio, "notes": (*logged.notes, *found.notes),
    }  # fmt: skip


def _tell(found: Imported, path: Path | None, *, planned: bool) -> None:
    logged = found.logged
    say(f"read as {', '.join(logged.readers)}: {logged.points:,} new points, {logged.n_points:,} in all")
    if logged.mapped:
        say("columns: " + ", ".join(f"{theirs} -> {ours}" for theirs, ours in logged.mapped.items()))
    if logged.unused:
        say(f"not used: {_some(logged.unused)}")
    for reason, number in logged.skipped.items():
        say(f"skipped: {number:,} x {reason}")
    for reason, number in logged.dropped.items():
        say(f"points that do not count: {number:,} {reason} (--keep {reason!r} takes them back)")
    unfinished = ", ".join(f"{number:,} {status}" for status, number in found.unfinished.items()) or "none"
    runs = "run" if len(found.frame) == 1 else "runs"
    say(f"{len(found.frame):,} {'planned ' if planned else ''}{runs}; not completed: {unfinished}")
    if planned:
        say(f"planned and not logged: {len(found.missing):,}; logged and not planned: {len(found.unplanned):,}")
        _tell_of_plan(found)
    failure = logged.error.message if logged.error is not None else ""  # which is said at the end
    for note in (*logged.notes, *found.notes):
        if note.removeprefix("left out: ") not in failure:
            say(f"note: {note}")
    if path is not None:
        say(f"runs: {path}")


def _tell_of_plan(found: Imported) -> None:
    if found.by_content:
        say(f"joined by what they trained, for no run_id told: {len(found.by_content):,}")
    if found.unplanned:
        hours = found.extra["gpu_hours"].astype(float).sum() if "gpu_hours" in found.extra else 0.0
        say(f"  not planned, {hours:,.4g} GPU-hours, in unplanned.csv: {_some(found.unplanned)}")
    for one in found.differences[:SHOWN]:
        say(f"  {one.run_id}: {one.column} is {one.logged}, planned {one.planned}")
    if len(found.differences) > SHOWN:
        say(f"  and {len(found.differences) - SHOWN:,} more settings that are not as planned")
    if found.hours_off:
        warn(
            f"GPU-hours of {len(found.hours_off):,} runs are more than 20 % off the modelled ones "
            f"(median {found.hours_ratio:.2f} times): {_some(found.hours_off)}"
        )


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN:,} more"
