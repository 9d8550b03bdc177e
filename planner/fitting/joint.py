"""Several groups of runs fitted at once, with some letters of the law in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from planner.errors import InputError
from planner.fitting.affine import Affine
from planner.fitting.descend import MAJORISED_STEPS, Box, Expand, Local, Rows, descend
from planner.fitting.objective import AdaptiveHuber, Huber, Objective, robust_scale, threshold
from planner.fitting.problem import Forms, Problem
from planner.fitting.solve import SCALE_ROUNDS, Solution, checked, searched
from planner.laws import find_law
from planner.laws.centre import Array, Centre
from planner.laws.law import Law

Group = tuple[ArrayLike, ArrayLike, ArrayLike]


@dataclass(frozen=True)
class JointSolution:
    """One law per group, by name, and the joint objective: the sum over all runs of all groups.

    Delta and scale are common to the groups. Each solution's `affine` is None: its shared letters are not free alone.
    """

    groups: Mapping[str, Solution]
    shared: tuple[str, ...]
    value: float
    iterations: int
    converged: bool


@dataclass(frozen=True)
class _Member:
    """A group's part: theta = affine of the joint free coordinates."""

    name: str
    problem: Problem
    centre: Centre
    affine: Affine


def solve_joint(
    law: type[Law] | str,
    groups: Mapping[str, Group],
    *,
    shared: Sequence[str] = ("alpha", "beta", "k"),
    objective: Objective = Huber(1e-3),  # noqa: B008 - a frozen value
) -> JointSolution:
    """The law that minimises the objective over all groups {name: (params, tokens, loss)}, the `shared` letters equal.

    Letters of `shared` that the law lacks (k of an additive law) are passed over. With nothing shared the groups are
    fitted alone, under one robust scale where the objective estimates it. InputError names a group with fewer runs
    than letters of its own, or one run.
    """
    law = find_law(law) if isinstance(law, str) else law
    known = _shared(law, shared)
    members = _members(law, groups, known)
    starts = _starts(members, objective)
    parameters = starts.shape[1]
    scale = _scale(members, starts[:1], parameters)
    for _ in range(SCALE_ROUNDS if isinstance(objective, AdaptiveHuber) else 1):
        delta = threshold(objective, scale)
        members = [replace(one, problem=replace(one.problem, delta=delta)) for one in members]
        end = descend(_summed(members), starts, members[0].affine.box, limit=200, majorised=MAJORISED_STEPS)
        order = np.argsort(end.value)
        used, starts = scale, end.theta[order]
        scale = _scale(members, starts[:1], parameters)
    converged = bool(end.converged[order[0]])
    solutions = {one.name: _solution(one, starts[0], scale, used, end.iterations, converged) for one in members}
    total = sum(solution.value for solution in solutions.values())
    return JointSolution(solutions, known, total, end.iterations, converged)


def _shared(law: type[Law], shared: Sequence[str]) -> tuple[str, ...]:
    for letter in shared:
        if letter not in ("E", "A", "B", "alpha", "beta", "k"):
            raise InputError(f"no law has a letter {letter!r}", f"one of: {', '.join(law.letters)}")
    return tuple(letter for letter in law.letters if letter in shared)


def _members(law: type[Law], groups: Mapping[str, Group], shared: tuple[str, ...]) -> list[_Member]:
    if not groups:
        raise InputError("no groups to fit", "give {name: (params, tokens, loss)}")
    p, common = law.lower.size, len(shared)
    own = p - common
    columns = common + own * len(groups)
    members, runs = [], 0
    for place, (name, (params, tokens, loss)) in enumerate(groups.items()):
        try:
            (N, D), y = checked(law, (params, tokens), loss)
        except InputError as error:
            raise InputError(f"group {name!r}: {error.message}", error.hint) from error
        if y.size < max(own, 2):
            raise InputError(
                f"group {name!r} has {y.size} run{'s' * (y.size != 1)}, fewer than the {max(own, 2)} it needs with "
                f"{', '.join(shared) or 'nothing'} shared",
                "add runs, leave the group out, or share more letters",
            )
        centre = Centre.of(N, D)
        problem = Problem(law, law.inputs(centre, N, D), y, np.ones((1, y.size)), np.inf, Forms.none(p))
        members.append(_Member(name, problem, centre, _affine(law, centre, shared, columns, common + own * place)))
        runs += y.size
    if runs < columns:
        raise InputError(
            f"{runs} runs in {len(groups)} groups are fewer than {columns} parameters", "share more letters"
        )
    lower, upper = (np.stack([getattr(one.affine.box, side) for one in members]) for side in ("lower", "upper"))
    box = Box(lower.max(0), upper.min(0))
    return [replace(one, affine=replace(one.affine, box=box)) for one in members]


def _affine(law: type[Law], centre: Centre, shared: tuple[str, ...], columns: int, first: int) -> Affine:
    """This group's theta from the joint coordinates: the shared letters, then each group's own in theta."""
    p = law.lower.size
    forms, coordinates, selection = law.letter_forms(centre), np.eye(p), np.zeros((p, columns))
    lower, upper = np.full(columns, -np.inf), np.full(columns, np.inf)
    own = first
    for i, letter in enumerate(law.letters):
        if letter in shared:
            at = shared.index(letter)
            coordinates[i] = forms[i]
        else:
            at, own = own, own + 1
        if (coordinates[i] == np.eye(p)[i]).all():
            lower[at], upper[at] = law.lower[i], law.upper[i]
        selection[i, at] = 1.0
    return Affine(np.linalg.inv(coordinates) @ selection, np.zeros(p), Box(lower, upper))


def _summed(members: Sequence[_Member]) -> Expand:
    def expand(phi: Array, rows: Rows, newton: bool) -> Local:
        parts = [one.affine.expansion(one.problem.at)(phi, rows, newton) for one in members]
        return Local(*(np.asarray(sum(values)) for values in zip(*parts, strict=True)))

    return expand


def _starts(members: Sequence[_Member], objective: Objective) -> Array:
    """Joint coordinates `(3, q)` nearest to the groups' own starts, in the metric of their least squares."""
    law, q = members[0].problem.law, members[0].affine.box.lower.size
    information, pulled = np.zeros((3, q, q)), np.zeros((3, q))
    for one in members:
        theta = searched(one.problem, Affine.free(law), objective, None)
        theta = theta[np.minimum(np.arange(3), len(theta) - 1)]
        expansion = law.expand(theta, one.problem.x)
        ones, T = np.ones_like(expansion.f), one.affine.matrix
        M = expansion.hessian(ones, np.zeros_like(ones)) + 1e-6 * np.eye(len(T))
        information += T.T @ M @ T
        pulled += np.einsum("pq,spr,sr->sq", T, M, theta)
    return np.asarray(np.linalg.solve(information, pulled[..., None])[..., 0])


def _scale(members: Sequence[_Member], phi: Array, parameters: int) -> float:
    residual = np.concatenate([one.problem.residual(one.affine.theta(phi))[0] for one in members])
    return robust_scale(residual, parameters)


def _solution(one: _Member, phi: Array, scale: float, used: float, iterations: int, converged: bool) -> Solution:
    theta = one.affine.theta(phi[None])[0]
    return Solution(
        law=one.problem.law.from_theta(theta, one.centre),
        theta=theta,
        centre=one.centre,
        value=one.problem.data_value(theta),
        delta=one.problem.delta,
        scale=scale,
        prior_scale=used,
        iterations=iterations,
        converged=converged,
    )
