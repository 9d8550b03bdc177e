"""A plan trained by worker processes on this machine: every run once, none lost, one bad run never in the way of others."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planner.errors import InputError, WorldError
from planner.lab.local.places import Ending, Outcome, Places
from planner.lab.process import WORKER, Died, Process
from planner.lab.waiting import RETRY_SECONDS, Planned, Waiting

ATTEMPTS = 3  # of a run whose worker dies, in one launch; it goes on from its last checkpoint each time
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Settings:
    """How to launch: worker processes at once, runs to start at most, seconds between checkpoints, attempts at a run whose worker
    dies, and the worker's command.
    """

    jobs: int
    limit_runs: int | None = None
    checkpoint_seconds: float = 30.0
    attempts: int = ATTEMPTS
    command: Sequence[str] = (sys.executable, "-m", WORKER)


@dataclass
class Launched:
    """What became of a plan's runs: `outcomes` of those trained now, why others were `skipped`, and how many `left` to start."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    left: int = 0

    @property
    def failed(self) -> dict[str, str]:
        """Why runs that were trained now failed or diverged."""
        return {
            run: f"{o.status.value}: {o.reason}" for run, o in self.outcomes.items() if o.status is not Ending.COMPLETED
        }

    @property
    def all_ended(self) -> bool:
        """Whether the next launch would have nothing to train."""
        ended = all(outcome.status is not Ending.FAILED for outcome in self.outcomes.values())
        return ended and not self.left


@dataclass(frozen=True)
class Order:
    """What is to be done with a plan: rows to train in the plan's order, what is skipped and why, what is over the limit."""

    rows: list[Row]
    skipped: dict[str, str]
    left: int
    completed: set[str]


def devices() -> list[str]:
    """Numbers of the NVIDIA devices that this machine shows; a worker decides for itself whether it can use one."""
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    if asked is not None:
        return [name for name in asked.split(",") if name and name != "-1"]
    return sorted(file.name.removeprefix("nvidia") for file in Path("/dev").glob("nvidia[0-9]*"))


def ordered(rows: Sequence[Row], places: Places, limit_runs: int | None = None) -> Order:
    """Which rows to train now: neither those that ended here before nor, over a limit, the less urgent ones."""
    ids = [str(row["run_id"]) for row in rows]
    if len(set(ids)) < len(ids):
        twice = next(run for run in ids if ids.count(run) > 1)
        raise InputError(f"the plan has run {twice} twice", "give each run one row")
    known = {run: places.outcome(run) for run in {*ids, *(trunk_of(row) for row in rows)} - {""}}
    ended = {run: outcome for run, outcome in known.items() if outcome and outcome.status is not Ending.FAILED}
    skipped = {run: f"{ended[run].status.value} before" for run in ids if run in ended}
    wanted = [row for row in rows if str(row["run_id"]) not in ended]
    for row in wanted:
        trunk = ended.get(trunk_of(row))
        if trunk and trunk.status is not Ending.COMPLETED:
            skipped[str(row["run_id"])] = f"its trunk {trunk.run_id} {trunk.status.value}"
    wanted = [row for row in wanted if str(row["run_id"]) not in skipped]
    first = wanted if limit_runs is None else _most_urgent(wanted, limit_runs)
    done = {run for run, outcome in ended.items() if outcome.status is Ending.COMPLETED}
    return Order(first, skipped, len(wanted) - len(first), done)


def _most_urgent(rows: list[Row], number: int) -> list[Row]:
    """So many rows, by priority, trunks before branches."""
    urgent = urgency(rows)
    at = sorted(range(len(rows)), key=lambda at: (urgent[str(rows[at]["run_id"])], bool(trunk_of(rows[at])), at))
    return [rows[chosen] for chosen in sorted(at[:number])]


def urgency(rows: Sequence[Row]) -> dict[str, float]:
    """The priority of each run (1 first); a trunk is as urgent as its most urgent branch."""
    urgent = {str(row["run_id"]): _priority(row) for row in rows}
    for row in rows:
        if (trunk := trunk_of(row)) in urgent:
            urgent[trunk] = min(urgent[trunk], _priority(row))
    return urgent


def launch(
    order: Order,
    plan: Sequence[Row],
    places: Places,
    settings: Settings,
    told: Callable[[Outcome], None] = lambda _: None,
) -> Launched:
    """Train what `order` asks for; `plan` is the whole plan, whose trunks keep checkpoints for all their branches.

    Raises WorldError when the disk fails or no worker starts: what was done so far stays, and the next launch goes on.
    """
    launcher = _Launcher(order, plan, places, settings, told)
    return launcher.run()


