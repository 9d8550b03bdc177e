"""What is believed of a law before the next runs: laws that the design must suit, and what is known of its letters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.laws import Coupled
from planner.laws.centre import Array, Centre
from planner.laws.law import Law

DRAWS = 16

# Of the coupled law, at 1B parameters and 20B tokens: ln E, ln of both terms, alpha, beta, ln k. The spread of laws that the
# design must suit (as public fits spread); what need not be learned is the prior of the recipe that will fit the runs.
CENTRE = Centre((float(np.log(1e9)), float(np.log(2e10))))
COUPLED_MEAN = np.array([np.log(1.75), np.log(0.36), np.log(0.36), 0.34, 0.34, -0.5])
COUPLED_SPREAD = np.array([0.1, 0.5, 0.5, 0.08, 0.08, 0.3])
LETTER_SPREAD = 0.2  # of a published law's coordinates (letters of logs), where nothing says how its fits spread
WEAK = 5.0  # sd of a coordinate about a published law, in spreads


@dataclass(frozen=True)
class Belief:
    """`theta` `(K, p)` are draws of `law` in its coordinates about `centre`; `precision` `(p, p)` what is known of theta.

    The draws say where the design must be good, the precision what need not be learned any more.
    """

    law: type[Law]
    centre: Centre
    theta: Array
    precision: Array

    def gradient(self, *columns: Array) -> Array:
        """Derivative of ln loss (or of the value) in theta at raw columns `(m,)`, `(K, m, p)`."""
        derivative = self.law.gradient(self.theta, self.law.inputs(self.centre, *columns))[1]
        if not np.isfinite(derivative).all():
            raise InputError(
                f"the {self.law.name} law has no slopes at some candidate runs",
                "narrow the sizes and data, or the belief",
            )
        return np.ascontiguousarray(derivative.transpose(0, 2, 1))


def prior_belief(law: type[Law] = Coupled, *, draws: int = DRAWS) -> Belief:
    """Before any run: the coupled law as public sweeps spread, another law about its published coefficients.

    InputError for a law that nobody has published coefficients of: fit it to a few runs first.
    """
    if law is Coupled:
        sd = law.prior(np.zeros(1)).sd
        return Belief(law, CENTRE, spread_out(COUPLED_MEAN, COUPLED_SPREAD, draws, law), np.diag(sd**-2.0))
    if not law.published:
        raise InputError(
            f"no coefficients of the {law.name} law are published, so nothing says where its runs should lie",
            "fit it to a few runs first, or plan with --law coupled",
        )
    centre = CENTRE if law.variables == ("params", "tokens") else Centre(tuple(0.0 for _ in law.variables))
    known = np.array([law(**row.values).theta(centre) for row in law.published])
    spread = np.maximum(known.std(0), LETTER_SPREAD * np.minimum(1, np.abs(known).mean(0) + 0.1))
    return Belief(law, centre, spread_out(known.mean(0), spread, draws, law), np.diag((WEAK * spread) ** -2))


def fitted_belief(fit: Fit, *, draws: int = DRAWS) -> Belief:
    """After some runs: draws spread as the fit's covariance says, which holds what those runs have told.

    Pass no finished runs beside it: they are in the covariance already.
    """
    law, covariance = type(fit.law), fit.uncertainty.covariance
    values, vectors = np.linalg.eigh(covariance)
    kept = np.maximum(values, 1e-12 * values.max())
    theta = fit.theta + even_normal(draws, values.size) * np.sqrt(kept) @ vectors.T
    precision = vectors / kept @ vectors.T
    return Belief(law, fit.centre, np.clip(theta, law.lower, law.upper), np.asarray(precision))


def spread_out(mean: Array, sd: Array, draws: int, law: type[Law]) -> Array:
    """Even, repeatable draws `(K, p)` of independent normals, within the law's bounds."""
    return np.asarray(np.clip(mean + even_normal(draws, mean.size) * sd, law.lower, law.upper))


def even_normal(draws: int, dimension: int) -> Array:
    """Normal quantiles of a Kronecker sequence (generalised golden ratio), centred; the mean law alone for one draw."""
    ratio = 1.5
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (dimension + 1))
    points = (0.5 + np.arange(1, draws + 1)[:, None] / ratio ** np.arange(1, dimension + 1)) % 1
    normal = ndtri(points)
    return np.asarray(normal - normal.mean(0))
