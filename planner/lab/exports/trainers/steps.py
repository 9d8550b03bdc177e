"""Counts that trainers want in steps and sequences, from a plan in tokens."""

from __future__ import annotations

from planner.errors import InputError
from planner.lab.exports.run import Run
from planner.lab.exports.settings import Settings
from planner.lab.exports.trainers.flag import Flag


def steps(run: Run) -> int | None:
    """Optimiser steps from the first token on: as planned, or tokens over batch rounded; None when the plan lacks both."""
    planned, tokens, batch = run.whole("steps"), run.number("tokens"), run.number("batch_tokens")
    if planned is not None or not tokens or not batch:
        return planned
    return max(1, round(tokens / batch))


def sequences(run: Run) -> int | None:
    """Sequences in a batch; None when the plan lacks batch or context. Raises InputError when they are not whole."""
    batch, context = run.whole("batch_tokens"), run.whole("context_length")
    if not batch or not context:
        return None
    if batch % context:
        raise InputError(
            f"run {run.run_id!r}: a batch of {batch} tokens is not a whole number of sequences of {context}",
            "plan batch_tokens as a multiple of context_length",
        )
    return batch // context


def in_steps(run: Run, column: str) -> int | None:
    """A column of tokens in steps, rounded; None when the plan lacks it."""
    tokens, batch = run.number(column), run.number("batch_tokens")
    return round(tokens / batch) if tokens is not None and batch else None


def cooldown_fraction(run: Run) -> float | None:
    """The part of all steps in which the rate falls: as planned, or what lies behind a branch's trunk; None when unknown."""
    planned = run.number("cooldown_fraction")
    if planned is not None:
        return planned
    resumed, tokens = run.number("resumed_tokens"), run.number("tokens")
    return 1 - resumed / tokens if resumed is not None and tokens else None


def branch_steps(run: Run) -> list[int]:
    """The steps at which others branch from this run: it must keep a checkpoint there."""
    batch = run.number("batch_tokens")
    return sorted({round(tokens / batch) for tokens in run.branches} - {0}) if batch else []


def uneven_batch(run: Run, settings: Settings) -> list[Flag]:
    """That a batch cannot be dealt out evenly to the data-parallel ranks, which every trainer refuses when it starts."""
    count = sequences(run)
    model = (run.whole("tensor_parallel") or 1) * (run.whole("pipeline_parallel") or 1)
    model *= run.whole("context_parallel") or 1
    ranks = run.whole("data_parallel") or max(1, run.nodes * run.gpus_per_node // model)
    if count is None or count % (ranks * settings.micro_batch) == 0:
        return []
    why = "its sequences do not divide among the data-parallel ranks; plan another batch or layout"
    return [
        Flag(("batch_tokens",), why=why, detail=f"{count} sequences, {ranks} ranks x {settings.micro_batch} a pass")
    ]