class _Launcher:
    """The threads of one launch, each with a worker of its own."""

    def __init__(
        self, order: Order, plan: Sequence[Row], places: Places, settings: Settings, told: Callable[[Outcome], None]
    ) -> None:
        self._rows = {str(row["run_id"]): row for row in order.rows}
        urgent = urgency(order.rows)
        self._waiting = Waiting(
            (Planned(run, trunk_of(row), urgent[run], at) for at, (run, row) in enumerate(self._rows.items())),
            order.completed,
        )
        self._branch_steps = branch_steps(plan)
        self._places, self._settings, self._told = places, settings, told
        self._launched = Launched(skipped=dict(order.skipped), left=order.left)
        self._deaths: dict[str, int] = {}
        self._processes: dict[int, Process] = {}
        self._lock = threading.Lock()
        self._error: BaseException | None = None

    def run(self) -> Launched:
        number = max(1, min(self._settings.jobs, len(self._rows)))
        threads = [threading.Thread(target=self._slot, args=(slot,), daemon=True) for slot in range(number)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)  # so that Ctrl-C is heard
        except BaseException as error:
            self._stop(error)
            raise
        if self._error is not None:
            raise self._error
        self._launched.skipped |= self._waiting.hopeless
        return self._launched

    def _stop(self, error: BaseException) -> None:
        """Start nothing more and kill the workers: their runs go on from their checkpoints another time."""
        self._error = self._error or error
        self._waiting.stop()
        with self._lock:
            for process in self._processes.values():
                process.kill()

    def _slot(self, slot: int) -> None:
        """One thread: take a run, have it trained, say what became of it; until there are no more."""
        gpus = devices()
        environment = {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if gpus else {}
        process: Process | None = None
        try:
            while (run := self._waiting.take()) is not None:
                if process is None:
                    process = Process(self._settings.command, environment)
                    with self._lock:
                        self._processes[slot] = process
                try:
                    self._judge(run, process.ask(self._job(run)))
                except Died as died:
                    if self._error is not None:
                        return
                    self._closed(slot, process)
                    process = None
                    self._died(run, str(died))
        except BaseException as error:  # told by the thread that waits for this one
            self._stop(error)
        finally:
            self._closed(slot, process)

    def _closed(self, slot: int, process: Process | None) -> None:
        if process is not None:
            with self._lock:
                self._processes.pop(slot, None)
            process.close()

    def _job(self, run: Planned) -> dict[str, object]:
        return {
            "row": self._rows[run.run_id],
            "folder": str(self._places.folder.resolve()),
            "branch_steps": self._branch_steps.get(run.run_id, []),
            "checkpoint_seconds": self._settings.checkpoint_seconds,
        }

    def _judge(self, run: Planned, answer: dict[str, Any]) -> None:
        """What a worker's answer means: an outcome, another process that trains the run, or a world that failed."""
        if answer.get("busy"):
            self._waiting.again(run, after=RETRY_SECONDS)
        elif "world" in answer:
            raise WorldError(answer["world"], answer["try"])
        else:
            said = answer["outcome"]
            self._note(run, Outcome(**{**said, "status": Ending(said["status"])}))

    def _died(self, run: Planned, how: str) -> None:
        """A worker died over a run: once more from its checkpoint, or, after so many deaths, no more."""
        self._deaths[run.run_id] = self._deaths.get(run.run_id, 0) + 1
        if self._deaths[run.run_id] < self._settings.attempts:
            self._waiting.again(run)
            return
        outcome = Outcome(run.run_id, Ending.FAILED, reason=f"its worker died {self._settings.attempts} times: {how}")
        self._places.write_outcome(outcome)
        self._note(run, outcome)

    def _note(self, run: Planned, outcome: Outcome) -> None:
        with self._lock:
            self._launched.outcomes[run.run_id] = outcome
            self._told(outcome)
        self._waiting.ended(run, completed=outcome.status is Ending.COMPLETED)


def branch_steps(plan: Sequence[Row]) -> dict[str, list[int]]:
    """For each trunk the steps at which branches leave it."""
    found: dict[str, set[int]] = {}
    for row in plan:
        if trunk := trunk_of(row):
            found.setdefault(trunk, set()).add(round(float(row["resumed_tokens"]) / float(row["batch_tokens"])))
    return {trunk: sorted(steps) for trunk, steps in found.items()}


def trunk_of(row: Row) -> str:
    """The run that this one branches from, or nothing."""
    value = row.get("trunk_id")
    return "" if value is None or value != value else str(value)


def _priority(row: Row) -> float:
    try:
        value = float(row.get("priority", 1))
    except (TypeError, ValueError):
        return 1.0
    return value if value == value else 1.0
