"""What an assessment means for this sweep, in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from planner.assess.assessment import Assessment
from planner.assess.scores import DesignScore
from planner.assess.truths import Kind

CLEAR = 2.0  # standard errors between two designs before one is called better
SLACK = 0.05  # of coverage, before an interval is called too narrow


def verdict(found: Assessment) -> str:
    """Which design is best here and by how much, what more or less money would change, and whether intervals hold."""
    return "\n".join(filter(None, (_design(found), _money(found), _intervals(found))))


def _design(found: Assessment) -> str:
    """The own design beside the best rival in each kind of world; differences within two standard errors are none."""
    rivals = {
        kind: [one for one in found.designs if one.kind is kind and one.name != found.own and math.isfinite(one.ratio)]
        for kind in Kind
    }
    if not all(rivals.values()):
        return ""
    best = [min(scores, key=lambda one: one.rms_error) for scores in rivals.values()]
    ahead, behind = [one for one in best if _worse(one)], [one for one in best if _better(one)]
    level = [one for one in best if one not in ahead and one not in behind]
    said = [
        f"{claim} {_listed(scores)} worlds"
        for claim, scores in (
            ("the lowest error in", ahead),
            ("no clear lead or lag in", level),
            ("a higher error in", behind),
        )
        if scores
    ]
    return (
        f"The sweep's own design ({found.own}) has {', '.join(said)} (in brackets the best rival there, and its error as a "
        f"multiple of the own design's).{_advice(found, behind)}"
    )


def _worse(rival: DesignScore) -> bool:
    return rival.ratio > 1 + CLEAR * rival.ratio_error


def _better(rival: DesignScore) -> bool:
    return rival.ratio < 1 - CLEAR * rival.ratio_error


def _listed(scores: Sequence[DesignScore]) -> str:
    """Kinds of world, each with its best rival."""
    each = [f"{one.kind} ({one.name}, {one.ratio:.2f} ± {one.ratio_error:.2f})" for one in scores]
    return each[0] if len(each) == 1 else f"{', '.join(each[:-1])} and {each[-1]}"


def _advice(found: Assessment, behind: Sequence[DesignScore]) -> str:
    """What to do about a design that loses: a rival that is better somewhere and clearly worse nowhere is named."""
    for name in dict.fromkeys(one.name for one in behind):
        if not any(_worse(one) for one in found.designs if one.name == name):
            return f" Try design = {name}: it is clearly worse in no kind of world."
    return " No rival is better throughout: it depends on which worlds you fear." if behind else ""


def _money(found: Assessment) -> str:
    """What half and twice the money would do to the error, where both were tried."""
    at = {(round(one.fraction, 3), one.kind): one.rms_error for one in found.curve}
    if not all((part, Kind.COUPLED) in at for part in (0.5, 1.0, 2.0)):
        return ""
    kinds = (Kind.COUPLED, Kind.HOSTILE)
    parts = [f"{at[0.5, kind]:.2%}, {at[1.0, kind]:.2%}, {at[2.0, kind]:.2%} in {kind} worlds" for kind in kinds]
    return f"Error with half, all and twice this budget: {'; '.join(parts)}."


def _intervals(found: Assessment) -> str:
    """How often the forecast's interval holds, said of every kind of world."""
    held = [one for one in found.designs if one.name == found.own]
    each = ", ".join(f"{one.coverage:.0%} of {one.kind}" for one in held)
    short = [str(one.kind) for one in held if one.coverage < found.level - SLACK]
    end = f": too seldom in {' and '.join(short)} worlds" if short else ""
    return f"Its {found.level:.0%} interval of the final run's loss holds in {each} worlds{end}."
