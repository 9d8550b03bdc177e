"""The default recipe's fit: a law's prior, its data, and what the law may miss."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from planner.fitting.affine import Affine, constrained
from planner.fitting.configurations import Configurations
from planner.fitting.constraints import Constraints
from planner.fitting.descend import descend
from planner.fitting.objective import MAD_TO_SD, TUNING, AdaptiveHuber, majorising_weight
from planner.fitting.problem import Forms, Problem
from planner.fitting.recipe import ModelError
from planner.fitting.solve import Solution, searched
from planner.laws.centre import Array, Centre
from planner.laws.law import Law, Prior

ROUNDS = 6  # of optimum and residual scale in turn
SETTLED = 1e-3  # relative change of the scale
SMALLEST_DF = 3.0  # a t interval with fewer has no finite variance
SMALLEST_SCALE = 1e-4  # of ln loss, to begin with
PSI_SQUARED = 0.7102  # mean of clip(z, -1.345, 1.345)^2 under a standard normal: Huber's proposal 2


class Posterior(NamedTuple):
    """The mode, the covariance of theta `(p, p)` there, the degrees of freedom of its residual scale, what was solved."""

    solution: Solution
    covariance: Array
    df: float
    problem: Problem
    affine: Affine


def posterior(
    law: type[Law], data: Configurations, prior: Prior, error: ModelError, constraints: Constraints | None = None
) -> Posterior:
    """The mode of a tempered posterior, with the residual scale estimated alongside.

    A configuration's residual is worth 1 / (1 + (drift x nats of compute below the largest)^2); with more than
    `error.configurations` of them the likelihood is raised to the power error.configurations / n (a generalised
    posterior: Bissiri, Holmes, Walker 2016, arXiv 1306.6430). The scale is Huber's proposal 2 with a scaled
    inverse-chi-squared prior, so that few runs that happen to agree are not believed to be exact.
    """
    centre = Centre.of(data.params, data.tokens)
    x = law.inputs(centre, data.params, data.tokens)
    weight = data.weight * error.faded(np.log(data.params) + np.log(data.tokens))
    temper = min(1.0, error.configurations / weight.size)
    constraints = constraints or Constraints()
    forms = _forms(law, centre, prior, constraints)
    problem = Problem(law, x, np.log(data.loss), weight[None], math.inf, forms)
    affine = constrained(
        law, centre, fixed=constraints.fixed, tied=constraints.tied, bounds=constraints.bounds, also=constraints.priors
    )
    starts = searched(problem, affine, AdaptiveHuber(), prior)
    root = np.sqrt(weight)
    spent = float(min(affine.box.lower.size, weight.size - 2))
    scale = min(_scale(residual * root, spent, error) for residual in problem.residual(affine.theta(starts)))
    for _ in range(ROUNDS):
        used = scale
        # The objective counts squared residuals, the prior squared standard deviations.
        problem = replace(problem, delta=TUNING * used, scale=used / math.sqrt(temper))
        end = descend(affine.expansion(problem.at), starts, affine.box, tolerance=1e-10)
        best = int(np.argmin(end.value))
        theta, starts = affine.theta(end.theta[best : best + 1])[0], end.theta
        residual = problem.residual(theta[None])[0]
        J = law.gradient(theta, x)[1][0]
        curved = weight * majorising_weight(residual, TUNING * used) * temper / used**2
        information = np.einsum("pm,m,qm->pq", J, curved, J)
        covariance = affine.covariance(information + forms.rows.T @ (forms.sd[:, None] ** -2 * forms.rows))
        spent = float(np.trace(covariance @ information))
        scale = _scale(residual * root, spent, error)
        if abs(scale / used - 1) < SETTLED:
            break
    solution = Solution(
        law=law.from_theta(theta, centre), theta=theta, centre=centre, value=problem.data_value(theta),
        delta=problem.delta, scale=scale, prior_scale=used, iterations=end.iterations,
        converged=bool(end.converged[best]), affine=affine,
    )  # fmt: skip
    df = min(weight.size, error.configurations) - spent + error.noise_runs
    return Posterior(solution, np.asarray(covariance), max(df, SMALLEST_DF), problem, affine)


def _forms(law: type[Law], centre: Centre, prior: Prior, constraints: Constraints) -> Forms:
    """The law's prior, but what the user believes of a letter in its place."""
    rows = np.diag(np.isfinite(prior.sd) * 1.0)
    if constraints.letter_prior is None:
        return Forms(rows, *prior)
    own = [i for i, letter in enumerate(law.letters) if letter not in constraints.priors]
    return Forms(rows[own], prior.mean[own], prior.sd[own]).joined(constraints.letter_prior.forms(law, centre))


def _scale(residual: Array, spent: float, error: ModelError) -> float:
    """Huber's proposal 2 (Robust Statistics 1981, section 6.7), iterated from the median, with the prior's runs added."""
    scale = max(MAD_TO_SD * float(np.median(np.abs(residual))), SMALLEST_SCALE)
    freedom = error.noise_runs + max(residual.size - spent, 1.0)
    for _ in range(3):
        squares = float((np.clip(residual, -TUNING * scale, TUNING * scale) ** 2).sum()) / PSI_SQUARED
        scale = math.sqrt((error.noise_runs * error.noise**2 + squares) / freedom)
    return scale
