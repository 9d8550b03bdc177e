"""A small lab: one run that restarts, one with a spike, one that fails; the same on every call."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

EVERY, BATCH, CONTEXT, PEAK, STEPS = 10, 64, 2048, 3e-4, 1000
EPOCH = 1_780_000_000.0  # seconds since 1970: when the first process starts
SHAPE = {"num_layers": 4, "hidden_size": 256, "num_attention_heads": 4, "vocab_size": 50304}


@dataclass(frozen=True)
class Process:
    """What one process logs: training loss and learning rate `(n_steps,)`, evaluation loss `(n_evaluations,)`."""

    steps: np.ndarray
    train_loss: np.ndarray
    lr: np.ndarray
    eval_steps: np.ndarray
    eval_loss: np.ndarray
    started: float
    finished: bool

    def rows(self):
        """Step, seconds, training loss, learning rate, and the evaluation loss or None, in the order of logging."""
        evaluated = dict(zip(self.eval_steps.tolist(), self.eval_loss.tolist(), strict=True))
        for step, loss, lr in zip(self.steps.tolist(), self.train_loss.tolist(), self.lr.tolist(), strict=True):
            yield step, self.time(step), loss, lr, evaluated.get(step)

    def time(self, step: float) -> float:
        return self.started + step - self.steps[0] + 1  # a step takes one second


@dataclass(frozen=True)
class Run:
    """One run of the lab, each process a restart of the one before."""

    name: str
    processes: tuple[Process, ...]
    config: dict = field(default_factory=dict)


def lab() -> list[Run]:
    """Three runs, the same on every call. Losses have three decimals, learning rates three digits: what every format prints."""
    return [
        Run(
            "restarted",
            (_process(1, 600, EPOCH, done=False), _process(510, STEPS, EPOCH + 700, seed=1)),
            _config("restarted"),
        ),
        Run("spiked", (_process(1, STEPS, EPOCH + 20, seed=2, spike=500),), _config("spiked")),
        Run("failed", (_process(1, 400, EPOCH + 40, seed=3, done=False, nan=True),), _config("failed")),
    ]


def _config(run: str) -> dict:
    return {
        "planner_run_id": f"plan-{run}",
        "global_batch_size": BATCH,
        "seq_length": CONTEXT,
        "max_steps": STEPS,
        **SHAPE,
    }


def _process(
    first: int, last: int, started: float, *, seed: int = 0, done: bool = True, spike: int = 0, nan: bool = False
) -> Process:
    steps = np.arange(math.ceil(first / EVERY) * EVERY, last + 1, EVERY)
    rng = np.random.default_rng(seed)
    loss = np.round(2.5 + 6 * steps**-0.4 + rng.normal(0, 0.01, steps.size), 3)
    if spike:
        loss[steps == spike] = 9.125
    if nan:
        loss[-1] = math.nan
    lr = np.array([float(f"{PEAK * (1 - 0.9 * step / STEPS):.2e}") for step in steps])
    evaluated = steps[steps % 100 == 0]
    if nan:
        evaluated = evaluated[:-1]
    return Process(steps, loss, lr, evaluated, np.round(2.6 + 6 * evaluated**-0.4, 3), started, done)
