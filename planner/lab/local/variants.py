"""What the name of a variant changes in a run, for the ideas that this lab can try."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from planner.errors import InputError
from planner.models.architecture import QKNorm

if TYPE_CHECKING:
    from planner.lab.local.task import Task

# Names as people write them, letters and digits only, lower case.
VARIANTS: dict[str, tuple[str, Callable[[Task], Task]]] = {
    "baseline": ("baseline", lambda task: task),
    "qknorm": ("qk norm", lambda task: replace(task, model=replace(task.model, qk_norm=QKNorm.HEAD))),
    "tiedembeddings": ("tied embeddings", lambda task: replace(task, model=replace(task.model, tied_embeddings=True))),
    "untiedembeddings": ("untied embeddings", lambda task: replace(task, model=replace(task.model, tied_embeddings=False))),
    "gatedmlp": ("gated mlp", lambda task: replace(task, model=replace(task.model, gated_mlp=True))),
    "plainmlp": ("plain mlp", lambda task: replace(task, model=replace(task.model, gated_mlp=False))),
    "nowarmup": ("no warm-up", lambda task: replace(task, warmup_steps=0)),
    "noweightdecay": ("no weight decay", lambda task: replace(task, weight_decay=0.0)),
}  # fmt: skip


def varied(task: Task, variant: str) -> Task:
    """The run with its idea in it; InputError, with the ideas there are, for one that this lab does not know."""
    known = VARIANTS.get(re.sub(r"[^a-z0-9]", "", variant.lower()))
    if known is None:
        raise InputError(
            f"{task.run_id}: variant = {variant!r}: the local lab has no code for it",
            f"one of: {', '.join(name for name, _ in VARIANTS.values())}; or leave it out: --where variant=baseline",
        )
    return replace(known[1](task), variant=variant)
