"""Many fits of one law, each to data of its own, descended as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.fitting.descend import Box, Descent, Local, Rows, descend
from planner.fitting.problem import Forms, Problem, robust
from planner.laws import Coupled
from planner.laws.centre import Array
from planner.laws.law import Law

STACKED: tuple[type[Law], ...] = (Coupled,)  # laws that take inputs of a shape `(v, S, m)`, other ones for each theta


@dataclass(frozen=True)
class Stack:
    """S fits: inputs `(v, S, m)`, ln loss and weight `(S, m)`, delta and scale `(S, 1)`, means of the priors `(S, r)`.

    Data sets of fewer runs are filled up with runs of no weight. Priors differ in their means only.
    """

    law: type[Law]
    x: Array
    log_loss: Array
    weight: Array
    delta: Array
    scale: Array
    forms: Forms

    @classmethod
    def of(cls, problems: Sequence[Problem], copies: Sequence[int]) -> Stack:
        """Each problem as often as it has starts."""
        longest = max(problem.log_loss.size for problem in problems)

        def filled(column: Array) -> Array:
            return np.asarray(np.pad(column, (0, longest - column.size), mode="edge"))

        def stacked(rows: list[Array]) -> Array:
            return np.repeat(np.array(rows), copies, axis=0)

        first = problems[0]
        return cls(
            first.law,
            np.stack([stacked([filled(one.x[v]) for one in problems]) for v in range(len(first.x))]),
            stacked([filled(one.log_loss) for one in problems]),
            stacked([np.pad(one.weight[0], (0, longest - one.log_loss.size)) for one in problems]),
            stacked([np.array([one.delta]) for one in problems]),
            stacked([np.array([one.scale]) for one in problems]),
            Forms(first.forms.rows, stacked([one.forms.mean for one in problems]), first.forms.sd),
        )

    def at(self, theta: Array, rows: Rows, newton: bool) -> Local:
        """What `Problem.at` gives, for the fits `rows`."""
        expansion = self.law.expand(theta, self.x[:, rows])
        local = robust(expansion, self.log_loss[rows] - expansion.f, self.weight[rows], self.delta[rows], newton)
        return self.forms._replace(mean=self.forms.mean[rows]).added(theta, self.scale[rows], local)


def descend_all(problems: Sequence[Problem], starts: Sequence[Array], box: Box, *, tolerance: float) -> list[Descent]:
    """`descend` for each problem from its own starts `(K, p)`, all at once; every coordinate of theta is free."""
    ends = np.cumsum([len(start) for start in starts])[:-1]
    stack = Stack.of(problems, [len(start) for start in starts])
    end = descend(stack.at, np.concatenate(starts), box, tolerance=tolerance)
    parts = zip(*(np.split(column, ends) for column in (end.theta, end.value, end.converged)), strict=True)
    return [Descent(theta, value, end.iterations, converged) for theta, value, converged in parts]
