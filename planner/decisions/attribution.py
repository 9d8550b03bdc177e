"""Which ideas bought how much of the total gain in compute, with interactions where combinations were tested."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from planner.decisions.gains import Comparison, Verdict
from planner.decisions.pairs import parts_of
from planner.errors import InputError
from planner.laws.centre import Array
from planner.runs.columns import BASELINE


@dataclass(frozen=True)
class Bought:
    """What one idea brings at the target: its own gain, and its `share` of the total ln gain.

    The share holds an equal part of every interaction that the idea takes part in.
    """

    variant: str
    gain: float
    interval: tuple[float, float]
    share: float


@dataclass(frozen=True)
class Interaction:
    """What a combination brings beyond its parts, as a factor in compute: 1 when their gains simply multiply."""

    variant: str
    parts: tuple[str, ...]
    factor: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Attribution:
    """The ideas that go in, together: `total` is the factor in compute, `flops_saved` what the baseline would need more.

    `pairs_untested` of the `pairs` of ideas were in no tested combination: their gains are taken to multiply.
    """

    target_flops: float
    total: float
    interval: tuple[float, float]
    flops_saved: float
    bought: tuple[Bought, ...]
    interactions: tuple[Interaction, ...]
    pairs: int
    pairs_untested: int
    level: float


def attribute(found: Comparison, *, ideas: Sequence[str] | None = None, level: float = 0.9) -> Attribution:
    """Attribution over `ideas`; those promoted, combinations aside, when None.

    ln total = sum of ln gains + sum of interactions, each combination counted unless a larger one holds it. Gains share
    the noise of baseline runs, which the interval of the total includes.
    """
    names = found.joint.names
    combined = _combinations(names)
    chosen = _chosen(found, combined) if ideas is None else list(dict.fromkeys(ideas))
    for name in chosen:
        if name not in names or name in combined:
            raise InputError(
                f"idea {name!r} was not tested by itself", f"one of: {', '.join(sorted(set(names) - set(combined)))}"
            )
    counted = _counted(chosen, combined)
    forms = {name: _form(names, [name], {}) for name in chosen}
    excess = {name: _form(names, [], {name: combined[name]}) for name in counted}
    total = sum((*forms.values(), *excess.values()), np.zeros(len(names)))
    mean, _ = _read(found, total)
    rest = 1 if mean == 0 else mean
    together = [set(combined[name]) for name in counted]
    pairs = [{a, b} for place, a in enumerate(chosen) for b in chosen[place + 1 :]]
    return Attribution(
        target_flops=math.exp(found.joint.log_flops[-1]),
        total=math.exp(mean),
        interval=_interval(found, total, level),
        flops_saved=math.expm1(mean) * math.exp(found.joint.log_flops[-1]),
        bought=tuple(
            sorted(
                (
                    Bought(
                        name,
                        math.exp(_read(found, form)[0]),
                        _interval(found, form, level),
                        (_read(found, form)[0] + sum(_part(found, name, excess[c], combined[c]) for c in counted))
                        / rest,
                    )
                    for name, form in forms.items()
                ),
                key=lambda row: (-row.share, row.variant),
            )
        ),
        interactions=tuple(
            Interaction(name, parts, math.exp(_read(found, form)[0]), _interval(found, form, level))
            for name, parts in combined.items()
            for form in [_form(names, [], {name: parts})]
        ),
        pairs=len(pairs),
        pairs_untested=sum(not any(pair <= parts for parts in together) for pair in pairs),
        level=level,
    )


def _combinations(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The combinations among the variants, and the names of their parts."""
    arms = (BASELINE, *names)
    return {
        name: tuple(arms[part] for part in parts) for name, parts in zip(arms, parts_of(arms), strict=True) if parts
    }


def _chosen(found: Comparison, combined: dict[str, tuple[str, ...]]) -> list[str]:
    return [idea.variant for idea in found.ideas if idea.decision is Verdict.PROMOTE and idea.variant not in combined]


def _counted(chosen: Sequence[str], combined: dict[str, tuple[str, ...]]) -> list[str]:
    """Combinations of chosen ideas that no larger one holds."""
    inside = {name: set(parts) for name, parts in combined.items() if set(parts) <= set(chosen)}
    return [name for name, parts in inside.items() if not any(parts < other for other in inside.values())]


def _form(names: Sequence[str], singles: Sequence[str], excess: dict[str, tuple[str, ...]]) -> Array:
    """Weights `(n_variants,)` on ln gains of a sum of singles and of combinations less their parts."""
    weight = np.zeros(len(names))
    for name in singles:
        weight[names.index(name)] += 1
    for name, parts in excess.items():
        weight[names.index(name)] += 1
        for part in parts:
            weight[names.index(part)] -= 1
    return weight


def _part(found: Comparison, name: str, form: Array, parts: tuple[str, ...]) -> float:
    """An idea's equal part of an interaction."""
    return _read(found, form)[0] / len(parts) if name in parts else 0.0


def _read(found: Comparison, weight: Array) -> tuple[float, float]:
    """Mean and sd at the target of a weighted sum of ln gains."""
    spread = found.joint.covariance[:, -1, :, -1]
    return float(weight @ found.joint.mean[:, -1]), math.sqrt(max(float(weight @ spread @ weight), 0.0))


def _interval(found: Comparison, weight: Array, level: float) -> tuple[float, float]:
    mean, sd = _read(found, weight)
    half = float(stdtrit(found.joint.freedom(weight, -1, found.df), 0.5 + level / 2)) * sd
    return math.exp(mean - half), math.exp(mean + half)
