"""One fit of one recipe: the optimum and the normal approximation around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from planner.errors import InputError
from planner.fitting.affine import Affine
from planner.fitting.configurations import configurations
from planner.fitting.constraints import Constraints
from planner.fitting.objective import majorising_weight
from planner.fitting.order import ordered
from planner.fitting.posterior import SMALLEST_DF, Posterior, posteriors
from planner.fitting.recipe import SMALLEST_WINDOW, ModelError, Recipe, Spread
from planner.fitting.sandwich import sandwich
from planner.fitting.solve import Solution, solve
from planner.laws.centre import Array
from planner.laws.link import linked
from planner.laws.scale import log_scale
from planner.runs.sample import Sample

TRUNK_CORRELATION = 0.5  # of the noise of branches of one trunk: assumed, never measured in public (SCIENCE 5.4)
HELD = 0.9  # share of the residuals that the noise of one new run is made to hold


@dataclass(frozen=True)
class Estimate:
    """The optimum, the covariance of theta `(p, p)`, the degrees of freedom, and which runs the window kept.

    `noise` is the sd of ln loss of one new run about the law, `drift` the sd that the law itself is allowed per nat of
    its scale beyond the largest run, whose ln is `frontier` (zero where the law's variables do not order runs).
    `window_refused` says that the window would have left too few, so that it was not applied.
    """

    solution: Solution
    covariance: Array
    df: float
    noise: float
    drift: float
    frontier: float
    kept: NDArray[np.bool_]
    window_refused: bool

    def predict(self, *columns: Array) -> tuple[Array, Array]:
        """ln loss (or the value) at raw columns and its standard deviation (of the mean, noise left out), shapes `(m,)`."""
        f, J = self.solution.gradient(*columns)
        sd = np.sqrt(np.einsum("pm,pq,qm->m", J[0], self.covariance, J[0]))
        if not self.drift:
            return f[0], sd
        law = type(self.solution.law)
        beyond = log_scale(law, dict(zip(law.variables, columns, strict=True))) - self.frontier
        return f[0], np.hypot(sd, self.drift * np.maximum(beyond, 0))


def in_window(size: Array, window: float | None) -> NDArray[np.bool_]:
    """Runs within a factor `window` of the largest `size`, their compute; all of them when that leaves fewer than ten."""
    if window is None:
        return np.ones(size.size, bool)
    kept = size >= size.max() / window
    return kept if kept.sum() >= SMALLEST_WINDOW else np.ones(size.size, bool)


def estimate(sample: Sample, recipe: Recipe) -> Estimate:
    """Fit `recipe` to `sample`."""
    return estimates([sample], recipe)[0]


def estimates(samples: Sequence[Sample], recipe: Recipe) -> list[Estimate]:
    """Fit `recipe` to each of `samples`; the default recipe's fits are solved as one batch, several times faster."""
    windowed = [_windowed(sample, recipe) for sample in samples]
    if recipe.model_error is None:
        return [_textbook(one, recipe) for one in windowed]
    cases = [
        (configurations(one.runs.params, one.runs.tokens, one.runs.loss, information_of(one.runs)),
         recipe.law.prior(np.log(one.runs.loss)))
        for one in windowed
    ]  # fmt: skip
    found = posteriors(recipe.law, cases, recipe.model_error, recipe.constraints)
    return [_allowing(one, solved, recipe.model_error) for one, solved in zip(windowed, found, strict=True)]


class _Windowed(NamedTuple):
    """The runs that a fit keeps, which of the sample they are, and that a window was refused."""

    runs: Sample
    kept: NDArray[np.bool_]
    refused: bool
    frontier: float


def _windowed(sample: Sample, recipe: Recipe) -> _Windowed:
    kept, refused = np.ones(sample.loss.size, bool), False
    if recipe.window is not None:
        size = ordered(sample, recipe.law)
        kept = in_window(size, recipe.window)
        refused = bool(kept.all() and size.min() < size.max() / recipe.window)
    runs = sample.at(kept)
    return _Windowed(runs, kept, refused, float(log_scale(recipe.law, runs.named).max()))


def _allowing(data: _Windowed, found: Posterior, error: ModelError) -> Estimate:
    """An estimate that allows for what the law misses."""
    solution = found.solution
    noise, drift = _one_run(solution, data.runs, error), error.drift * solution.scale
    return Estimate(solution, found.covariance, found.df, noise, drift, data.frontier, data.kept, data.refused)


def _textbook(data: _Windowed, recipe: Recipe) -> Estimate:
    """The optimum, with the sandwich or the normal approximation around it."""
    runs, said = data.runs, recipe.constraints
    solution = solve(
        recipe.law, runs.columns(recipe.law.variables), runs.loss, objective=recipe.objective, fixed=said.fixed,
        tied=said.tied, bounds=said.bounds, letter_prior=said.letter_prior, weight=runs.weight, noise=runs.noise,
    )  # fmt: skip
    affine = solution.affine or Affine.free(type(solution.law))
    _require_slopes(solution, runs)
    sandwiched = recipe.spread_for(runs.loss.size) is Spread.SANDWICH
    covariance = sandwich(solution, runs) if sandwiched else _normal(solution, runs, affine, said)
    df = max(runs.loss.size - affine.matrix.shape[1], SMALLEST_DF)
    return Estimate(solution, covariance, df, solution.scale, 0.0, data.frontier, data.kept, data.refused)


def _require_slopes(solution: Solution, runs: Sample) -> None:
    """Refuse an optimum at which letters have run so far that the law's slopes are no numbers."""
    law = type(solution.law)
    if not all(np.isfinite(part).all() for part in solution.gradient(*runs.columns(law.variables))):
        raise InputError(
            f"{runs.name}: the {law.name} law's letters run beyond all bounds on these runs",
            "hold one (--fix), bound one (--bound), or fit a law with fewer letters",
        )


def _one_run(solution: Solution, runs: Sample, error: ModelError) -> float:
    """The sd of ln loss of one new run: normal noise of it would hold nine tenths of the residuals, large runs foremost.

    The residual scale is robust and of configurations' means: it leaves out stragglers, and what replicates average.
    """
    residual = np.log(runs.loss) - solution.gradient(runs.params, runs.tokens)[0][0]
    told = information_of(runs)
    worth = error.faded(np.log(runs.params) + np.log(runs.tokens)) * (1.0 if told is None else told)
    far = float(np.quantile(np.abs(residual), HELD, weights=worth, method="inverted_cdf"))
    used = int((worth > 0).sum())
    spent = math.sqrt(used / max(used - solution.theta.size, 1))
    return max(solution.scale, spent * far / float(ndtri(0.5 + HELD / 2)))


def information_of(runs: Sample) -> Array | None:
    """What each run tells `(n_runs,)`: its weight over its noise variance, that of the median run being 1.

    Branches of one trunk share noise: b of them tell b / (1 + (b - 1) rho) runs' worth (Kish's design effect).
    """
    factors = [one for one in (runs.weight, _unshared(runs)) if one is not None]
    if runs.noise is not None:
        factors.append((np.median(runs.noise) / runs.noise) ** 2)
    return np.prod(factors, axis=0) if factors else None


def _unshared(runs: Sample) -> Array | None:
    """1 / (1 + (b - 1) rho) for each run, b the branches of its trunk; None where no two share one."""
    trunk = runs.trunk
    if trunk is None:
        return None
    _, index, branches = np.unique(trunk, return_inverse=True, return_counts=True)
    shared = np.where(trunk == "", 1, branches[index])
    return np.asarray(1 / (1 + (shared - 1) * TRUNK_CORRELATION)) if (shared > 1).any() else None


def _normal(solution: Solution, runs: Sample, affine: Affine, said: Constraints) -> Array:
    """Inverse of the robust objective's curvature over the residual variance, with what the user believes."""
    f, J = solution.gradient(*runs.columns(type(solution.law).variables))
    precision = information_of(runs)
    told = np.ones(runs.loss.size) if precision is None else precision
    quiet = 1.0 if runs.noise is None else np.median(runs.noise) / runs.noise
    weight = (
        told
        * majorising_weight(quiet * (linked(type(solution.law), runs.loss) - f[0]), solution.delta)
        / solution.scale**2
    )
    information = np.einsum("pm,m,qm->pq", J[0], weight, J[0])
    if said.letter_prior is not None:
        forms = said.letter_prior.forms(type(solution.law), solution.centre)
        information = information + forms.rows.T @ (forms.sd[:, None] ** -2 * forms.rows)
    return affine.covariance(information)


def t_quantile(level: float, df: float) -> float:
    """Half-width of a central `level` interval in standard deviations."""
    return float(stdtrit(df, 0.5 + level / 2))
