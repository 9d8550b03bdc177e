"""What the default recipe would make of a plan's runs: its mean squared error, without simulating."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.fitting.configurations import SHARED
from planner.fitting.recipe import MODEL_ERROR
from planner.laws.centre import Array, Centre
from planner.sweep.design.belief import Belief
from planner.sweep.design.constraints import Mask
from planner.sweep.design.problem import Problem


@dataclass(frozen=True)
class RecipeError:
    """The error of the goals when runs of the cells are fitted with `default_recipe`, to first order about every draw.

    Unlike the design's variance it knows how that fit weighs runs: replicates less than in proportion, small runs less, no more
    than 25 configurations in all, a prior that may pull the wrong way. It is not convex in the runs, so it has no certificate.
    """

    belief: Belief
    problem: Problem
    columns: tuple[Array, ...]
    log_compute: Array
    noise: Array
    log_loss: Array

    @classmethod
    def of(cls, belief: Belief, problem: Problem, columns: tuple[Array, ...], noise: Array) -> RecipeError:
        """For a law of params and tokens with raw `columns` `(m,)`; `noise` `(m,)` is the variance of one run's ln loss."""
        log_loss = belief.law.gradient(belief.theta, belief.law.inputs(belief.centre, *columns))[0]
        return cls(belief, problem, columns, np.log(columns[0]) + np.log(columns[1]), noise, log_loss)

    def mean_square(self, runs: Array) -> float:
        """Mean over draws of variance + bias^2 of the (weighted) goals, for `runs` per cell `(m,)`.

        theta = H^-1 [J' W y + P prior mean] with W the recipe's weights; y has the plan's noise and model error, P is the
        recipe's prior precision, and the bias is what P (prior mean - theta) leaves at the goals.
        """
        used = np.asarray(runs > 0)
        number, J = runs[used], self.problem.J[:, used]
        variance = self.noise[used] / number + self.problem.floor[used]
        weight = number * (1 + SHARED) / (1 + SHARED * number) * MODEL_ERROR.faded(self.log_compute[used])
        weight = (
            weight * min(1.0, MODEL_ERROR.configurations / number.size) / self._scale(weight * variance, J.shape[2])
        )
        P, off = self._prior(used)
        H = np.matmul(J.transpose(0, 2, 1) * weight, J) + P
        h = np.linalg.solve(H, self.problem.goal)
        noisy = ((np.matmul(J, h) * weight[:, None]) ** 2 * variance[:, None]).sum()
        bias = (h * np.matmul(P, off[..., None])).sum(1)
        return float(noisy + (bias**2).sum()) / len(J)

    def _scale(self, squares: Array, letters: int) -> float:
        """The residual variance that the recipe would find: its prior noise and the expected weighted squares."""
        freedom = max(squares.size - letters, 1)
        expected = float(squares.sum()) * freedom / squares.size
        return (MODEL_ERROR.noise_runs * MODEL_ERROR.noise**2 + expected) / (MODEL_ERROR.noise_runs + freedom)

    def _prior(self, used: Mask) -> tuple[Array, Array]:
        """Precision of the recipe's prior in the belief's coordinates `(p, p)`, and prior mean - theta there `(K, p)`."""
        law = self.belief.law
        centre = Centre(tuple(float(np.log(column[used]).mean()) for column in self.columns))
        A = np.linalg.solve(law.letter_forms(centre), law.letter_forms(self.belief.centre))
        priors = [law.prior(row) for row in self.log_loss[:, used]]
        mean = np.array([prior.mean for prior in priors])
        back = np.linalg.inv(A)
        return A.T @ np.diag(priors[0].sd ** -2.0) @ A, mean @ back.T - self.belief.theta
