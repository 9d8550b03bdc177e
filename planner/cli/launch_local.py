"""`planner launch --on local`: worker processes of this machine; and what other places of real training share with it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.cli.launched import record, show
from planner.cli.output import show_json

if TYPE_CHECKING:
    from planner import store
    from planner.lab.launch import Launched, Order
    from planner.lab.local.corpus import Corpus
    from planner.lab.local.places import Outcome, Places
    from planner.lab.local.task import Task

GFLOPS_A_CORE = (
    60.0  # what this trainer reaches on a server core of 2023 for 0.1M-10M parameters (tests/benchmarks/trainer.py)
)


@dataclass(frozen=True)
class Asked:
    """What every place is asked: the plan's rows, where the files go, runs to start at most, whether it is only a question."""

    plan: str
    rows: list[dict[str, Any]]
    places: Places
    limit_runs: int | None
    dry_run: bool
    json: bool


def launch_local(
    asked: Asked, *, jobs: int | None, corpus: str | None, epochs: float, checkpoint_seconds: float
) -> None:
    """Train here."""
    from planner.engines.cores import cores
    from planner.lab.launch import Settings, devices, launch, ordered
    from planner.lab.local.launching import require_torch

    tasks, text = trained_here(asked.rows, corpus, epochs)
    folder = corpus_folder(asked.places, text, "local")
    folder.check()
    order = ordered(asked.rows, asked.places, asked.limit_runs)
    if not asked.dry_run:
        require_torch()
    number = jobs or len(devices()) or cores()
    _tell_cost(order, tasks, number)
    launched = None
    if not asked.dry_run:
        folder.start()
        prepared(text, asked.places, folder)
        settings = Settings(number, asked.limit_runs, checkpoint_seconds)
        launched = launch(order, asked.rows, asked.places, settings, _progress(order, tasks))
        finish(folder, asked.places, launched)
    if asked.json:
        show_json(record(order, launched, asked.places) | {"corpus": text.name})
    elif launched is not None:
        show(launched, asked.places, asked.plan)


def trained_here(rows: list[dict[str, Any]], corpus: str | None, epochs: float) -> tuple[list[Task], Corpus]:
    """The plan as tasks of the planner's own trainer, and the text; InputError for what it cannot train."""
    from planner.lab.local.corpus import read_corpus
    from planner.lab.local.launching import require_enough
    from planner.lab.local.task import task_of

    tasks = [task_of(row) for row in rows]
    text = read_corpus(corpus)
    require_enough(tasks, text, epochs)
    return tasks, text


def corpus_folder(places: Places, text: Corpus, on: str) -> store.Folder:
    """The folder, which belongs to one corpus: plans may grow, losses on different texts do not mix."""
    from planner import store

    return store.Folder(places.folder, "launch", {"on": on, "corpus": text.sha256})


def prepared(text: Corpus, places: Places, folder: store.Folder) -> None:
    """Lay the corpus where workers find it; what it is counts as the folder's."""
    from planner.lab.local.launching import lay_down

    lay_down(text, places)
    folder.note("corpus.json")


def finish(folder: store.Folder, places: Places, launched: Launched) -> None:
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
