"""Best size and tokens under terms (serving, limited data, limits of size), from a fit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from planner.decisions.allocation import Allocation, flops_at, positive, reached_at
from planner.decisions.terms import PLAIN, Choice, Terms, Worth, best_for_budget, best_for_loss
from planner.decisions.waste import waste_at
from planner.errors import InputError
from planner.fitting.fit import Fit
from planner.fitting.predict import Prediction, predict, support
from planner.laws.centre import Array
from planner.laws.law import Law


@dataclass(frozen=True)
class Listed:
    """One of the sizes to be had: its tokens, loss and whole cost, the fraction wasted beside a free choice of size (all
    missing where it cannot be had), and `best_in`, the part of the fit's draws in which it is the best of them.
    """

    params: float
    tokens: float
    loss: float
    total_flops: float
    waste: float
    best_in: float


@dataclass(frozen=True)
class Within:
    """The best size under terms, beside what training alone would choose for the same budget or loss.

    `total_flops` is training and serving together, in training FLOPs, `total_interval` its interval where a loss was asked
    for (infinity: no compute reaches it). `served_share` is serving's part of it, `epochs` how often unique data are seen
    (missing without a limit of data). `unaware` is the choice that knows of no terms, `unaware_waste` the fraction of the
    total that it would waste under them (missing where it cannot be had at all); `limit_waste` is what limits of size cost.
    """

    best: Allocation
    total_flops: float
    total_interval: tuple[float, float] | None
    served_share: float
    epochs: float | None
    epochs_interval: tuple[float, float] | None
    unaware: Choice
    unaware_waste: float
    limit_waste: float
    listed: tuple[Listed, ...]


def allocate_within(
    fit: Fit, terms: Terms = PLAIN, *, flops: float | None = None, loss: float | None = None, spread: float = 0.0
) -> Within:
    """The best size and tokens under `terms` for a total of `flops` training FLOPs, or of least total for a `loss`.

    `spread` is the sd of ln flops, where hours or dollars only buy about so many. Raises InputError where no size meets
    the terms.
    """
    plain = _plain(fit, flops, loss)
    chosen = _choice(fit.law, terms, flops, loss)
    if chosen is None:
        raise _impossible(fit.law, terms, flops, loss)
    drawn = _draw_choices(fit, terms, flops, loss, spread)
    best = _allocation(fit, terms, chosen, drawn, spread)
    free = chosen if terms == terms.free else _choice(fit.law, terms.free, flops, loss)
    epochs = None if terms.repeats is None else chosen.tokens / terms.repeats.unique_tokens
    return Within(
        best=best,
        total_flops=chosen.total,
        total_interval=None if loss is None else _ends(fit, np.array([each.total for each in drawn]), chosen.total),
        served_share=float(terms.served.flops(np.array(chosen.params))) / chosen.total,
        epochs=epochs,
        epochs_interval=None
        if terms.repeats is None
        else _scaled(best.intervals["tokens"], terms.repeats.unique_tokens),
        unaware=plain,
        unaware_waste=0.0 if terms == PLAIN else _unaware_waste(fit.law, plain, terms, chosen, loss),
        limit_waste=_limit_waste(fit.law, terms, chosen, free, loss),
        listed=tuple(_listed(fit.law, terms, size, flops, loss, drawn) for size in terms.allowed),
    )


def _plain(fit: Fit, flops: float | None, loss: float | None) -> Choice:
    """What nothing but the budget, or the loss, would choose; refuses what `allocate` and `flops_for` refuse."""
    if (flops is None) == (loss is None):
        raise InputError("give one of flops and loss", "a budget to split, or a loss to reach")
    total = reached_at(fit, loss or 0.0) if flops is None else positive(flops)
    best = fit.law.optimum(total)
    return Choice(best.params, best.tokens, float(fit.law(*best)), total)


def _choice(law: Law, terms: Terms, flops: float | None, loss: float | None) -> Choice | None:
    if terms != PLAIN:
        return best_for_loss(law, loss, terms) if loss is not None else best_for_budget(law, flops or 0.0, terms)
    total = flops_at(law, loss) if loss is not None else flops or 0.0
    if not math.isfinite(total):
        return None
    if total == 0:
        return Choice(math.nan, math.nan, math.nan, 0.0)  # any compute does better
    best = law.optimum(total)
    return Choice(best.params, best.tokens, float(law(*best)), total)


def _impossible(law: Law, terms: Terms, flops: float | None, loss: float | None) -> InputError:
    """Why no size meets the terms."""
    freed = terms != terms.free and _choice(law, terms.free, flops, loss)
    if freed:
        limit = ", ".join(f"{size:.4g}" for size in terms.allowed) or f"up to {terms.most_params:.4g}"
        goal = f"reaches a loss of {loss:g}" if loss is not None else f"can be served and trained for {flops:.4g} FLOPs"
        return InputError(
            f"no size among those allowed ({limit} params) {goal}; {freed.params:.4g} params would",
            "allow that size, or ask for less",
        )
    if loss is not None:
        return InputError(
            f"no size reaches a loss of {loss:g} on {terms.repeats.unique_tokens if terms.repeats else math.inf:.4g} unique "
            "tokens, however often they are repeated", "ask for a higher loss, or find more data",
        )  # fmt: skip
    return InputError(
        f"{flops:.4g} FLOPs cannot serve {terms.served.tokens:.4g} tokens of any model",
        "raise the budget, or serve fewer",
    )


def _draw_choices(fit: Fit, terms: Terms, flops: float | None, loss: float | None, spread: float) -> list[Choice]:
    """The choice under each of the fit's draws; a draw without one counts as infinite cost."""
    laws = [type(fit.law).from_theta(draw, fit.centre) for draw in fit.uncertainty.draws]
    normal = ndtri((np.random.default_rng(0).permutation(len(laws)) + 0.5) / len(laws))
    budgets = [None if flops is None else flops * math.exp(spread * z) for z in normal]
    none = Choice(math.nan, math.nan, math.nan, math.inf)
    return [_choice(law, terms, budget, loss) or none for law, budget in zip(laws, budgets, strict=True)]


