"""`planner launch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.output import Json, Output
from planner.cli.table import WhereText

# Options that mean something in some places only.
PLACES = {
    "local": {"jobs", "corpus", "epochs", "checkpoint_seconds"},
    "slurm": {
        "corpus", "epochs", "checkpoint_seconds", "command", "trainer", "sbatch", "attempts", "preemptions", "at_once",
        "time_margin", "gpus_per_node", "micro_batch", "poll_seconds", "patience", "no_wait", "sweep",
    },
    "simulated": {"sweep", "seed"},
}  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("launch")(launch)


def launch(
    context: typer.Context,
    plan: Annotated[
        str, typer.Argument(metavar="PLAN", help="The plan: csv, jsonl or parquet, as `planner propose` writes it.")
    ],
    on: Annotated[
        str, typer.Option("--on", help="Where: local (this machine; trains for real), slurm (a cluster), simulated.")
    ],
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="local: worker processes. Left out: one per GPU, else one per core."),
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
    command: Annotated[
        str, typer.Option(help="slurm: shell that trains a run; its flags follow. Left out: the planner's own trainer.")
    ] = "",
    trainer: Annotated[
        str, typer.Option(help="slurm: whose flags --command gets, as in `planner export`; config: a JSON file a run.")
    ] = "flags",
    sbatch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OPTION", help="slurm: an option for sbatch, as --sbatch=--partition=gpu. May be repeated."
        ),
    ] = None,
    attempts: Annotated[
        int, typer.Option(min=1, help="slurm: attempts at a run that fails, or gets no further in its time limit.")
    ] = 3,
    preemptions: Annotated[
        int, typer.Option(min=1, help="slurm: times a run may lose its place before it got further.")
    ] = 20,
    at_once: Annotated[int, typer.Option(min=0, help="slurm: tasks of an array that run at a time. 0: no limit.")] = 0,
    time_margin: Annotated[float, typer.Option(min=1.0, help="slurm: time limit over planned hours.")] = 1.5,
    gpus_per_node: Annotated[
        int,
        typer.Option(min=0, help="slurm, with --command, where the plan has no nodes. 0: as the catalog has the chip."),
    ] = 0,
    micro_batch: Annotated[int, typer.Option(min=1, help="slurm, with --command: sequences per accelerator.")] = 1,
    poll_seconds: Annotated[float, typer.Option(min=0.1, help="slurm: seconds between looks at the queue.")] = 10.0,
    patience: Annotated[float, typer.Option(min=0, help="slurm: seconds that it may be silent.")] = 120.0,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="slurm: submit what can be, and return.")] = False,
    sweep: Annotated[
        str | None,
        typer.Option(metavar="SWEEP", help="slurm: close this sweep's gates as stages come back; simulated: its lab."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="simulated: the world's seed, where no --sweep says it.")] = 0,
    output: Output = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    json: Json = False,
) -> None:
    """Train a plan's runs, every one once; killed and started again, it goes on.

    Logs are written to DIR/logs, a file a run: `planner import DIR/logs --plan PLAN` reads them.
    """
    from planner.cli.export import default_folder
    from planner.cli.launch_local import Asked
    from planner.cli.table import read_table
    from planner.lab.local.places import Places

    _require_place(context, on)
    table = read_table(plan, where, None)
    records = table.frame.drop(columns="line").to_dict("records")
    rows = [{str(name): cell for name, cell in record.items()} for record in records]
    asked = Asked(plan, rows, Places(Path(output or default_folder(plan, on))), limit_runs, dry_run, json)
    if on == "local":
        from planner.cli.launch_local import launch_local

        launch_local(asked, jobs=jobs, corpus=corpus, epochs=epochs, checkpoint_seconds=checkpoint_seconds)
    elif on == "simulated":
        from planner.cli.launch_simulated import launch_simulated

        launch_simulated(asked, table.frame, sweep=sweep, seed=seed)
    else:
        from planner.cli.launch_slurm import Options, launch_slurm

        launch_slurm(asked, table.frame, Options(
            corpus=corpus, epochs=epochs, checkpoint_seconds=checkpoint_seconds, command=command, trainer=trainer,
            sbatch=tuple(sbatch or ()), attempts=attempts, preemptions=preemptions, at_once=at_once, time_margin=time_margin,
            gpus_per_node=gpus_per_node, micro_batch=micro_batch, poll_seconds=poll_seconds, patience=patience,
            wait=not no_wait, sweep=sweep,
        ))  # fmt: skip


def _require_place(context: typer.Context, on: str) -> None:
    """Refuse a place that is none, and an option that means nothing there."""
    from planner.errors import InputError

    if on not in PLACES:
        raise InputError(
            f"--on {on!r} is no place to launch on", f"one of: {', '.join(PLACES)}; `planner export` has more"
        )
    for name in sorted(set().union(*PLACES.values()) - PLACES[on]):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            there = " and ".join(place for place in PLACES if name in PLACES[place])
            raise InputError(f"--{name.replace('_', '-')} is for --on {there}", "leave it out")
