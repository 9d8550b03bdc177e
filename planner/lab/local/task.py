"""What one planned run trains here: the plan's row, checked, as plain values that travel to a worker."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from planner.errors import InputError
from planner.lab.local.rates import Schedule
from planner.lab.local.variants import varied
from planner.models.architecture import Architecture, QKNorm
from planner.models.parameters import count_parameters

VOCABULARY = 256  # a token is a byte
MOST_PARAMS = 1e9  # what a small lab should be asked for
SHAPE = ("n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff")


@dataclass(frozen=True)
class Task:
    """One run: architecture, tokens, recipe, seed. Tokens are bytes; a branch starts at `resumed_steps` of its trunk."""

    run_id: str
    trunk_id: str
    study: str
    variant: str
    model: Architecture
    context_length: int
    batch_tokens: int
    steps: int
    resumed_steps: int
    warmup_steps: int
    cooldown_steps: int
    schedule: Schedule
    lr_peak: float
    weight_decay: float
    seed: int

    @property
    def tokens(self) -> int:
        """Training tokens seen at the end, those of the trunk counted."""
        return self.steps * self.batch_tokens

    @property
    def sequences(self) -> int:
        """Sequences of one batch."""
        return self.batch_tokens // self.context_length


def task_of(row: Mapping[str, Any]) -> Task:
    """The task of a plan's row. Raises InputError, naming run and column, for what cannot be trained here."""
    run_id = str(row.get("run_id", "")).strip()
    if not run_id:
        raise InputError("a run without run_id", "launch a plan that `planner propose` wrote")
    read = _Row(run_id, row)
    _require_possible(read)
    context, batch = read.count("context_length"), read.count("batch_tokens")
    if batch % context:
        raise InputError(
            f"{run_id}: batch_tokens = {batch:,} is not a whole number of sequences of context_length = {context:,}",
            "plan batches of whole sequences",
        )
    steps = max(1, round(read.number("tokens") / batch))
    schedule = read.schedule()
    resumed = round(read.number("resumed_tokens", 0) / batch)
    cooldown = steps - resumed if resumed else round(read.number("cooldown_fraction", 0.2) * steps)
    task = Task(
        run_id=run_id,
        trunk_id=read.text("trunk_id"),
        study=read.text("study"),
        variant="baseline",
        model=_architecture(read),
        context_length=context,
        batch_tokens=batch,
        steps=steps,
        resumed_steps=resumed,
        warmup_steps=round(read.number("warmup_tokens", 0) / batch),
        cooldown_steps=cooldown if schedule is Schedule.WSD else 0,
        schedule=schedule,
        lr_peak=read.positive("lr_peak"),
        weight_decay=read.number("weight_decay", 0),
        seed=int(read.number("seed", 0)),
    )
    if not 0 <= task.resumed_steps < steps:
        raise InputError(f"{run_id}: resumed_tokens are not fewer than tokens", "check the plan")
    return varied(task, read.text("variant") or "baseline")


class _Row:
    """A plan's row, whose cells may be text."""

    def __init__(self, run_id: str, cells: Mapping[str, Any]) -> None:
        self.run_id, self._cells = run_id, cells

    def text(self, name: str) -> str:
        value = self._cells.get(name)
        return "" if value is None or value != value else str(value).strip()

    def number(self, name: str, default: float | None = None) -> float:
        said = self.text(name)
        if not said and default is not None:
            return default
        try:
            value = float(said)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < 0:
            raise InputError(
                f"{self.run_id}: {name} = {said!r} is no number that can be trained with", "check the plan"
            )
        return value

    def positive(self, name: str) -> float:
        value = self.number(name)
        if value == 0:
            raise InputError(f"{self.run_id}: {name} is zero", "check the plan")
        return value

    def count(self, name: str) -> int:
        value = self.positive(name)
        if value != int(value):
            raise InputError(f"{self.run_id}: {name} = {value} is not a whole number", "check the plan")
        return int(value)

    def schedule(self) -> Schedule:
        said = self.text("schedule") or "cosine"
        try:
            return Schedule(said)
        except ValueError:
            raise InputError(
                f"{self.run_id}: schedule = {said!r} is not known here", f"one of: {', '.join(Schedule)}"
            ) from None

    def filled(self, prefix: str) -> str:
        """The first column of that prefix with something in it."""
        return next((str(name) for name in self._cells if str(name).startswith(prefix) and self.text(str(name))), "")


def _require_possible(row: _Row) -> None:
    """Refuse what this lab has no code for."""
    if row.number("n_experts", 0):
        raise InputError(
            f"{row.run_id}: a mixture of experts: the local lab trains dense models", "plan a dense family"
        )
    if row.number("vocab_size", VOCABULARY) != VOCABULARY:
        raise InputError(
            f"{row.run_id}: vocab_size = {row.text('vocab_size')}: the local lab trains on bytes",
            f"plan a model with vocab_size = {VOCABULARY}",
        )
    optimizer = row.text("optimizer") or "adamw"
    if optimizer != "adamw":
        raise InputError(f"{row.run_id}: optimizer = {optimizer!r}: the local lab has adamw", "plan adamw")
    if share := row.filled("share_"):
        raise InputError(f"{row.run_id}: {share}: the local corpus has no domains", "leave mixtures out of the plan")


def _architecture(row: _Row) -> Architecture:
    """The decoder whose counts are the plan's.

    The plan has neither tied_embeddings nor gated_mlp nor qk_norm as columns: of the decoders that have its shape, the one
    with its params_total and params_non_embedding is taken.
    """
    shape = {name: row.count(name) for name in SHAPE}
    if shape["n_heads"] % shape["n_kv_heads"] or shape["head_dim"] % 2:
        raise InputError(
            f"{row.run_id}: {shape}: heads that cannot be trained", "key heads divide heads; head_dim is even"
        )
    plain = Architecture(row.text("model") or "local", "local", vocab_size=VOCABULARY, **shape)  # type: ignore[arg-type]
    total = row.number("params_total", count_parameters(plain).total)
    body = row.number("params_non_embedding", -1)
    if total > MOST_PARAMS:
        raise InputError(f"{row.run_id}: {total:.3g} parameters are too many for the local lab", "plan up to 1e9")
    for qk_norm in QKNorm:
        for gated in (True, False):
            for tied in (False, True):
                model = replace(plain, gated_mlp=gated, tied_embeddings=tied, qk_norm=qk_norm)
                count = count_parameters(model)
                if count.total == total and body in (-1, count.non_embedding):
                    return model
    raise InputError(
        f"{row.run_id}: params_total = {total:,.0f} is not that of {shape} with RMS norms and no biases",
        'plan a family that the local lab can build: norm = "rms", two norms a layer, no biases, no learned positions',
    )
