"""`planner next`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, Output, say, show_json, show_table

if TYPE_CHECKING:
    from planner.sweep.next_runs import Next


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("next")(next_)


def next_(
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="The question: a TOML file, as in sweeps/.")],
    runs: Annotated[
        str, typer.Option("--runs", help="What came back: runs.csv of `planner import` (jsonl, parquet too).")
    ],
    everything: Annotated[
        bool, typer.Option("--all", help="All that the budget still pays: no batches, no stop rule.")
    ] = False,
    output: Output = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be planned.")] = False,
    json: Json = False,
) -> None:
    """A sweep in progress: refit, close gates, plan the next batch, or say that it is time to stop."""
    from planner import store
    from planner.errors import InputError
    from planner.runs import read_runs
    from planner.sweep.next_runs import next_runs
    from planner.sweep.spec import read_sweep

    question, table = read_sweep(sweep), read_runs(runs)
    folder = store.Folder(
        output or f"results/{question.file.name}-next",
        "next",
        {"sweep": question.sha256, "runs": table.sha256},
        replace=True,
    )
    folder.check()
    try:
        found = next_runs(question, table, everything=everything)
    except InputError as error:
        raise error if str(sweep) in error.message else InputError(f"{sweep}: {error.message}", error.hint) from None
    path = None
    if not dry_run:
        folder.start()
        path = folder.write_table(store.PLAN, found.runs)
        folder.finish()
    if json:
        show_json(_record(found, None if path is None else str(path)))
        return
    _show(found)
    if path is not None:
        say(f"next: {path}")


def _record(found: Next, path: str | None) -> dict[str, object]:
    return {
        "run_ids": found.runs["run_id"].tolist() if len(found.runs) else [],
        "n_runs": len(found.runs),
        "gpu_hours": float(found.runs["gpu_hours"].sum()) if len(found.runs) else 0.0,
        "closed": found.closed,
        "stop": found.stop,
        "reason": found.reason,
        "spent_gpu_hours": found.spent,
        "running": found.running,
        "diverged": found.diverged,
        "worth": found.worth,
        "noise": found.noise,
        "plan": path,
    }


def _show(found: Next) -> None:
    from planner.quantities import human

    by_study = {str(name): part for name, part in found.runs.groupby("study", sort=False)}
    names = list(dict.fromkeys([*found.spent, *map(str, by_study)]))
    rows = []
    for name in names:
        part = by_study.get(name)
        hours = "-" if part is None else human(float(part["gpu_hours"].sum()), 4)
        rows.append((name, human(found.spent.get(name, 0.0), 4), "-" if part is None else f"{len(part):,}", hours))
    show_table("", ("study", "GPU-hours spent", "runs now", "GPU-hours now"), rows)
    for sentence in found.reason.split("; "):
        say(sentence)
    for one in found.closed:
        say(f"closed after stage {one.stage}: {one.variant} ({one.why}; probability of helping {one.probability:.2f})")
    if found.diverged:
        say(f"not repeated: {len(found.diverged)} diverged runs; lower the learning rate if there are many")
    if found.stop:
        say("stop: nothing is left that is worth its price")
