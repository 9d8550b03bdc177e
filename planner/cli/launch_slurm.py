"""`planner launch --on slurm`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from planner.cli.launch_local import Asked, corpus_folder, finish, prepared, trained_here
from planner.cli.launched import record, show
from planner.cli.output import say, show_json, warn

if TYPE_CHECKING:
    import pandas as pd

    from planner import store
    from planner.lab.exports import Settings as Export
    from planner.lab.exports.run import Run
    from planner.lab.exports.slurm import Array
    from planner.lab.gates import Gates
    from planner.lab.launch import Launched, Order
    from planner.lab.local.corpus import Corpus
    from planner.lab.slurm.settings import Progress, Settings

SECONDS = 300.0  # after which a line of progress is said again though nothing has changed


@dataclass(frozen=True)
class Options:
    """The options of `planner launch` that mean something on Slurm."""

    corpus: str | None
    epochs: float
    checkpoint_seconds: float
    command: str
    trainer: str
    sbatch: tuple[str, ...]
    attempts: int
    preemptions: int
    at_once: int
    time_margin: float
    gpus_per_node: int
    micro_batch: int
    poll_seconds: float
    patience: float
    wait: bool
    sweep: str | None


def launch_slurm(asked: Asked, frame: pd.DataFrame, options: Options) -> None:
    """Submit, watch and submit again until every run has ended."""
    from planner.errors import InputError
    from planner.lab.exports.slurm import arrays
    from planner.lab.launch import ordered
    from planner.lab.slurm import scheduler
    from planner.lab.slurm.script import check, checked_options

    sbatch = checked_options(options.sbatch)
    there = _cluster(asked.dry_run)
    export = _export(options, scheduler.largest_array() if there else 1001)
    runs = _runs(frame, export, own=not options.command)
    text = None if options.command else trained_here(asked.rows, options.corpus, options.epochs)[1]
    if options.command and options.corpus:
        raise InputError("--corpus is for the planner's own trainer", "leave out --corpus or --command")
    gates = _gates(asked, options)
    folder = _folder(asked, options, text)
    folder.check()
    order = ordered(asked.rows, asked.places, asked.limit_runs)
    wanted = arrays([runs[str(row["run_id"])] for row in order.rows], export)
    if there:
        check(wanted, export, sbatch, asked.places.folder)
    _tell_plan(order, wanted)
    if asked.dry_run:
        _show_dry(asked, order, wanted, export, sbatch)
        if options.command and not asked.json:
            _show_script(wanted, export)
        return
    if text is not None:
        from planner.lab.local.launching import require_torch

        require_torch()
    folder.start()
    if text is not None:
        prepared(text, asked.places, folder)
    scripts = _scripts(runs, export, asked.places.folder) if options.command else None
    settings = _settings(options, export, sbatch, scripts)
    launched, numbers = _launch(asked, order, runs, settings, gates)
    finish(folder, asked.places, launched)
    if asked.json:
        show_json(record(order, launched, asked.places) | ({"corpus": text.name} if text else {}) | numbers)
    else:
        show(launched, asked.places, asked.plan)


def _launch(
    asked: Asked, order: Order, runs: Mapping[str, Run], settings: Settings, gates: Gates | None
) -> tuple[Launched, dict[str, object]]:
    """Launch under the folder's lock; what became of the runs, and of the arrays."""
    from planner.lab.slurm.book import Book
    from planner.lab.slurm.launch import Launch, only_launcher

    book = Book(asked.places.folder)
    with only_launcher(book, warn) as lock:
        book.open()
        launch = Launch(order, asked.rows, runs, asked.places, book, settings, lock, gates, _progress())
        try:
            launched = launch.run()
        finally:
            _tell_queued(launch.jobs)
        arrays = [
            {"name": one.name, "job": book.jobs.get(one.name), "n_runs": len(one.entries)} for one in launch.submitted
        ]
    return launched, {"arrays": arrays}


def _tell_queued(jobs: Sequence[int]) -> None:
    """What a launcher that is done or stopped leaves in the queue."""
    if jobs:
        names = " ".join(map(str, jobs))
        warn(
            f"left in the queue, where they go on: jobs {names}; the same command follows them, `scancel {names}` stops them"
        )


def _cluster(dry_run: bool) -> bool:
    """Whether Slurm's commands are here; without them only a dry run can go on."""
    from planner.errors import InputError
    from planner.lab.slurm.scheduler import require_commands

    try:
        require_commands()
    except InputError as error:
        if not dry_run:
            raise
        warn(f"{error.message}: what sbatch would say is not known")
        return False
    return True


