"""The default recipe's fit: a law's prior, its data, and what the law may miss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from planner.fitting.affine import Affine, constrained
from planner.fitting.configurations import Configurations
from planner.fitting.constraints import Constraints
from planner.fitting.descend import Descent, descend
from planner.fitting.objective import MAD_TO_SD, TUNING, AdaptiveHuber, majorising_weight
from planner.fitting.problem import Forms, Problem
from planner.fitting.recipe import ModelError
from planner.fitting.solve import Solution, searched
from planner.fitting.stack import STACKED, descend_all
from planner.laws.centre import Array, Centre
from planner.laws.law import Law, Prior

ROUNDS = 6  # of optimum and residual scale in turn
SETTLED = 1e-3  # relative change of the scale
SAME_PLACE = 1e-5  # of any coordinate
PRECISE = 1e-10  # relative fall of the objective at which a descent ends
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
    return posteriors(law, [(data, prior)], error, constraints)[0]


def posteriors(
    law: type[Law],
    cases: Sequence[tuple[Configurations, Prior]],
    error: ModelError,
    constraints: Constraints | None = None,
) -> list[Posterior]:
    """`posterior` of each of many data sets; without constraints the coupled law's are solved as one batch."""
    constraints = constraints or Constraints()
    together = len(cases) > 1 and law in STACKED and constraints == Constraints()
    stages = {number: _begun(law, *case, error, constraints) for number, case in enumerate(cases)}
    found: dict[int, Posterior] = {}
    for _ in range(ROUNDS):
        posed = {number: stage.posed() for number, stage in stages.items()}
        for (number, stage), end in zip(posed.items(), _ends(list(posed.values()), together), strict=True):
            stages[number], found[number] = stage.judged(end, error)
        stages = {n: stage for n, stage in stages.items() if abs(stage.scale / posed[n].scale - 1) >= SETTLED}
        if not stages:
            break
    return [found[number] for number in range(len(cases))]


@dataclass(frozen=True)
class _Stage:
    """Where one data set's fit stands: what is solved, from where `(K, q)`, and the residual scale to solve it with."""

    problem: Problem
    affine: Affine
    centre: Centre
    temper: float
    starts: Array
    scale: float

    def posed(self) -> _Stage:
        """With the problem at this scale: it counts squared residuals, the prior squared standard deviations."""
        at_scale = replace(self.problem, delta=TUNING * self.scale, scale=self.scale / math.sqrt(self.temper))
        return replace(self, problem=at_scale)

    def judged(self, end: Descent, error: ModelError) -> tuple[_Stage, Posterior]:
        """The next round's stage, and the posterior at the best end of this one."""
        law, problem, forms, used = self.problem.law, self.problem, self.problem.forms, self.scale
        weight = problem.weight[0]
        best = int(np.argmin(end.value))
        theta = self.affine.theta(end.theta[best : best + 1])[0]
        residual = problem.residual(theta[None])[0]
        J = law.gradient(theta, problem.x)[1][0]
        curved = weight * majorising_weight(residual, problem.delta) * self.temper / used**2
        information = np.einsum("pm,m,qm->pq", J, curved, J)
        covariance = self.affine.covariance(information + forms.rows.T @ (forms.sd[:, None] ** -2 * forms.rows))
        spent = float(np.trace(covariance @ information))
        scale = _scale(residual * np.sqrt(weight), spent, error)
        solution = Solution(
            law=law.from_theta(theta, self.centre), theta=theta, centre=self.centre, value=problem.data_value(theta),
            delta=problem.delta, scale=scale, prior_scale=used, iterations=end.iterations,
            converged=bool(end.converged[best]), affine=self.affine,
        )  # fmt: skip
        df = min(weight.size, error.configurations) - spent + error.noise_runs
        found = Posterior(solution, np.asarray(covariance), max(df, SMALLEST_DF), problem, self.affine)
        return replace(self, starts=_distinct(end), scale=scale), found


def _distinct(end: Descent) -> Array:
    """Where the descents ended `(K, q)`, lowest first, each place once."""
    places: list[Array] = []
    for theta in end.theta[np.argsort(end.value, kind="stable")]:
        if all(np.abs(theta - place).max() > SAME_PLACE for place in places):
            places.append(theta)
    return np.array(places)


def _begun(law: type[Law], data: Configurations, prior: Prior, error: ModelError, constraints: Constraints) -> _Stage:
    centre = Centre.of(data.params, data.tokens)
    x = law.inputs(centre, data.params, data.tokens)
    weight = data.weight * error.faded(np.log(data.params) + np.log(data.tokens))
    forms = _forms(law, centre, prior, constraints)
    problem = Problem(law, x, np.log(data.loss), weight[None], math.inf, forms)
    affine = constrained(
        law, centre, fixed=constraints.fixed, tied=constraints.tied, bounds=constraints.bounds, also=constraints.priors
    )
    starts = searched(problem, affine, AdaptiveHuber(), prior)
    spent = float(min(affine.box.lower.size, weight.size - 2))
    scaled = problem.residual(affine.theta(starts)) * np.sqrt(weight)
    scale = min(_scale(residual, spent, error) for residual in scaled)
    return _Stage(problem, affine, centre, min(1.0, error.configurations / weight.size), starts, scale)


def _ends(stages: list[_Stage], together: bool) -> list[Descent]:
    if together:
        return descend_all(
            [stage.problem for stage in stages], [stage.starts for stage in stages], stages[0].affine.box, tolerance=PRECISE
        )  # fmt: skip
    return [
        descend(stage.affine.expansion(stage.problem.at), stage.starts, stage.affine.box, tolerance=PRECISE)
        for stage in stages
    ]


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
