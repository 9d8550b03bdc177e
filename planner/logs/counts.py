"""Parameters and FLOPs of a run, counted again from its architecture where that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from planner.models.architecture import Architecture
from planner.models.flops import RULE_6ND_ACTIVE, training_flops
from planner.models.parameters import count_parameters

NEEDED = ("n_layers", "d_model", "n_heads", "d_ff", "vocab_size")
_COUNTS = ("params_active", "params_total", "params", "params_non_embedding")


@dataclass(frozen=True)
class Counted:
    """Counts and FLOPs as columns; `ratio` is logged FLOPs over recomputed ones, None where one is missing."""

    columns: dict[str, Any] = field(default_factory=dict)
    ratio: float | None = None


def counted(name: str, settings: Mapping[str, Any], tokens: float | None, logged: float | None) -> Counted:
    """Parameter counts (those of the log go first), 6 x parameters x tokens, and the logged FLOPs beside.

    Without a count the logged FLOPs are taken, under the rule "as logged".
    """
    columns: dict[str, Any] = {}
    if (
        "params_active" not in settings
        and "n_experts" not in settings
        and all(_whole(settings.get(key)) for key in NEEDED)
    ):
        parameters = count_parameters(_architecture(name, settings))
        columns = {
            "params_total": float(parameters.total), "params_active": float(parameters.active),
            "params_non_embedding": float(parameters.non_embedding),
        }  # fmt: skip
        columns |= {key: settings[key] for key in columns if key in settings}
    known = {**settings, **columns}
    basis = next((key for key in _COUNTS if isinstance(known.get(key), float)), None)
    if basis is None or tokens is None:
        return Counted(columns | ({"flops": logged, "flops_rule": "as logged"} if logged else {}))
    flops = training_flops(known[basis], tokens)
    columns |= {"tokens_per_param": tokens / known[basis] if known[basis] else None, "flops": flops,
                "flops_rule": RULE_6ND_ACTIVE if basis == "params_active" else f"6nd:{basis}"}  # fmt: skip
    if logged:
        columns["flops_logged"] = logged
    return Counted(columns, logged / flops if logged and flops else None)


def _whole(value: object) -> bool:
    return isinstance(value, float) and value >= 1 and value.is_integer()


def _architecture(name: str, settings: Mapping[str, Any]) -> Architecture:
    """A dense decoder of these widths; what a log leaves out is as in the Llama family (gated MLP, RMS norms, untied)."""
    heads, width = int(settings["n_heads"]), int(settings["d_model"])
    return Architecture(
        name=name, family="logged", n_layers=int(settings["n_layers"]), d_model=width, n_heads=heads,
        n_kv_heads=int(settings.get("n_kv_heads", heads)), head_dim=int(settings.get("head_dim", max(width // heads, 1))),
        d_ff=int(settings["d_ff"]), vocab_size=int(settings["vocab_size"]),
    )  # fmt: skip
