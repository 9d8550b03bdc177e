"""One run, trained for real: from its last checkpoint, its trunk's or its first step to how it ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from planner.lab.local import checkpoint
from planner.lab.local.checkpoint import Progress
from planner.lab.local.corpus import Bytes, batch, windows
from planner.lab.local.log import RunLog
from planner.lab.local.model import Decoder
from planner.lab.local.numerics import Numerics, found
from planner.lab.local.optimizer import adamw, step
from planner.lab.local.places import Ending, Outcome, Places
from planner.lab.local.rates import rate_at
from planner.lab.local.record import end_line, point_line, settings_line
from planner.lab.local.task import VOCABULARY, Task
from planner.lab.local.worker import Abandoned
from planner.models.flops import FlopsRule, flops_per_token

POINTS = 200  # of a run's log
EVALUATION_TOKENS = 262_144  # of the fixed validation set


@dataclass(frozen=True)
class Texts:
    """What is trained on and what runs are judged by, under the corpus's name."""

    name: str
    train: Bytes
    validation: Bytes


@dataclass(frozen=True)
class Wanted:
    """How to train: steps at which branches leave this run, seconds between checkpoints, whether anybody still waits."""

    branch_steps: Sequence[int] = ()
    checkpoint_seconds: float = 30.0
    alive: Callable[[], bool] = lambda: True


@dataclass(frozen=True)
class Learner:
    """A model on its device with its optimizer; `forward` may be compiled."""

    model: Decoder
    forward: Callable[..., Tensor]
    optimizer: torch.optim.AdamW
    numerics: Numerics
    at_once: int

    def text(self, content: Bytes) -> Tensor:
        """Bytes `(n, context + 1)` as token numbers on the device."""
        return torch.from_numpy(content).to(self.numerics.device).long()

    def nothing(self) -> Tensor:
        """A sum to begin with, on the device."""
        return torch.zeros((), device=self.numerics.device)


def learner_of(task: Task, numerics: Numerics) -> Learner:
    """The run's model with its first weights, which are the same on every device."""
    model = Decoder(task.model, context_length=task.context_length, seed=task.seed).to(numerics.device)
    at_once = numerics.sequences_at_once(task.model.d_model, task.context_length)
    return Learner(model, numerics.compiled(model), adamw(model, task.weight_decay), numerics, at_once)


def train(task: Task, texts: Texts, places: Places, wanted: Wanted, numerics: Numerics | None = None) -> Outcome:
    """Train the run to its end and say how it ended; `numerics` are those of the device that is found.

    Raises WorldError for a disk that fails and Abandoned when nobody waits any more; what PyTorch raises, out of memory for
    instance, is the caller's to judge.
    """
    learner = learner_of(task, numerics or found())
    first = _first_step(task, places)
    progress, log = _started(task, texts, places, learner, first)
    try:
        progress, why = _steps(task, texts, places, wanted, learner, progress, log, first)
        loss = None if why else evaluate(learner, texts.validation, task.context_length)
        why = why or _no_result(loss or math.nan)
        outcome = Outcome(
            task.run_id, Ending.DIVERGED if why else Ending.COMPLETED, None if why else loss, why, progress.step,
            round(progress.seconds, 3), _flops(task, progress.step - first),
        )  # fmt: skip
        log.write(end_line(task, outcome))
        log.saved()
    finally:
        log.close()
    places.write_outcome(outcome)
    places.checkpoint(task.run_id).unlink(missing_ok=True)
    return outcome


def evaluate(learner: Learner, text: Bytes, context_length: int) -> float:
    """The mean loss in nats per byte on the fixed validation set: about EVALUATION_TOKENS, evenly spaced in what is held out."""
    held = windows(text, tokens=EVALUATION_TOKENS, context_length=context_length)
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(held), learner.at_once):
            part = learner.text(held[start : start + learner.at_once])
            with learner.numerics.cast():
                total += float(learner.forward(part[:, :-1], part[:, 1:])) * len(part)
    return total / len(held)