def _allocation(fit: Fit, terms: Terms, chosen: Choice, drawn: list[Choice], spread: float) -> Allocation:
    expected = _expected(fit, terms, chosen)
    supported, reason = support(fit, chosen.params, chosen.tokens)
    if terms.repeats is not None and chosen.tokens > terms.repeats.unique_tokens:
        reason += "; what repeats are worth is from a published sweep, not from this one"
    params, tokens = np.array([(each.params, each.tokens) for each in drawn if math.isfinite(each.params)]).T
    return Allocation(
        flops=chosen.total - float(terms.served.flops(np.array(chosen.params))),
        count=fit.counted,
        params=chosen.params,
        tokens=chosen.tokens,
        tokens_per_param=chosen.tokens / chosen.params,
        loss=expected.loss,
        intervals={
            "params": fit.interval(params, chosen.params),
            "tokens": fit.interval(tokens, chosen.tokens),
            "tokens_per_param": fit.interval(tokens / params, chosen.tokens / chosen.params),
            "loss": _loss_interval(fit, terms, chosen, expected, spread),
        },
        level=fit.level,
        supported=supported,
        reason=reason,
    )


def _expected(fit: Fit, terms: Terms, chosen: Choice) -> Prediction:
    params, tokens = Worth.of(fit.law, terms).effective(np.array([chosen.params]), np.array([chosen.tokens]))
    return predict(fit, params=float(params[0]), tokens=float(tokens[0]))


def _loss_interval(fit: Fit, terms: Terms, chosen: Choice, expected: Prediction, spread: float) -> tuple[float, float]:
    """The interval of the mean; where the compute itself is uncertain, its part added in quadrature."""
    low, high = (math.log(edge / expected.loss) for edge in expected.interval_mean)
    if spread:
        far = spread * float(ndtri(0.5 + fit.level / 2))
        ends = [best_for_budget(fit.law, chosen.total * math.exp(sign * far), terms) for sign in (1, -1)]
        more, less = (0.0 if end is None else math.log(end.loss / chosen.loss) for end in ends)
        low, high = -math.hypot(low, more), math.hypot(high, less)
    return expected.loss * math.exp(low), expected.loss * math.exp(high)


def _ends(fit: Fit, drawn: Array, point: float) -> tuple[float, float]:
    tail = (1 - fit.level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")  # infinities cannot be averaged
    return min(float(low), point), max(float(high), point)


def _scaled(interval: tuple[float, float], by: float) -> tuple[float, float]:
    return interval[0] / by, interval[1] / by


def _unaware_waste(law: Law, plain: Choice, terms: Terms, chosen: Choice, loss: float | None) -> float:
    """What the size chosen without terms costs more under them."""
    if loss is None:
        return waste_at(law, plain.params, chosen.total, terms)
    tokens = float(Worth.of(law, terms).tokens_for(np.array([plain.params]), loss)[0])
    total = float(terms.served.total(np.array(plain.params), np.array(tokens)))
    free = best_for_loss(law, loss, terms.free)
    return math.nan if free is None or not math.isfinite(total) else max(0.0, 1 - free.total / total)


def _limit_waste(law: Law, terms: Terms, chosen: Choice, free: Choice | None, loss: float | None) -> float:
    if terms == terms.free or free is None:
        return 0.0
    if loss is not None:
        return max(0.0, 1 - free.total / chosen.total)
    return waste_at(law, chosen.params, chosen.total, terms)


def _listed(
    law: Law, terms: Terms, size: float, flops: float | None, loss: float | None, drawn: list[Choice]
) -> Listed:
    best_in = float(np.mean([each.params == size for each in drawn]))
    only = replace(terms, sizes=(size,))
    found = _choice(law, only, flops, loss)
    if found is None or not math.isfinite(found.total):
        return Listed(size, math.nan, math.nan, math.nan, math.nan, best_in)
    waste = _limit_waste(law, only, found, _choice(law, terms.free, flops, loss), loss)
    return Listed(size, found.tokens, found.loss, found.total, waste, best_in)
