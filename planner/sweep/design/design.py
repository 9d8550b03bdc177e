"""The design itself: fractions, constraints, whole runs, certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError
from planner.laws.centre import Array
from planner.sweep.design.constraints import Constraints, Grid, Mask, Need, unmet
from planner.sweep.design.polytope import Polytope
from planner.sweep.design.problem import Problem
from planner.sweep.design.rounding import exchanged, rounded
from planner.sweep.design.shares import CERTIFICATE, relaxed

ROUNDS = 40  # of solving and mending


@dataclass(frozen=True)
class Design:
    """Whole copies per bundle `(n,)`, runs per cell `(m,)`, the expected sd of the first goal and of each, the certificate.

    `gap` bounds how far (relatively) the goals' variance of these whole runs lies above the best that fractions of runs could
    reach under the same budget, exclusions, largest number of runs and runs per cell (general equivalence theorem, Kiefer
    and Wolfowitz 1960). What levels, spread, reach and replicates cost is in it, for the bound does not know them.
    `relaxed_gap` is the gap of the fractions themselves.
    """

    runs: NDArray[np.int64]
    cell_runs: NDArray[np.int64]
    expected_sd: float
    expected_sds: tuple[float, ...]
    gap: float
    relaxed_gap: float


def designed(
    problem: Problem,
    grid: Grid,
    rules: Constraints,
    budget: float,
    *,
    allowed: Mask | None = None,
    gap: float = CERTIFICATE,
    error: Callable[[Array], float] | None = None,
) -> Design:
    """The whole runs of least variance for `budget` (in the unit of the bundles' cost) that meet the constraints.

    `allowed` `(n,)` excludes bundles. `error` of runs per cell is what the last exchanges lower, the variance when None.
    InputError when no plan can meet them together: it names them and what would.
    """
    room = _room(problem, rules, budget, allowed)
    if not (room.upper >= 1).any():
        raise InputError(
            f"a budget of {budget:.4g} affords none of {room.upper.size} candidate runs",
            f"the cheapest costs {problem.bundles.cost.min():.4g}: raise the budget or lower the sizes",
        )
    best = relaxed(problem, room, gap=gap)
    reads = _reads(problem)
    copies = exchanged(
        problem, _mended(problem, grid, rules, room, best.copies, reads), room,
        lambda rival: unmet(rules, grid, reads @ rival) is None,
        lambda rival: problem.at(rival).variance if error is None else error(reads @ rival),
    )  # fmt: skip
    state = problem.at(copies)
    sds = np.sqrt(state.by_goal)
    whole = np.rint(copies).astype(np.int64)
    return Design(
        whole, np.rint(reads @ copies).astype(np.int64), float(sds[0]), tuple(map(float, sds)),
        max(state.variance / best.bound - 1, 0.0), best.gap,
    )  # fmt: skip


def _room(problem: Problem, rules: Constraints, budget: float, allowed: Mask | None) -> Polytope:
    bundles = problem.bundles
    can = bundles.cost <= budget * (1 + 1e-12)
    can = can if allowed is None else can & allowed
    most = np.inf if rules.max_per_cell is None else float(rules.max_per_cell)
    room = Polytope.of(
        bundles.cost, budget, bundles.runs, most=np.inf if rules.max_runs is None else float(rules.max_runs),
        lower=np.zeros(can.size), upper=np.where(can, most, 0.0),
    )  # fmt: skip
    if rules.max_per_cell is None or bundles.cells.shape[1] == 1:
        return room
    reads = _reads(problem)
    shared = reads[(reads > 0).sum(1) > 1]
    return replace(
        room, rows=np.concatenate([room.rows, shared]), bounds=np.append(room.bounds, np.full(len(shared), most))
    )


def _reads(problem: Problem) -> Array:
    """How many losses at each cell one copy of each bundle gives, `(m, n)`."""
    cells, precision = problem.bundles.cells, problem.bundles.precision
    reads = np.zeros((problem.floor.size, len(cells)))
    real = np.diagonal(precision, axis1=1, axis2=2) > 0
    np.add.at(reads, (cells, np.arange(len(cells))[:, None]), real.astype(float))
    return reads


def _largest(problem: Problem, grid: Grid) -> NDArray[np.intp]:
    """The cell of most compute of each bundle, `(n,)`."""
    cells = problem.bundles.cells
    return np.asarray(np.take_along_axis(cells, np.argmax(grid.flops[cells], 1)[:, None], 1)[:, 0])


def _mended(problem: Problem, grid: Grid, rules: Constraints, room: Polytope, fractions: Array, reads: Array) -> Array:
    """Whole copies that meet the constraints: least copies are raised where a plan falls short, and it is solved again.

    The copy that helps most for its price is taken; should that lead into a corner, once more with the cheapest.
    """
    copies = rounded(problem, fractions, room)
    try:
        return _until_met(problem, grid, rules, room, copies, reads)
    except _StuckError:
        least = _skeleton(problem, grid, rules, room, reads)
    flops = grid.flops[_largest(problem, grid)]
    top = float(flops[least > 0].max())
    room = replace(room, lower=least, upper=np.where(flops > top * (1 + 1e-9), least, room.upper))
    return _until_met(problem, grid, rules, room, rounded(problem, relaxed(problem, room).copies, room), reads)


class _StuckError(Exception):
    """No copy that a constraint needs fits any more."""


def _until_met(problem: Problem, grid: Grid, rules: Constraints, room: Polytope, copies: Array, reads: Array) -> Array:
    largest = _largest(problem, grid)
    for _ in range(ROUNDS):
        need = unmet(rules, grid, reads @ copies)
        if need is None:
            return copies
        worth = problem.at(copies).step() / problem.bundles.cost
        raised = _raised(need, copies, room, largest, worth)
        if raised is not None:
            room = replace(room, lower=raised)
        else:  # a largest cell that cannot have its second seed is left out
            top = (reads[need.helps] > 0).any(0) & (copies > room.lower)
            if not top.any():
                raise _StuckError
            room = replace(room, upper=np.where(top, room.lower, room.upper))
        copies = rounded(problem, relaxed(problem, room, start=copies).copies, room)
    raise _StuckError


def _raised(need: Need, copies: Array, room: Polytope, largest: NDArray[np.intp], worth: Array) -> Array | None:
    """Lower bounds with the copies that `need` asks for of the bundle of most `worth`; None when none fits.

    A bundle helps if its `largest` cell `(n,)` does: a trunk beyond it would bring a largest cell of its own.
    """
    raised = np.maximum(room.lower, copies) + need.runs

    def lifted(bundle: int) -> Array:
        return np.where(np.arange(copies.size) == bundle, raised, room.lower)

    def fits(bundle: int) -> bool:
        lower = lifted(bundle)
        within = (room.rows @ lower <= room.bounds * (1 + 1e-12)).all()
        return bool(within and lower[bundle] <= room.upper[bundle])

    options = [int(bundle) for bundle in np.flatnonzero(need.helps[largest]) if fits(int(bundle))]
    return lifted(max(options, key=lambda bundle: float(worth[bundle]))) if options else None


def _skeleton(problem: Problem, grid: Grid, rules: Constraints, room: Polytope, reads: Array) -> Array:
    """The cheapest copies found that meet all constraints on their own; InputError when even they do not fit."""
    cost, largest = problem.bundles.cost, _largest(problem, grid)
    free = replace(room, bounds=np.full(room.bounds.size, np.inf), upper=np.where(room.upper > 0, np.inf, 0.0))
    named: list[str] = []
    lower = np.zeros(cost.size)
    while (need := unmet(rules, grid, reads @ lower)) is not None:
        if need.name not in named:
            named.append(need.name)
        raised = _raised(need, lower, replace(free, lower=lower), largest, -cost)
        if raised is None:
            raise InputError(
                f"the candidate runs cannot give {need.name}",
                "widen exploration's sizes or data, or drop that constraint",
            )
        lower = raised
    used = room.rows @ lower
    if (used <= room.bounds * (1 + 1e-12)).all() and (lower <= room.upper).all():
        return lower
    over = [f"a budget of {room.bounds[0]:.4g}"] if used[0] > room.bounds[0] else []
    over += [f"at most {rules.max_runs} runs"] if rules.max_runs and reads.sum(0) @ lower > rules.max_runs else []
    over += (
        [f"at most {rules.max_per_cell} of one cell"]
        if rules.max_per_cell and (reads @ lower).max() > rules.max_per_cell
        else []
    )
    raise InputError(
        f"constraints contradict each other: {', '.join(named)} cannot hold with {' and '.join(over)}",
        f"together they need {int(reads.sum(0) @ lower)} runs, up to {int((reads @ lower).max())} of one cell, for {used[0]:.4g}: "
        "allow that, or drop one",
    )
