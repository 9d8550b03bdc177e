"""The bare optimum: arrays in, law out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from planner.engines import Engine, here
from planner.errors import InputError
from planner.fitting.affine import Affine, LetterPrior, constrained
from planner.fitting.bootstrap import refits
from planner.fitting.constraints import Constraints
from planner.fitting.descend import MAJORISED_STEPS, Descent, descend
from planner.fitting.noise import Noise
from planner.fitting.objective import AdaptiveHuber, Huber, Objective, robust_scale, threshold
from planner.fitting.problem import Forms, Problem
from planner.laws import find_law
from planner.laws.centre import Array, Centre
from planner.laws.law import Law, Prior
from planner.laws.link import linked
from planner.laws.starts import EXPONENTS
from planner.runs.columns import Count

SCALE_ROUNDS = 3  # of re-estimating the robust scale; it changes in the fourth digit after two
SUBSAMPLE = 3000  # runs that starts are sought on when there are more; the optimum itself uses all

X = ArrayLike | Sequence[ArrayLike]
COUNTS = frozenset({"params", "tokens", *(str(count) for count in Count)})


@dataclass(frozen=True)
class Solution:
    """The optimum of one fit.

    `theta` is in the coordinates of `centre`; `value` is the sum of the objective over runs (the prior's part left
    out); `delta` the Huber threshold used (infinite for least squares); `scale` the robust sd of ln loss, and
    `prior_scale` the one that the prior was weighed against, a round of re-estimation earlier. `affine` says which
    directions of theta were free (None: all of them).
    """

    law: Law
    theta: Array
    centre: Centre
    value: float
    delta: float
    scale: float
    prior_scale: float
    iterations: int
    converged: bool
    affine: Affine | None = None

    def gradient(self, *columns: ArrayLike) -> tuple[Array, Array]:
        """Predicted ln loss `(1, m)` and its derivative in theta `(1, p, m)` at raw columns `(m,)`, one per variable."""
        law = type(self.law)
        return law.gradient(self.theta, law.inputs(self.centre, *columns))


def solve(
    law: type[Law] | str,
    x: X,
    loss: ArrayLike,
    *,
    objective: Objective = Huber(1e-3),  # noqa: B008 - a frozen value
    prior: Prior | None = None,
    start: Array | None = None,
    weight: ArrayLike | None = None,
    noise: ArrayLike | None = None,
    blocks: Sequence[object] | ArrayLike | None = None,
    rho: float = 0.0,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    letter_prior: LetterPrior | None = None,
    fixed: Mapping[str, float] | None = None,
    tied: Sequence[Sequence[str]] = (),
) -> Solution:
    """The global optimum of `law` on runs at x, one raw column per variable of the law, with loss in nats per token.

    Starts from variable projection over a grid of exponents (or from `start`, a theta), then damped Newton.
    `weight` multiplies each run's part of the objective; `noise` is the runs' sd of ln loss: residuals are divided by
    it and multiplied by its median, so that deltas stay in units of ln loss; runs of one label in `blocks` share noise
    with correlation `rho`. `bounds`, `fixed`, `tied` and `letter_prior` speak in the law's letters.
    Shapes: x `(v, n_runs)`, loss, weight, noise, blocks `(n_runs,)`. Raises InputError when the arrays do not fit or
    are not positive, and for constraints that cannot hold.
    """
    law = find_law(law) if isinstance(law, str) else law
    problem, affine, centre = _posed(
        law, x, loss, prior, Constraints(fixed or {}, tuple(map(tuple, tied)), bounds or {}), letter_prior,
        _weights(weight, np.size(loss)), Noise.of(np.size(loss), noise, blocks, rho),
    )  # fmt: skip
    if start is None:
        phi = searched(problem, affine, objective, prior)
    else:
        phi = projected(problem, affine, np.asarray(start, float)[None])
    return _solution(problem, affine, centre, *_rounds(problem, affine, objective, phi))


def bootstrap(
    law: type[Law] | str,
    x: X,
    loss: ArrayLike,
    *,
    objective: Objective = Huber(1e-3),  # noqa: B008 - a frozen value
    resamples: int = 400,
    seed: int = 0,
    clusters: Sequence[object] | ArrayLike | None = None,
    weight: ArrayLike | None = None,
    noise: ArrayLike | None = None,
    constraints: Constraints | None = None,
    engine: Engine = here,
) -> Array:
    """Refits to runs drawn with replacement, as thetas `(resamples, p)` in the centre of all runs.

    With `clusters`, labels `(n_runs,)`, whole clusters are drawn: checkpoints of one run, replicates of one
    configuration. Each refit starts at the optimum of all runs and keeps that fit's Huber delta. Same seed, same draws, whichever
    `engine` makes them (`planner.engines`).
    """
    law = find_law(law) if isinstance(law, str) else law
    said = constraints or Constraints()
    base = _weights(weight, np.size(loss))
    problem, affine, _ = _posed(
        law, x, loss, None, said, said.letter_prior, base, Noise.of(np.size(loss), noise, None, 0.0)
    )
    end, last, _, _ = _rounds(problem, affine, objective, searched(problem, affine, objective, None))
    member = (
        np.arange(base.size) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1].ravel()
    )
    number = int(member.max()) + 1
    if number < 2:
        raise InputError("the runs form a single cluster", "a bootstrap draws clusters: give labels that differ")
    draws = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), resamples).astype(float)
    return refits(last, affine, end.theta[0], draws[:, member] * base, engine)


def _posed(
    law: type[Law],
    x: X,
    loss: ArrayLike,
    prior: Prior | None,
    said: Constraints,
    letter_prior: LetterPrior | None,
    weight: Array,
    noise: Noise | None,
) -> tuple[Problem, Affine, Centre]:
    """The runs as a problem in theta, which directions of it are free, and its centre."""
    columns, y = checked(law, x, loss)
    centre = Centre.of(*columns)
    inputs = law.inputs(centre, *columns)
    law = law.signed(inputs, y, weight)
    also = () if letter_prior is None else letter_prior.letters
    affine = constrained(law, centre, fixed=said.fixed, tied=said.tied, bounds=said.bounds, also=also)
    enough(law, affine, int((weight > 0).sum()))
    forms = Forms.none(law.lower.size) if prior is None else Forms(np.diag(np.isfinite(prior.sd) * 1.0), *prior)
    if letter_prior is not None:
        forms = forms.joined(letter_prior.forms(law, centre))
    return Problem(law, inputs, y, weight[None], np.inf, forms, noise=noise), affine, centre


def searched(problem: Problem, affine: Affine, objective: Objective, prior: Prior | None) -> Array:
    """Starting points `(K, q)`; with very many runs the optimum of a few thousand of them."""
    law, used = problem.law, np.flatnonzero(problem.weight[0] > 0)
    if used.size > SUBSAMPLE:
        used = np.sort(np.random.default_rng(0).choice(used, SUBSAMPLE, replace=False))
        few = replace(
            problem,
            x=problem.x[:, used],
            log_loss=problem.log_loss[used],
            weight=problem.weight[:, used],
            noise=None,
        )
        return _rounds(few, affine, objective, searched(few, affine, objective, prior))[0].theta[:1]
    grids: dict[str, Array] = {
        str(letter): _exponents(law, affine, letter) for letter in ("alpha", "beta") if letter in law.letters
    }
    thetas = law.search_starts(problem.x[:, used], problem.log_loss[used], problem.weight[0, used], grids=grids)
    if prior is not None:
        thetas = np.concatenate([thetas, prior.mean[None]])
    return projected(problem, affine, thetas)


def projected(problem: Problem, affine: Affine, thetas: Array) -> Array:
    """Free coordinates nearest to thetas, in the metric of least squares."""
    expansion = problem.law.expand(thetas, problem.x)
    ones = np.broadcast_to(problem.weight, expansion.f.shape)
    return affine.nearest(thetas, expansion.hessian(ones, np.zeros_like(ones)))


def _exponents(law: type[Law], affine: Affine, letter: str) -> Array:
    """The grid of an exponent, narrowed to what the constraints leave of it."""
    row = affine.matrix[law.letters.index(letter)]
    if not row.any():
        return np.array([affine.offset[law.letters.index(letter)]])
    at = int(np.argmax(row))
    low, high = affine.box.lower[at], affine.box.upper[at]
    if low <= EXPONENTS[0] and high >= EXPONENTS[-1]:
        return EXPONENTS
    return np.geomspace(max(low, EXPONENTS[0] if high > EXPONENTS[0] else low), high, EXPONENTS.size)


def _rounds(
    problem: Problem, affine: Affine, objective: Objective, phi: Array
) -> tuple[Descent, Problem, float, float]:
    """Descents with the scale re-estimated in between; ends sorted by value, the last problem, scales after and before."""
    used = problem.weight[0] > 0
    residual = problem.residual(affine.theta(phi))[:, used]
    scale = robust_scale(residual[np.argmin(np.median(np.abs(residual), axis=1))], phi.shape[1])
    before, majorised = scale, MAJORISED_STEPS
    adaptive = isinstance(objective, AdaptiveHuber) or problem.forms.mean.size > 0
    for _ in range(SCALE_ROUNDS if adaptive else 1):
        problem = replace(problem, delta=threshold(objective, scale), scale=scale)
        end = descend(affine.expansion(problem.at), phi, affine.box, majorised=majorised)
        order = np.argsort(end.value)
        end = Descent(end.theta[order], end.value[order], end.iterations, end.converged[order])
        phi, before, majorised = end.theta, scale, 1
        scale = robust_scale(problem.residual(affine.theta(phi[:1]))[0, used], phi.shape[1])
    return end, problem, scale, before


def _solution(
    problem: Problem, affine: Affine, centre: Centre, end: Descent, last: Problem, scale: float, before: float
) -> Solution:
    theta = affine.theta(end.theta[:1])[0]
    return Solution(
        law=problem.law.from_theta(theta, centre),
        theta=theta,
        centre=centre,
        value=last.data_value(theta),
        delta=last.delta,
        scale=scale,
        prior_scale=before,
        iterations=end.iterations,
        converged=bool(end.converged[0]),
        affine=affine,
    )


def checked(law: type[Law], x: X, loss: ArrayLike) -> tuple[list[Array], Array]:
    """The law's columns and what is fitted of the loss, arrays `(n_runs,)`; InputError where a number cannot be.

    Laws of params and tokens take positive numbers, other laws any finite ones that their formula has a value at.
    """
    columns = [np.asarray(column, float) for column in cast("Sequence[ArrayLike]", x)]
    values = np.asarray(loss, float)
    if len(columns) != len(law.variables):
        raise InputError(
            f"the {law.name} law takes {', '.join(law.variables)}, not {len(columns)} columns", "give one per variable"
        )
    named = [*zip(law.variables, columns, strict=True), ("loss", values)]
    if values.ndim != 1 or any(column.shape != values.shape for column in columns):
        shapes = ", ".join(f"{name} {column.shape}" for name, column in named)
        raise InputError(f"{shapes} differ in shape", "give one number per run in each")
    for name, column in named:
        counts = name in COUNTS or (name == "loss" and law.link == "log")
        bad = ~(np.isfinite(column) & ((column > 0) if counts else True))
        if bad.any():
            at = int(np.argmax(bad))
            wrong = "positive" if counts else "a number"
            raise InputError(f"{name}[{at}] = {column[at]} is not {wrong}", "drop that run")
    return columns, linked(law, values)


def enough(law: type[Law], affine: Affine, runs: int) -> None:
    """InputError when runs are fewer than free parameters."""
    free, all_of_them = affine.box.lower.size, law.lower.size
    if runs < free:
        what = "parameters" if free == all_of_them else "free parameters"
        raise InputError(
            f"{runs} runs are fewer than the {free} {what} of the {law.name} law",
            "add runs, or fit a law with fewer parameters",
        )


def _weights(weight: ArrayLike | None, runs: int) -> Array:
    if weight is None:
        return np.ones(runs)
    w = np.asarray(weight, float)
    if w.shape != (runs,):
        raise InputError(f"weight {w.shape} and loss {(runs,)} differ in shape", "give one weight per run")
    bad = ~(np.isfinite(w) & (w >= 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise InputError(f"weight[{at}] = {w[at]} is negative or not a number", "give weights of zero or more")
    return w
