"""A launcher in this process whose tasks train nothing (pretend_task.py): gates and settings that no command has."""

from __future__ import annotations

import sys
from pathlib import Path

from planner.lab.exports.run import runs_of, typed
from planner.lab.exports.settings import Settings as Export
from planner.lab.launch import Launched, ordered
from planner.lab.local.places import Places
from planner.lab.slurm.book import Book
from planner.lab.slurm.launch import Launch, only_launcher
from planner.lab.slurm.script import own
from planner.lab.slurm.settings import Settings
from planner.runs.read import read_runs

TASK = (sys.executable, str(Path(__file__).resolve().parent / "pretend_task.py"))


def launch_pretending(plan: Path, places: Places, gates=None, **settings) -> Launched:
    """What becomes of the runs of a plan."""
    frame = read_runs(plan).frame.drop(columns="line")
    rows = frame.to_dict("records")
    runs = {run.run_id: own(run) for run in runs_of(typed(frame), Export())}
    book = Book(places.folder)
    with only_launcher(book) as lock:
        book.open()
        wanted = Settings(Export(), command=TASK, **{"poll_seconds": 0.5, "grace": 2.0, **settings})
        return Launch(ordered(rows, places), rows, runs, places, book, wanted, lock, gates).run()
