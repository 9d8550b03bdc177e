"""`planner export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.output import Json, Output, say, show_json

if TYPE_CHECKING:
    from planner.lab.exports import Export, Settings
    from planner.runs.read import RunTable


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    plan: Annotated[
        str, typer.Argument(metavar="PLAN", help="The plan: csv, jsonl or parquet, as `planner propose` writes it.")
    ],
    to: Annotated[
        str,
        typer.Option("--to", help="csv, jsonl, parquet, shell, slurm, wandb, hydra, skypilot or kubernetes."),
    ],
    trainer: Annotated[
        str,
        typer.Option(
            help="Whose flags: flags (the plan's columns), config (a file a run), megatron, torchtitan, olmo-core, nanochat."
        ),
    ] = "flags",
    command: Annotated[
        str, typer.Option(help="Shell that starts the training; the flags follow it. Left out: torchrun.")
    ] = "",
    output: Output = None,
    micro_batch: Annotated[int, typer.Option(min=1, help="Sequences per accelerator and pass.")] = 1,
    gpus_per_node: Annotated[
        int, typer.Option(min=0, help="Where the plan has no nodes. 0: as the catalog has the chip.")
    ] = 0,
    max_array_size: Annotated[int, typer.Option(min=1, help="slurm: the cluster's MaxArraySize.")] = 1001,
    at_once: Annotated[int, typer.Option(min=0, help="slurm: tasks of an array that run at a time. 0: no limit.")] = 0,
    time_margin: Annotated[float, typer.Option(min=1.0, help="slurm: time limit over planned hours.")] = 1.5,
    image: Annotated[str, typer.Option(help="kubernetes: the container's image.")] = "pytorch/pytorch:latest",
    claim: Annotated[str, typer.Option(help="kubernetes: the volume claim that keeps the outputs.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be written.")] = False,
    json: Json = False,
) -> None:
    """A plan as files that a cluster, tracker or trainer reads."""
    from dataclasses import asdict

    from planner import store
    from planner.lab.exports import Settings
    from planner.lab.exports import export as make
    from planner.runs.read import read_runs

    where = output or default_folder(plan, to)
    settings = Settings(
        trainer, command, micro_batch, gpus_per_node, max_array_size, at_once, time_margin, image, claim, folder=where
    )
    table: RunTable = read_runs(plan)
    made = make(table.frame.drop(columns="line"), to, settings)
    inputs = {"plan": table.sha256, "to": to, **{name: str(value) for name, value in asdict(settings).items()}}
    folder = store.Folder(where, "export", inputs, replace=True)
    folder.check()
    if not dry_run:
        folder.start()
        folder.write_files(made.files)
        folder.finish()
    if json:
        show_json(record(made, to, settings, None if dry_run else where))
    else:
        show(made, to, settings, written=not dry_run)


def default_folder(plan: str, to: str) -> str:
    """Beside the plan's folder, with the format's name behind it; beside a plan in the current folder, its own name."""
    path = Path(plan)
    base = path.parent if path.parent.name else path.with_suffix("")
    return f"{base}-{to}"


def record(made: Export, to: str, settings: Settings, folder: str | None) -> dict[str, object]:
    """The JSON of an export."""
    return {
        "to": to,
        "trainer": settings.trainer,
        "n_runs": made.n_runs,
        "files": list(made.files),
        "missing": made.missing,
        "folder": folder,
    }


def show(made: Export, to: str, settings: Settings, *, written: bool) -> None:
    """What was written, what the trainer cannot express, and how to start."""
    import shlex
    from collections import Counter

    from planner.lab.exports import LAUNCHERS

    top = [name for name in made.files if "/" not in name]
    parts = [*top[:6], *([f"{len(top) - 6:,} more"] if len(top) > 6 else [])]
    for place, count in Counter(name.partition("/")[0] for name in made.files if "/" in name).items():
        parts.append(f"{place}/ ({count:,} file{'s' * (count != 1)})")
    done = "written" if written else "would be written"
    say(f"{plural(made.n_runs)} {done} to {settings.folder}: {', '.join(parts)}")
    for why, runs in sorted(made.missing.items(), key=lambda item: -item[1])[:12]:
        say(f"not expressible in {settings.trainer}, {plural(runs)}: {why}")
    if len(made.missing) > 12:
        say(f"and {len(made.missing) - 12:,} more, each in the scripts of its runs")
    if to in LAUNCHERS and written:
        say(f"start: {LAUNCHERS[to].start.format(folder=shlex.quote(settings.folder))}")


def plural(runs: int) -> str:
    """A number of runs in words."""
    return f"{runs:,} run{'s' * (runs != 1)}"
