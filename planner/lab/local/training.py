"""What a worker does with a job: PyTorch on one thread, the corpus mapped once, one run after another."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import torch

from planner import store
from planner.lab.local.places import Outcome, Places
from planner.lab.local.task import task_of
from planner.lab.local.train import Texts, Wanted, train
from planner.lab.local.worker import Job, Trainer


def trainer(alive: Callable[[], bool]) -> Trainer:
    """A trainer that gives up when `alive` says that nobody waits."""
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    texts: dict[Places, Texts] = {}

    def one(job: Job) -> Outcome:
        if job.places not in texts:
            texts[job.places] = texts_of(job.places)
        wanted = Wanted(job.branch_steps, job.checkpoint_seconds, alive)
        try:
            return train(task_of(job.row), texts[job.places], job.places, wanted)
        finally:
            gc.collect()  # a run's memory is free before the next one, also after running out of it
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    return one


def texts_of(places: Places) -> Texts:
    """The corpus that the launcher laid down, mapped into memory."""
    said = store.read_json(places.folder / "corpus.json")
    parts = {part: np.memmap(places.corpus(part), np.uint8, "r") for part in ("train", "validation")}
    return Texts(str(said["name"]), parts["train"], parts["validation"])
