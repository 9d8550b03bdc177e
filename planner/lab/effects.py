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
WEIGHT_DECAY, WARMUP = 0.002, 0.001  # times ln^2 of the factor from the best
UNANNEALED = 0.02  # excess of a constant-rate trunk before its cooldown
PREFIX = "share_"


def setting_excess(run: Mapping[str, object], world: World, usual: Mapping[str, float]) -> float:
    """Excess of ln loss by what a run trains on and how, apart from size, data, rate and batch.

    `usual` holds context_length and sparsity of the sweep's main line, where both effects are zero.
    """
    excess = _mixture(run, world)
    if float(str(run["vocab_size"])) != usual["vocab_size"]:
        excess += _square(VOCABULARY, float(str(run["vocab_size"])), BEST_VOCABULARY * _jitter(world, "vocabulary"))
    excess -= CONTEXT * math.log(float(str(run["context_length"])) / usual["context_length"])
    sparsity = _sparsity(run)
    if sparsity and usual["sparsity"]:
        excess -= SPARSITY * math.log(sparsity / usual["sparsity"])
    excess += _square(WEIGHT_DECAY, float(str(run["weight_decay"])), 0.1 * _jitter(world, "weight decay"))
    return excess + (UNANNEALED if run["schedule"] == "constant" else 0.0)


def usual_of(run: Mapping[str, object]) -> dict[str, float]:
    """The main line's vocabulary, context and sparsity, from one of its runs."""
    return {
        "vocab_size": float(str(run["vocab_size"])),
        "context_length": float(str(run["context_length"])),
        "sparsity": _sparsity(run),
    }


def _sparsity(run: Mapping[str, object]) -> float:
    used = float(str(run["experts_per_token"]))
    return float(str(run["n_experts"])) / used if used else 0.0


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


def _square(weight: float, value: float, best: float) -> float:
    return weight * math.log(value / best) ** 2


def _jitter(world: World, what: str) -> float:
    """Where a hidden optimum lies, relative to the usual one."""
    return math.exp(0.3 * world.normal("effect", what))
