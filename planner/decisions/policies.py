"""The promotion policies that are compared: the default gates, their family, what people do instead, and one of your own."""

from __future__ import annotations

from dataclasses import replace

from planner.decisions.policy import REPEATS, Above, Gate, IdeaWorld, Outcome, Policy, Top, simulate
from planner.errors import InputError
from planner.quantities import human, parse_count

LARGEST = 7e9
# Size over the largest, pairs, and the probability of helping that lets an idea on. Chosen by simulation in the world of
# SCIENCE.md 6.2 with other seeds than those that judge it: cheap sizes give the statistics, large ones what scale changes.
GATES = ((1 / 70, 24, 0.22), (0.37 / 7, 16, 0.42), (1 / 7, 6, 0.47), (3 / 7, 1, 0.55), (1.0, 1, 0.83))
EFFORTS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the pairs of the default gates
ACCEPT = (0.6, 0.7, 0.8, 0.83, 0.87, 0.91, 0.95)  # what the last gate asks for
MOST_FALSE = 0.025  # share of harmful ideas that may slip through


def default_policy(largest: float = LARGEST) -> Policy:
    """The default gates, up to `largest` params."""
    return Policy("gates", tuple(Gate(_round(share * largest), pairs, Above(p)) for share, pairs, p in GATES))


def rivals(largest: float = LARGEST) -> list[Policy]:
    """What people do instead, and the gates of SCIENCE.md 6.2."""
    small, fifth, middle = (_round(share * largest) for share in (0.37 / 7, 1 / 7, 3 / 7))
    accept, third, half = Above(0.8), Top(1 / 3), Top(1 / 2)
    at_largest = Gate(largest, 1, accept)
    return [
        Policy(f"all at {human(largest)}, 1 pair", (at_largest,)),
        Policy(f"all at {human(largest)}, 3 pairs", (Gate(largest, 3, accept),)),
        Policy(f"all at {human(fifth)}, 1 pair", (Gate(fifth, 1, accept),)),
        Policy(f"all at {human(fifth)}, 4 pairs", (Gate(fifth, 4, accept),)),
        Policy("top third, pairs 1-1-1", (Gate(fifth, 1, third), Gate(middle, 1, third), at_largest)),
        Policy("top half, pairs 3-2-1", (Gate(fifth, 3, half), Gate(middle, 2, half), at_largest)),
        Policy(
            "futility, pairs 8-3-2-1",
            (Gate(small, 8, Above(0.35)), Gate(fifth, 3, Above(0.45)), Gate(middle, 2, Above(0.6)), at_largest),
        ),
        Policy(
            f"futility, to {human(middle)} only",
            (Gate(small, 8, Above(0.4)), Gate(fifth, 4, Above(0.55)), Gate(middle, 3, accept)),
        ),
    ]


def family(largest: float = LARGEST) -> list[Policy]:
    """The default gates with fewer or more pairs, without the largest sizes, and with a laxer or stricter last gate."""
    gates = default_policy(largest).gates
    return [
        _varied(gates[:last], effort, accept)
        for last in range(2, len(gates) + 1)
        for effort in EFFORTS
        for accept in ACCEPT
    ]


def _varied(gates: tuple[Gate, ...], effort: float, accept: float) -> Policy:
    more = [replace(gate, pairs=max(1, round(effort * gate.pairs))) for gate in gates]
    more[-1] = replace(more[-1], rule=Above(accept))
    return Policy(f"gates to {human(gates[-1].params)}, {effort:g}x pairs, accept above {accept:g}", tuple(more))


def operating_curve(
    world: IdeaWorld, *, largest: float = LARGEST, repeats: int = REPEATS, seed: int = 0, most_false: float = MOST_FALSE
) -> list[Outcome]:
    """The family's best: what each more costly policy keeps more, among those that let through few harmful ideas."""
    outcomes = [simulate(policy, world, reference=largest, repeats=repeats, seed=seed) for policy in family(largest)]
    kept: list[Outcome] = []
    for outcome in sorted(outcomes, key=lambda found: found.flops):
        if outcome.false_promotion <= most_false and (not kept or outcome.gain_kept > kept[-1].gain_kept):
            kept.append(outcome)
    return kept


def best_within(
    curve: list[Outcome],
    world: IdeaWorld,
    *,
    flops: float,
    largest: float = LARGEST,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Outcome:
    """The policy of the curve that keeps most for `flops`, simulated anew with another seed: the pick must not flatter itself."""
    if not curve:
        raise InputError(
            "no policy lets through so few harmful ideas", "allow more with --max-false, or test with more pairs"
        )
    within = [outcome for outcome in curve if outcome.flops <= flops]
    if not within:
        raise InputError(
            f"{flops:.3g} FLOPs pay for none of the policies on {world.ideas} ideas",
            f"the cheapest takes {curve[0].flops:.3g}: raise --budget, or test fewer ideas",
        )
    return simulate(within[-1].policy, world, reference=largest, repeats=repeats, seed=seed + 1)


def parse_policy(text: str) -> Policy:
    """A policy from "0.37B:8:0.35, 1B:3:0.45, 7B:1:0.8": params, pairs, and the probability that lets an idea on."""
    gates = []
    for piece in text.split(","):
        parts = piece.strip().split(":")
        try:
            params, pairs, probability = parse_count(parts[0]), int(parts[1]), float(parts[2])
        except (IndexError, ValueError, InputError):
            raise InputError(
                f"gate {piece.strip()!r} is not params:pairs:probability", "for example 0.37B:8:0.35,1B:3:0.45,7B:1:0.8"
            ) from None
        if len(parts) > 3:
            raise InputError(f"gate {piece.strip()!r} has more than three parts", "params:pairs:probability")
        gates.append(Gate(params, pairs, Above(probability)))
    return Policy("yours", tuple(gates))


def _round(params: float) -> float:
    return float(f"{params:.2g}")