def _started(task: Task, texts: Texts, places: Places, learner: Learner, first: int) -> tuple[Progress, RunLog]:
    """Where the run stands and its log, cut there: its own checkpoint if its log still reaches there, else its beginning."""
    path = places.log(task.run_id)
    arrays = checkpoint.read(places.checkpoint(task.run_id))
    if arrays:
        progress = checkpoint.progress_of(arrays)
        if path.is_file() and path.stat().st_size >= progress.log_bytes:
            checkpoint.restore(arrays, learner.model, learner.optimizer)
            return progress, RunLog(path, task.run_id, progress.log_bytes)
    if first:
        saved = checkpoint.read(places.branch(task.trunk_id, first))
        if saved is None:
            raise RuntimeError(f"{places.branch(task.trunk_id, first)} cannot be read: remove it and launch again")
        checkpoint.restore(saved, learner.model, learner.optimizer)
    log = RunLog(path, task.run_id)
    numerics = learner.numerics
    log.write(settings_line(task, texts.name, device=numerics.device, precision=numerics.precision))
    return Progress(first), log


def _first_step(task: Task, places: Places) -> int:
    """Where the run leaves its trunk: at the trunk's newest checkpoint at or before the planned step; 0 without a trunk."""
    steps = places.branch_steps(task.trunk_id) if task.trunk_id else []
    return max((at for at in steps if at <= task.resumed_steps), default=0)


def _steps(
    task: Task, texts: Texts, places: Places, wanted: Wanted, learner: Learner, progress: Progress, log: RunLog, first: int
) -> tuple[Progress, str]:  # fmt: skip
    """Train from `progress` to the end; how far it came, and why it stopped early.

    Checkpoints are taken where the log has a point, so that a restart repeats no part of a mean.
    """
    every = max(1, task.steps // POINTS)
    total, since = learner.nothing(), progress.step
    clock = saved = time.perf_counter()
    for done in range(progress.step + 1, task.steps + 1):
        if not wanted.alive():
            raise Abandoned
        rate = _rate(task, done - 1)
        total += step(learner.forward, learner.optimizer, _text(task, texts, learner, done - 1), rate=rate,
                      at_once=learner.at_once, cast=learner.numerics.cast())  # fmt: skip
        if done in wanted.branch_steps:
            checkpoint.save(places.branch(task.run_id, done), learner.model, learner.optimizer, Progress(done))
        if done % every and done != task.steps:
            continue
        loss, now = float(total) / (done - since), time.perf_counter()
        progress = replace(progress, step=done, seconds=progress.seconds + now - clock)
        log.write(point_line(task, done, loss, rate, (now - clock) / (done - since), _flops(task, done - first)))
        if not math.isfinite(loss):
            return progress, f"training loss not finite by step {done:,} of {task.steps:,}"
        if now - saved > wanted.checkpoint_seconds:
            progress = replace(progress, log_bytes=log.saved())
            checkpoint.save(places.checkpoint(task.run_id), learner.model, learner.optimizer, progress)
            saved = time.perf_counter()
        total, since, clock = learner.nothing(), done, time.perf_counter()
    return progress, ""


def _rate(task: Task, at: int) -> float:
    return rate_at(at, peak=task.lr_peak, steps=task.steps, warmup=task.warmup_steps, schedule=task.schedule,
                   cooldown=task.cooldown_steps)  # fmt: skip


def _text(task: Task, texts: Texts, learner: Learner, at: int) -> Tensor:
    content = batch(texts.train, at, sequences=task.sequences, context_length=task.context_length, seed=task.seed)
    return learner.text(content)


def _flops(task: Task, steps: int) -> float:
    """FLOPs of so many steps by the exact rule."""
    return flops_per_token(task.model, FlopsRule.EXACT, task.context_length) * steps * task.batch_tokens


def _no_result(loss: float) -> str:
    """Why a validation loss is none; empty when it is one."""
    if not math.isfinite(loss):
        return "validation loss not finite"
    if loss >= math.log(VOCABULARY):
        return f"validation loss {loss:.3f} is no better than knowing nothing ({math.log(VOCABULARY):.3f})"
    return ""
