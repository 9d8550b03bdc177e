"""`planner launch`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, Output, say, show_json
from planner.cli.table import WhereText

if TYPE_CHECKING:
    from planner import store
    from planner.lab.launch import Launched, Order
    from planner.lab.local.corpus import Corpus
    from planner.lab.local.places import Outcome, Places
    from planner.lab.local.task import Task

SHOWN = 5  # of a list in the text; --json has all
GFLOPS_A_CORE = (
    60.0  # what this trainer reaches on a server core of 2023 for 0.1M-10M parameters (tests/benchmarks/trainer.py)
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("launch")(launch)


def launch(
    plan: Annotated[
        str, typer.Argument(metavar="PLAN", help="The plan: csv, jsonl or parquet, as `planner propose` writes it.")
    ],
    on: Annotated[str, typer.Option("--on", help="Where: local (this machine; trains for real).")],
    jobs: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Worker processes. Left out: one per GPU, else one per core.")
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="A text file or a folder. Left out: the Python standard library's sources."),
    ] = None,
    epochs: Annotated[float, typer.Option(min=0.01, help="Passes over the corpus that a run may make.")] = 4.0,
    where: WhereText = None,
    limit_runs: Annotated[
        int | None, typer.Option(min=1, help="Start at most so many runs, the most urgent ones.")
    ] = None,
    checkpoint_seconds: Annotated[float, typer.Option(min=0, help="Seconds between a run's checkpoints.")] = 30.0,
    output: Output = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be trained.")] = False,
    json: Json = False,
) -> None:
    """Train a plan's runs, every one once; killed and started again, it goes on.

    Logs are written to DIR/logs, one jsonl a run: `planner import DIR/logs --plan PLAN` reads them.
    """
    from planner.cli.export import default_folder
    from planner.cli.table import read_table
    from planner.errors import InputError
    from planner.lab.launch import Settings, cores, devices, ordered
    from planner.lab.launch import launch as start
    from planner.lab.local.corpus import read_corpus
    from planner.lab.local.launching import require_enough, require_torch
    from planner.lab.local.places import Places
    from planner.lab.local.task import task_of

    if on != "local":
        raise InputError(f"--on {on!r} is no place to launch on", "local; or `planner export --to slurm` and others")
    table = read_table(plan, where, None)
    records = table.frame.drop(columns="line").to_dict("records")
    rows = [{str(name): cell for name, cell in record.items()} for record in records]
    tasks = [task_of(row) for row in rows]
    text = read_corpus(corpus)
    require_enough(tasks, text, epochs)
    places = Places(Path(output or default_folder(plan, on)))
    folder = _folder(places, text, on)
    folder.check()
    order = ordered(rows, places, limit_runs)
    if not dry_run:
        require_torch()
    number = jobs or len(devices()) or cores()
    _tell_cost(order, tasks, number)
    launched = None
    if not dry_run:
        folder.start()
        _lay_down(text, places, folder)
        launched = start(order, rows, places, Settings(number, limit_runs, checkpoint_seconds), _progress(order, tasks))
        _finish(folder, places, launched)
    if json:
        show_json(record(order, launched, places, text))
    elif launched is not None:
        show(launched, places, plan)


def _folder(places: Places, text: Corpus, on: str) -> store.Folder:
    """The folder, which belongs to one corpus: plans may grow, losses on different texts do not mix."""
    from planner import store

    return store.Folder(places.folder, "launch", {"on": on, "corpus": text.sha256})


def _lay_down(text: Corpus, places: Places, folder: store.Folder) -> None:
    """Write the corpus for the workers; what it is counts as the folder's."""
    from planner.lab.local.launching import lay_down

    lay_down(text, places)
    folder.note("corpus.json")


def _finish(folder: store.Folder, places: Places, launched: Launched) -> None:
    """Count the logs as the folder's; it is complete when every run has ended."""
    for log in sorted(places.logs.glob("*.jsonl")):
        folder.note(f"logs/{log.name}")
    if launched.all_ended:
        folder.finish()


def _flops(tasks: list[Task]) -> dict[str, float]:
    """FLOPs that each run trains, by the exact rule."""
    from planner.models.flops import FlopsRule, flops_per_token

    return {
        task.run_id: flops_per_token(task.model, FlopsRule.EXACT, task.context_length)
        * (task.steps - task.resumed_steps) * task.batch_tokens
        for task in tasks
    }  # fmt: skip


def _tell_cost(order: Order, tasks: list[Task], jobs: int) -> None:
    """What is about to be spent, on stderr."""
    flops = _flops(tasks)
    total = sum(flops[str(row["run_id"])] for row in order.rows)
    hours = total / (GFLOPS_A_CORE * 1e9 * jobs) / 3600
    left = f"; {order.left:,} left for later" if order.left else ""
    print(f"{len(order.rows):,} runs to train, {len(order.skipped):,} skipped{left}: {total:.2e} FLOPs, about {hours:.2g} hours "
          f"with {jobs} workers at {GFLOPS_A_CORE:g} GFLOP/s each", file=sys.stderr)  # fmt: skip


def _progress(order: Order, tasks: list[Task]) -> Callable[[Outcome], None]:
    """A line on stderr per run that ends, five seconds apart at least; and how long the rest takes at the pace so far."""
    from planner.text import visible

    flops = _flops(tasks)
    wanted = {str(row["run_id"]) for row in order.rows}
    total, began = sum(flops[run] for run in wanted), time.monotonic()
    ended: list[str] = []
    last = [began - 10]

    def told(outcome: Outcome) -> None:
        ended.append(outcome.run_id)
        now = time.monotonic()
        if now - last[0] < 5 and len(ended) < len(wanted) and outcome.loss is not None:
            return
        last[0] = now
        done = sum(flops[run] for run in ended) / total if total else 1.0
        left = (now - began) * (1 - done) / done if done else 0.0
        what = f"loss {outcome.loss:.4f}" if outcome.loss is not None else f"{outcome.status.value}: {outcome.reason}"
        print(f"[{len(ended)}/{len(wanted)}] {visible(outcome.run_id)}: {visible(what)}; {done:.0%} of the FLOPs, "
              f"{left / 60:.1f} minutes left", file=sys.stderr, flush=True)  # fmt: skip

    return told


def record(order: Order, launched: Launched | None, places: Places, text: Corpus) -> dict[str, object]:
    """The JSON of a launch: without `launched`, of what would be trained."""
    outcomes = {} if launched is None else launched.outcomes
    return {
        "submitted": [str(row["run_id"]) for row in order.rows],
        "skipped": order.skipped if launched is None else launched.skipped,
        "failed": {} if launched is None else launched.failed,
        "completed": sum(outcome.loss is not None for outcome in outcomes.values()),
        "left": order.left,
        "corpus": text.name,
        "folder": str(places.folder),
        "logs": str(places.logs),
    }


def show(launched: Launched, places: Places, plan: str) -> None:
    """What became of the runs, and what comes next."""
    import shlex

    completed = sum(outcome.loss is not None for outcome in launched.outcomes.values())
    say(f"{completed:,} runs completed, {len(launched.failed):,} diverged or failed, {len(launched.skipped):,} skipped")
    for title, runs in (("not completed", launched.failed), ("skipped", launched.skipped)):
        for run, why in list(runs.items())[:SHOWN]:
            say(f"  {title}: {run}: {why}")
        if len(runs) > SHOWN:
            say(f"  and {len(runs) - SHOWN:,} more {title}")
    if launched.left:
        say(f"{launched.left:,} runs are left: launch again")
    say(f"next: planner import {shlex.quote(str(places.logs))} --plan {shlex.quote(plan)}")
