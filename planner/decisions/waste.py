"""The price of being wrong: compute that a size beside the best one wastes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planner.decisions.terms import CLOSED_FORM, PLAIN, Terms, Worth, best_for_budget, best_for_loss, coupling
from planner.fitting.fit import Fit
from planner.laws import Chinchilla, Coupled
from planner.laws.centre import Array
from planner.laws.law import Law

FACTORS = (1.25, 1.5, 2.0)
SEARCHED_DRAWS = 60  # of a fit, where every waste is a search


@dataclass(frozen=True)
class Wrong:
    """Fraction of the budget wasted by a size `factor` too small and too large, each with its interval.

    A value is missing where a size so large leaves no budget to train it.
    """

    factor: float
    too_small: float
    too_small_interval: tuple[float, float]
    too_large: float
    too_large_interval: tuple[float, float]


@dataclass(frozen=True)
class PriceOfError:
    """What is lost by a size that is not the best: by so many times, and, `expected`, by choosing on what the fit does
    not know: its mean over the fit's draws, and the fraction that it stays below in `level` of them.
    """

    wrong: tuple[Wrong, ...]
    expected: float
    seldom_above: float
    level: float


def price_of_error(fit: Fit, *, params: float, total: float, terms: Terms = PLAIN) -> PriceOfError:
    """What being wrong about the best size costs, for a choice of `params` at a budget of `total` training FLOPs."""
    terms = terms.free
    laws = drawn_laws(fit, terms)
    best = _best_params(fit.law, total, terms)
    rows = []
    for factor in FACTORS:
        small, large = (_wasted(fit.law, best * times, total, terms, best) for times in (1 / factor, factor))
        drawn = np.array([_off(law, total, terms, factor) for law in laws]).T
        rows.append(Wrong(factor, small, _interval(fit, drawn[0], small), large, _interval(fit, drawn[1], large)))
    lost = np.array([_wasted(law, params, total, terms) for law in laws])
    lost = lost[np.isfinite(lost)]
    return PriceOfError(tuple(rows), float(lost.mean()), float(np.quantile(lost, fit.level)), fit.level)


def drawn_laws(fit: Fit, terms: Terms = PLAIN) -> list[Law]:
    """The laws of the fit's draws: all of them where formulas do the rest, some where every question is a search."""
    quick = isinstance(fit.law, CLOSED_FORM) and terms == PLAIN
    draws = fit.uncertainty.draws if quick else fit.uncertainty.draws[:SEARCHED_DRAWS]
    return [type(fit.law).from_theta(draw, fit.centre) for draw in draws]


def waste_of_factor(law: Chinchilla | Coupled, factor: float) -> float:
    """Fraction of a budget wasted by a size `factor` times the best one (below 1: too small), at the same compute.

    1 - R^(-k (a + b) / (a b)), R = (b f^(-a/k) + a f^(b/k)) / (a + b), a = alpha, b = beta. For f near 1 it is
    1 - exp(-(a + b) / (2 k) ln^2 f): `waste_nearby`.
    """
    a, b, k = law.alpha, law.beta, coupling(law)
    log_f = math.log(factor)
    log_R = float(np.logaddexp(math.log(b) - a / k * log_f, math.log(a) + b / k * log_f)) - math.log(a + b)
    return -math.expm1(-k * (a + b) / (a * b) * log_R)


def waste_nearby(law: Chinchilla | Coupled, factor: float) -> float:
    """1 - exp(-(alpha + beta) / (2 k) ln^2 f): `waste_of_factor` to second order in ln f, the same either way."""
    return -math.expm1(-(law.alpha + law.beta) / (2 * coupling(law)) * math.log(factor) ** 2)


def waste_at(law: Law, params: float, total: float, terms: Terms = PLAIN) -> float:
    """Fraction of `total` that the best size would need less for the loss that `params` reaches with it, by search.

    Missing where serving `params` alone costs more.
    """
    tokens = float(terms.served.trained(np.array(params), total))
    if not tokens > 0:
        return math.nan
    loss = float(Worth.of(law, terms).loss(np.array([params]), np.array([tokens]))[0])
    needed = best_for_loss(law, loss, terms.free)
    return math.nan if needed is None else max(0.0, 1 - needed.total / total)


def _best_params(law: Law, total: float, terms: Terms) -> float:
    if terms == PLAIN:
        return law.optimum(total).params
    found = best_for_budget(law, total, terms)
    return math.nan if found is None else found.params


def _wasted(law: Law, params: float, total: float, terms: Terms, best: float | None = None) -> float:
    if isinstance(law, CLOSED_FORM) and terms == PLAIN:
        return waste_of_factor(law, params / (law.optimum(total).params if best is None else best))
    return waste_at(law, params, total, terms) if math.isfinite(params) else math.nan


def _off(law: Law, total: float, terms: Terms, factor: float) -> tuple[float, float]:
    """Waste of a size too small and too large by `factor` under one drawn law."""
    best = _best_params(law, total, terms)
    return _wasted(law, best / factor, total, terms, best), _wasted(law, best * factor, total, terms, best)


def _interval(fit: Fit, drawn: Array, point: float) -> tuple[float, float]:
    drawn = drawn[np.isfinite(drawn)]
    if not (drawn.size and math.isfinite(point)):
        return math.nan, math.nan
    tail = (1 - fit.level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return min(float(low), point), max(float(high), point)
