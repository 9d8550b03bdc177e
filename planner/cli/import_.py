"""`planner import`."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.output import Json, Output, say, show_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_logs)


def import_logs(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Logged runs: csv, jsonl or parquet, one row per run.")
    ],
    plan: Annotated[str, typer.Option("--plan", help="The plan they belong to: plan.csv, .jsonl or .parquet.")],
    usd_per_gpu_hour: Annotated[float, typer.Option(min=0, help="Rent of one accelerator-hour.")],
    output: Output = None,
    json: Json = False,
) -> None:
    """The table of runs: logs joined to the plan, every planned run with what became of it."""
    from pathlib import Path

    from planner import store
    from planner.logs.reconcile import import_logs as reconcile
    from planner.logs.reconcile import read_plan
    from planner.runs import read_runs

    found = reconcile(source, read_plan(plan), usd_per_gpu_hour=usd_per_gpu_hour)
    inputs = {
        "logs": read_runs(source).sha256,
        "plan": read_runs(plan).sha256,
        "usd_per_gpu_hour": str(usd_per_gpu_hour),
    }
    folder = store.Folder(
        output or f"results/{Path(source).name.partition('.')[0]}-runs", "import", inputs, replace=True
    )
    folder.start()
    path = folder.write_table(store.RUNS, found.frame)
    folder.finish()
    if json:
        show_json({"n_runs": len(found.frame), "dropped": found.unfinished, "missing": found.missing,
                   "unplanned": found.unplanned, "runs": str(path)})  # fmt: skip
        return
    unfinished = ", ".join(f"{number} {status}" for status, number in found.unfinished.items()) or "none"
    say(f"{len(found.frame):,} planned runs; not completed: {unfinished}")
    say(f"planned and not logged: {len(found.missing)}; logged and not planned: {len(found.unplanned)}")
    say(f"runs: {path}")