def _export(options: Options, largest: int) -> Export:
    from planner.errors import InputError
    from planner.lab.exports import TRAINERS
    from planner.lab.exports import Settings as Export

    if options.trainer not in TRAINERS:
        raise InputError(f"--trainer {options.trainer!r} is unknown", f"one of: {', '.join(TRAINERS)}")
    return Export(
        options.trainer, options.command, options.micro_batch, options.gpus_per_node, largest, options.at_once,
        options.time_margin,
    )  # fmt: skip


def _runs(frame: pd.DataFrame, export: Export, *, own: bool) -> dict[str, Run]:
    """The plan's runs by run_id, as exports know them."""
    from planner.lab.exports.run import runs_of, typed, waves
    from planner.lab.slurm import script

    runs = runs_of(typed(frame.drop(columns="line")), export)
    waves(runs)
    return {run.run_id: script.own(run) if own else run for run in runs}


def _gates(asked: Asked, options: Options) -> Gates | None:
    from planner.lab.gates import Gates
    from planner.sweep.spec import read_sweep

    return Gates(read_sweep(options.sweep), Path(asked.plan), asked.places) if options.sweep else None


def _folder(asked: Asked, options: Options, text: Corpus | None) -> store.Folder:
    """The folder, which belongs to one corpus or one command."""
    from planner import store

    if text is not None:
        return corpus_folder(asked.places, text, "slurm")
    inputs = {"on": "slurm", "command": options.command, "trainer": options.trainer}
    return store.Folder(asked.places.folder, "launch", inputs)


def _scripts(runs: Mapping[str, Run], export: Export, folder: Path) -> dict[str, str]:
    """Write the script of every run where it is not there already; their paths in the folder, by the run's name."""
    from planner import store
    from planner.lab.exports.shell import run_scripts

    for name, text in run_scripts(list(runs.values()), export).items():
        path = folder / "state" / "slurm" / name
        if not path.is_file() or path.read_bytes() != text.encode():
            store.write_bytes(path, text.encode(), wait=False)
    return {run.name: f"state/slurm/runs/{run.name}.sh" for run in runs.values()}


def _settings(options: Options, export: Export, sbatch: Sequence[str], scripts: dict[str, str] | None) -> Settings:
    from planner.lab.slurm.settings import Settings

    return Settings(
        export, tuple(sbatch), scripts, attempts=options.attempts, preemptions=options.preemptions,
        poll_seconds=options.poll_seconds, patience=options.patience, checkpoint_seconds=options.checkpoint_seconds,
        wait=options.wait,
    )  # fmt: skip


def _tell_plan(order: Order, wanted: Sequence[Array]) -> None:
    left = f"; {order.left:,} left for later" if order.left else ""
    number = f"{len(wanted):,} array{'s' * (len(wanted) != 1)}"
    print(f"{len(order.rows):,} runs to train, {len(order.skipped):,} skipped{left}; in {number}", file=sys.stderr)


def _show_dry(asked: Asked, order: Order, wanted: Sequence[Array], export: Export, sbatch: Sequence[str]) -> None:
    """The arrays that would be submitted: sbatch's line and the script of each."""
    from planner.lab.slurm.script import script

    made = []
    for array in wanted:
        text = script(array, export, asked.places.folder)
        line = shlex.join(["sbatch", "--parsable", *sbatch, f"{array.name}.sbatch"])
        made.append({"name": array.name, "n_runs": len(array.runs), "nodes": array.nodes, "gpus_per_node": array.gpus_per_node,
                     "hours": array.hours, "sbatch": line, "script": text})  # fmt: skip
        if not asked.json:
            say(f"{line}\n{text}")
    if asked.json:
        show_json(record(order, None, asked.places) | {"arrays": made})


def _show_script(wanted: Sequence[Array], export: Export) -> None:
    """What the first run's task runs, as an example."""
    from planner.lab.exports.shell import run_scripts

    if wanted:
        for name, text in run_scripts(wanted[0].runs[:1], export).items():
            say(f"# {name}\n{text}")


def _progress() -> Callable[[Progress], None]:
    """A line on stderr whenever something has changed, and now and then when nothing has."""
    from planner.text import visible

    last: list[tuple[float, str]] = [(0.0, "")]

    def told(now: Progress) -> None:
        why = f" ({now.reason})" if now.reason not in ("", "None") else ""
        again = f"; {now.again:,} submitted again" if now.again else ""
        note = f"; {now.note}" if now.note else ""
        line = (f"[{now.ended}/{now.n_runs}] {now.running:,} running, {now.queued:,} queued{why}, {now.waiting:,} to submit"
                f"{again}{note}")  # fmt: skip
        at, said = last[0]
        if line != said or time.monotonic() - at > SECONDS:
            last[0] = (time.monotonic(), line)
            print(visible(line), file=sys.stderr, flush=True)

    return told
