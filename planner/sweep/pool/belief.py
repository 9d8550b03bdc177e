"""What is believed of any law before the next runs: draws of it, and how well its letters are known without those runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.errors import InputError
from planner.fitting.estimate import Estimate, estimate
from planner.fitting.recipe import Recipe
from planner.laws import Coupled
from planner.laws.centre import Array, Centre
from planner.laws.formula.balance import samples
from planner.laws.formula.from_formula import FromFormula
from planner.laws.law import Law
from planner.runs.sample import Sample
from planner.sweep.design.belief import LETTER_SPREAD, WEAK, Belief, even_normal, prior_belief

DRAWS = 16
TYPICAL = {"log": 3.0, "identity": 0.5}  # of what a law predicts (nats per token, an accuracy), where nothing is known
BALANCED = 64  # samples of a formula that nobody has published letters of
FAR_MORE = 10.0  # times the median draw's variance of the targets, beyond which a draw is left out
HELD = 1e-6  # sd of a coordinate that cannot vary


@dataclass(frozen=True)
class Known:
    """A belief whose precision leaves the observed runs out, what their fit says, and where it all comes from.

    `fitted` is None where no fit could be made: before any run, or with fewer than a law has letters.
    """

    belief: Belief
    fitted: Estimate | None
    sentence: str


def known_of(
    recipe: Recipe, observed: Sample | None, columns: Sequence[Array], targets: Sequence[Array], *, draws: int = DRAWS
) -> Known:
    """From the recipe's own fit of `observed`, else from a weak prior; `columns` and `targets` are the law's, raw.

    Draws at which the law has no slope at some candidate or target are left out; InputError when that is all of them.
    """
    law = recipe.law
    fitted, why = _fitted(recipe, observed)
    if fitted is None:
        found = weak_belief(law, columns, draws=draws)
        return Known(_sound(found, columns, targets), None, f"the prior of the {law.name} law{why}")
    law = type(fitted.solution.law)  # with the signs that the runs settled
    centre, theta = fitted.solution.centre, fitted.solution.theta
    sd = _prior_sd(law, recipe, observed, centre, columns)
    found = Belief(law, centre, _drawn(fitted, draws), np.diag(np.maximum(sd, HELD) ** -2.0))
    try:
        found = _sound(found, columns, targets)
    except InputError:
        found = _sound(Belief(law, centre, theta[None], found.precision), columns, targets)
    runs = 0 if observed is None else observed.loss.size
    return Known(found, fitted, f"the {law.name} law fitted to {runs} observed run{'s' if runs > 1 else ''}")


def weak_belief(law: type[Law], columns: Sequence[Array], *, draws: int = DRAWS) -> Belief:
    """Before any run: published or learned where there is something, else letters with which the formula's parts balance.

    The balance is taken at the candidates' `columns` with a value that laws of its kind have (3 nats per token, .5).
    """
    if law is Coupled or law.published:
        return prior_belief(law, draws=draws)
    if not issubclass(law, FromFormula):
        raise InputError(f"nothing is known of the {law.name} law before any run", "give some with --observed")
    x = law.inputs(None, *columns)
    drawn = samples(law.reading(), x, np.full(x.shape[1], TYPICAL[law.link]), BALANCED)
    mean, sd = np.median(drawn, axis=0), _spread(drawn)
    kept = drawn[np.linspace(0, BALANCED - 1, draws).astype(int)]
    return Belief(
        law, _no_centre(law), kept, np.diag(np.maximum(sd, LETTER_SPREAD * np.minimum(1, np.abs(mean) + 0.1)) ** -2.0)
    )


def _spread(drawn: Array) -> Array:
    """Robust sd of each coordinate, `(p,)`: half of what lies between the 16th and 84th of a hundred."""
    low, high = np.quantile(drawn, [0.16, 0.84], axis=0)
    return np.asarray((high - low) / 2)


def _no_centre(law: type[Law]) -> Centre:
    return Centre(tuple(0.0 for _ in law.variables))


def _fitted(recipe: Recipe, observed: Sample | None) -> tuple[Estimate | None, str]:
    """The recipe's estimate; None and why where the runs do not allow one."""
    if observed is None or observed.loss.size == 0:
        return None, ", as no run is observed"
    try:
        return estimate(observed, recipe), ""
    except InputError as error:
        return None, f", as no fit of it could be made: {error.message}"


def _drawn(fitted: Estimate, draws: int) -> Array:
    """Draws `(K, p)` as the fit's covariance says, even and repeatable, within the law's bounds."""
    law = type(fitted.solution.law)
    values, vectors = np.linalg.eigh(fitted.covariance)
    spread = even_normal(draws, values.size) * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    return np.asarray(np.clip(fitted.solution.theta + spread, law.lower, law.upper))


def _prior_sd(
    law: type[Law], recipe: Recipe, observed: Sample | None, centre: Centre, columns: Sequence[Array]
) -> Array:
    """What a letter is known to without the observed runs: the recipe's prior, else the law's weak one."""
    if recipe.model_error is not None and observed is not None:
        return np.minimum(law.prior(np.log(observed.loss)).sd, 1e3)
    if law.published and law is not Coupled:
        known = np.array([law(**row.values).theta(centre) for row in law.published])
        return np.asarray(WEAK * np.maximum(known.std(0), LETTER_SPREAD * np.minimum(1, np.abs(known).mean(0) + 0.1)))
    return np.asarray(np.diag(weak_belief(law, columns).precision) ** -0.5)


def _sound(belief: Belief, columns: Sequence[Array], targets: Sequence[Array]) -> Belief:
    """The belief without draws that have no slopes, or to which the targets are far less known than to most."""
    law = belief.law
    with np.errstate(all="ignore"):
        here = law.gradient(belief.theta, law.inputs(belief.centre, *columns))[1]
        there = law.gradient(belief.theta, law.inputs(belief.centre, *targets))[1]
        sd = 1 / np.sqrt(np.diag(belief.precision))
        variance = ((there * sd[:, None]) ** 2).sum(1).mean(1)
    finite = np.isfinite(here).all((1, 2)) & np.isfinite(variance)
    if not finite.any():
        raise InputError(
            f"the {law.name} law has no slopes at some candidate or target", "narrow the pool, or choose another law"
        )
    kept = finite & (variance <= FAR_MORE * np.median(variance[finite]))
    return Belief(law, belief.centre, belief.theta[kept], belief.precision)
