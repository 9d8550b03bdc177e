"""The labs of `planner run`: where a plan's runs are trained, and how what they log becomes the folder's table of runs."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pandas as pd

from planner import store
from planner.decisions.gates import Closed
from planner.errors import InputError, WorldError
from planner.lab.simulated import final_loss, run_plan
from planner.lab.world import draw_world
from planner.logs.reconcile import import_logs, read_plan
from planner.sweep.plan import Plan
from planner.sweep.spec import Sweep

LAB = "lab"  # the folder of a local lab's logs and checkpoints
PACKED = "logs.jsonl.gz"  # what a sweep names to be replayed without training
Mask: TypeAlias = "pd.Series[bool]"


class Lab(Protocol):
    """Trains runs of a plan and imports what is logged."""

    def train(self, now: Mask, closed: Sequence[Closed]) -> None:
        """Train the plan's runs marked in `now`, which holds those of earlier calls too, but none behind a closed gate; write
        the folder's table of runs."""


@dataclass(frozen=True)
class Local:
    """How a local lab works: worker processes (None: one a device or core), who is told of each run that ends."""

    jobs: int | None = None
    told: Callable[[str], None] = lambda _: None


class SimulatedLab:
    """Every run's log is drawn at the start and shown when its turn comes; the truth goes to a hidden file."""

    def __init__(self, plan: Plan, folder: store.Folder) -> None:
        self._plan, self._folder = plan, folder
        sweep = plan.setting.sweep
        ideas = [(idea.name, idea.expected_gain) for idea in sweep.file.idea]
        smallest = float(plan.runs["flops"].min())
        world = draw_world(sweep.file.seed, ideas, noise=sweep.file.lab.noise, smallest_flops=smallest)
        gains = {name: world.log_gain(name, plan.setting.final.flops) for name in world.gains}
        folder.write_json(store.TRUTH, {
            "world": world, "law": world.law.name, "final_loss": final_loss(world, *plan.setting.target), "final_log_gains": gains,
        })  # fmt: skip
        self._logged = pd.DataFrame(run_plan(plan.runs, world, sweep.file.lab))

    def train(self, now: Mask, closed: Sequence[Closed]) -> None:
        """Show what is logged of these runs; those behind a closed gate are cancelled and cost nothing."""
        shown = self._logged.copy()
        cancelled = behind_gates(self._plan.runs, closed).to_numpy()
        shown.loc[cancelled, ["state", "eval/loss", "n_tokens_seen", "gpu_hours"]] = ["cancelled", None, 0, 0.0]
        self._folder.write_table(store.LOGS, shown[now.to_numpy()])
        _import(self._plan, self._folder, [self._folder.path / store.LOGS])


class RecordedLab:
    """Runs that were trained before: the sweep names their logs."""

    def __init__(self, plan: Plan, folder: store.Folder, logs: Path) -> None:
        self._plan, self._folder, self._logs = plan, folder, logs

    def train(self, now: Mask, closed: Sequence[Closed]) -> None:
        """Import the logs; whatever they hold is shown at once."""
        _import(self._plan, self._folder, [self._logs])


class LocalLab:
    """Runs are trained on this machine, under lab/ in the folder; killed and started again, they go on."""

    def __init__(self, plan: Plan, folder: store.Folder, local: Local) -> None:
        from planner.lab.local.corpus import read_corpus
        from planner.lab.local.places import Places

        self._plan, self._folder, self._local = plan, folder, local
        lab = plan.setting.sweep.file.lab
        self._text = read_corpus(_beside(plan.setting.sweep, lab.corpus) if lab.corpus else None)
        self._places = Places(folder.path / LAB)

    def train(self, now: Mask, closed: Sequence[Closed]) -> None:
        """Train what has not ended yet, pack the logs, import them."""
        from planner.engines.cores import cores
        from planner.lab.launch import Settings, devices, launch, ordered
        from planner.lab.local.launching import lay_down, require_enough, require_torch
        from planner.lab.local.task import task_of

        cancelled = behind_gates(self._plan.runs, closed)
        rows = _records(self._plan.runs[now & ~cancelled])
        require_torch()
        require_enough([task_of(row) for row in rows], self._text, self._plan.setting.sweep.file.lab.epochs)
        lay_down(self._text, self._places)
        order = ordered(rows, self._places)
        number = self._local.jobs or len(devices()) or cores()
        ended: list[str] = []

        def told(outcome: Any) -> None:  # noqa: ANN401 - an Outcome, which only the extra [train] needs
            ended.append(outcome.run_id)
            self._local.told(f"{len(ended)} of {len(order.rows)} runs")

        launched = launch(order, rows, self._places, Settings(number), told)
        if launched.failed and len(launched.failed) == len(launched.outcomes):
            run, why = next(iter(launched.failed.items()))
            raise WorldError(f"no run could be trained; {run}: {why}", f"see {self._places.folder}, then start again")
        self._import(cancelled & now)

    def _import(self, cancelled: Mask) -> None:
        logs = sorted(self._places.logs.glob("*.jsonl"))
        self._folder.write_bytes(PACKED, packed([log.read_bytes() for log in logs]))
        sources = [self._folder.path / PACKED]
        if cancelled.any():
            gone = self._plan.runs.loc[cancelled, ["run_id"]].assign(state="cancelled", n_tokens_seen=0, gpu_hours=0.0)
            self._folder.write_table(store.LOGS, gone)
            sources.append(self._folder.path / store.LOGS)
        _import(self._plan, self._folder, sources)


def lab_of(plan: Plan, folder: store.Folder, *, fresh: bool, local: Local) -> Lab:
    """The sweep's lab: simulated, recorded logs, or (with `fresh`, or without a record) real training here."""
    lab = plan.setting.sweep.file.lab
    if lab.kind == "simulated":
        return SimulatedLab(plan, folder)
    if lab.logs is None or fresh:
        return LocalLab(plan, folder, local)
    return RecordedLab(plan, folder, _beside(plan.setting.sweep, lab.logs))


def packed(logs: Sequence[bytes]) -> bytes:
    """Logs one after another, compressed; the same logs give the same bytes."""
    return gzip.compress(b"".join(logs), mtime=0)


def recorded_sha256(sweep: Sweep) -> str | None:
    """The hash of the logs that a sweep names; None without. InputError when they are not there."""
    logs = sweep.file.lab.logs
    if logs is None:
        return None
    path = _beside(sweep, logs)
    if not path.is_file():
        raise InputError(f"{sweep.source}: lab.logs: {path}: no such file", "train anew with --fresh")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def behind_gates(runs: pd.DataFrame, closed: Sequence[Closed]) -> Mask:
    """Which runs lie behind a gate that closed."""
    ends = runs["variant"].map({one.variant: one.stage for one in closed})
    return runs["stage"] > ends.fillna(runs["stage"].max())


def _beside(sweep: Sweep, name: str) -> Path:
    return Path(sweep.source).parent / name


def _records(runs: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): cell for name, cell in record.items()} for record in runs.to_dict("records")]


def _import(plan: Plan, folder: store.Folder, logs: Sequence[Path]) -> None:
    written = read_plan(folder.path / store.PLAN)
    imported = import_logs(list(logs), written, usd_per_gpu_hour=plan.setting.usd_per_gpu_hour)
    folder.write_table(store.RUNS, imported.frame)
