"""What mixture, vocabulary, context and sparsity do to a simulated run: smooth hidden effects with an optimum inside."""

from __future__ import annotations

import math
from collections.abc import Mapping

from planner.lab.world import World

# Sizes of the hidden effects on ln loss. They make a study worth running; none is measured.
MIXTURE = 0.20  # times the squared distance of the shares from the best ones
VOCABULARY, BEST_VOCABULARY = 0.004, 64_000  # times ln^2 of the vocabulary over its best
CONTEXT = 0.004  # gained per e-fold of context
SPARSITY = 0.015  # gained per e-fold of experts over experts per token, relative to the final model's
WEIGHT_DECAY, BEST_DECAY = 0.002, 0.1  # times ln^2 of weight decay over its best
UNANNEALED = 0.02  # excess of a constant-rate trunk before its cooldown
PREFIX = "share_"


USUAL = {
    "vocab_size": 128_000.0,
    "context_length": 4096.0,
    "weight_decay": 0.1,
    "n_experts": 0.0,
    "experts_per_token": 0.0,
}


def setting_excess(run: Mapping[str, object], world: World, usual: Mapping[str, float]) -> float:
    """Excess of ln loss by what a run trains on and how, apart from size, data, rate and batch.

    `usual` is the sweep's main line, where all of it is zero; what a run does not say is as usual.
    """
    at = {name: _number(run, name, value) for name, value in usual.items()}
    excess = _mixture(run, world)
    for name, weight, best in (("vocab_size", VOCABULARY, BEST_VOCABULARY), ("weight_decay", WEIGHT_DECAY, BEST_DECAY)):
        middle = best * _jitter(world, name)
        excess += weight * (math.log(at[name] / middle) ** 2 - math.log(usual[name] / middle) ** 2)
    excess -= CONTEXT * math.log(at["context_length"] / usual["context_length"])
    if _sparsity(at) and _sparsity(usual):
        excess -= SPARSITY * math.log(_sparsity(at) / _sparsity(usual))
    return excess + (UNANNEALED if run.get("schedule") == "constant" else 0.0)


def usual_of(run: Mapping[str, object]) -> dict[str, float]:
    """The main line's settings, from one of its runs."""
    return {name: _number(run, name, value) for name, value in USUAL.items()}


def _number(run: Mapping[str, object], name: str, otherwise: float) -> float:
    return float(str(run[name])) if name in run else otherwise


def _sparsity(run: Mapping[str, float]) -> float:
    return run["n_experts"] / run["experts_per_token"] if run["experts_per_token"] else 0.0


def _mixture(run: Mapping[str, object], world: World) -> float:
    shares = {
        name: float(str(value))
        for name, value in run.items()
        if name.startswith(PREFIX) and not math.isnan(float(str(value)))
    }
    if not shares:
        return 0.0
    wanted = {name: -math.log(world.uniform("mixture", name)) for name in shares}
    total = sum(wanted.values())
    return MIXTURE * sum((share - wanted[name] / total) ** 2 for name, share in shares.items())


def _jitter(world: World, what: str) -> float:
    """Where a hidden optimum lies, relative to the usual one."""
    return math.exp(0.3 * world.normal("effect", what))
