"""Runs as job arrays: written down, handed to sbatch, and remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from planner import store
from planner.errors import WorldError
from planner.lab.exports.run import Run
from planner.lab.exports.slurm import Array, arrays
from planner.lab.local.places import Ending, Places
from planner.lab.slurm import scheduler
from planner.lab.slurm.book import FIRST, Book, Entry, Submission
from planner.lab.slurm.judging import active
from planner.lab.slurm.scheduler import Queue
from planner.lab.slurm.script import script
from planner.lab.slurm.settings import Settings
from planner.lab.slurm.standing import Standing


class Submitting:
    """The submissions of one launcher; `runs` are the plan's as exports know them, by run_id, `lock` is the file it holds."""

    def __init__(
        self, standing: Standing, runs: Mapping[str, Run], branch_steps: Mapping[str, Sequence[int]], places: Places, book: Book,
        settings: Settings, lock: int,
    ) -> None:  # fmt: skip
        self._standing, self._runs, self._branch_steps = standing, runs, branch_steps
        self._places, self._book, self._settings, self._lock = places, book, settings, lock

    def submit(self, ready: Sequence[str], queue: Queue) -> str:
        """Submit runs, an array per shape and time limit; what sbatch says when it takes no more for now."""
        for array in arrays([self._runs[run] for run in ready], self._settings.export):
            name = self._book.next_name()
            path = self._write(name, array)
            try:
                self._book.record(name, self._call_sbatch(name, path))
            except scheduler.Refused as refused:
                if not any(active(task) for task in queue.tasks.values()):
                    raise WorldError(f"sbatch: {refused}", "launch again when the cluster takes jobs") from None
                return f"sbatch says: {refused}"  # a limit on jobs: later, when some have ended
            except WorldError:
                return ""  # perhaps it was taken: the next look at the queue shows it, or tells that Slurm is gone
        return ""

    def _write(self, name: str, array: Array) -> Path:
        """Write an array down before it is submitted; its script."""
        entries = tuple(self._entry(run.run_id) for run in array.runs)
        for entry in entries:
            self._clear(entry.run_id)
        text = script(replace(array, name=name), self._settings.export, self._places.folder, self._settings.command)
        path = store.write_bytes(self._book.folder / f"{name}.sbatch", text.encode())
        submission = Submission(name, self._book.round, entries, self._settings.checkpoint_seconds)
        self._book.add(submission)
        self._standing.note(submission)
        return path

    def _entry(self, run: str) -> Entry:
        because, name = self._standing.again.get(run, FIRST), self._runs[run].name
        scripts = self._settings.scripts
        if scripts is not None:
            return Entry(run, name, because, script=scripts[name])
        row, steps = dict(self._standing.rows[run]), tuple(self._branch_steps.get(run, ()))
        return Entry(run, name, because, row, steps, saved_steps=self._places.saved_steps(run))

    def _clear(self, run: str) -> None:
        """Remove how the attempt or round before failed."""
        outcome = self._places.outcome(run)
        if outcome is not None and outcome.status is Ending.FAILED:
            (self._places.state(run) / "outcome.json").unlink(missing_ok=True)

    def _call_sbatch(self, name: str, path: Path) -> int:
        output = str(self._book.outputs.resolve() / f"{name}-@").replace("%", "%%").replace("@", "%a")
        options = (*self._settings.options, f"--output={output}.txt")
        return scheduler.submit(name, str(path.resolve()), options, keep=self._lock)
