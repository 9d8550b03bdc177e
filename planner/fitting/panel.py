"""Several laws on the same runs, ranked by what they foretold of larger ones: never by how well they fit."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace

import numpy as np

from planner.errors import InputError
from planner.fitting.backtest import splits
from planner.fitting.estimate import Estimate, estimate, t_quantile
from planner.fitting.finding import FURTHER, Finding, warning
from planner.fitting.interval import Uncertainty
from planner.fitting.objective import AdaptiveHuber
from planner.fitting.order import order_of
from planner.fitting.recipe import Recipe, Spread
from planner.laws import find_law
from planner.laws.law import Law, of_size_and_data
from planner.laws.link import linked
from planner.laws.scale import Scale
from planner.runs.sample import Sample

# Laws whose columns a table may have; forms that are another's in other letters (skaling, over-training) are not twice here,
# and Farseer is not among them: few sweeps identify its nine letters (mean error on hidden runs 1.3 to 16 % where the best law
# has .8 to 1.7 %), and its fits take 20 to 38 s a sweep where all the others together take 1.5 s.
CANDIDATES = ("chinchilla", "chinchilla-tied", "kaplan", "data-constrained", "repeat-penalty", "three-term")
COMPETITIVE = 1.1  # times the lowest error, up to which a law could as well be the right one
SHARPNESS = 16  # a law counts as (lowest error / its error)^16: .2 at 1.1 times the lowest
MANY = 5000  # rows up to which rivals are fitted


@dataclass(frozen=True)
class Rival:
    """One law's record on hidden larger runs, and what it says of ten times the compute.

    `error` is the mean absolute error of ln loss over `hidden` runs; `loss` and `params` are its forecast and best size at
    FURTHER times the largest compute (None for a law that says nothing of it, or has no best split).
    """

    law: str
    error: float
    hidden: int
    loss: float | None
    params: float | None


def panel(sample: Sample, recipe: Recipe, fitted: Estimate) -> tuple[Rival, ...]:
    """The recipe's own law and every candidate that the columns suit, best record first; empty where none can be kept."""
    if sample.loss.size > MANY or not of_size_and_data(recipe.law):
        return ()
    order = order_of(sample, recipe.law)
    own = None if order is None else rival_of(sample, recipe, fitted, order)
    if own is None or order is None:
        return ()
    found = [own]
    for name in CANDIDATES:
        law = find_law(name)
        if name == recipe.law.name or not set(law.variables) <= set(sample.named):
            continue
        with contextlib.suppress(InputError):  # runs that cannot identify a rival say nothing of it
            textbook = Recipe(law, AdaptiveHuber(), None, Spread.NORMAL)
            rival = rival_of(sample, textbook, estimate(sample, textbook), order)
            found += [] if rival is None else [rival]
    return tuple(sorted(found, key=lambda rival: rival.error))


def rival_of(sample: Sample, recipe: Recipe, fitted: Estimate, order: Scale) -> Rival | None:
    """The record of a recipe on runs hidden by `order`; `fitted` is its estimate of all runs. None where none can be hidden."""
    errors = []
    for training, hidden in splits(sample, recipe.law, order):
        law, seen = recipe.law, estimate(training, recipe)
        errors.append(np.abs(seen.predict(*hidden.columns(law.variables))[0] - linked(law, hidden.loss)))
    if not errors:
        return None
    error = np.concatenate(errors)
    loss, params = _ahead(
        fitted.solution.law, FURTHER * float(order.of(sample.named).max()) if order.is_compute else None
    )
    return Rival(recipe.law.name, float(error.mean()), error.size, loss, params)


def _ahead(law: Law, flops: float | None) -> tuple[float | None, float | None]:
    if flops is not None and law.variables == ("flops",):
        return float(law(flops)), None
    if flops is None or not of_size_and_data(type(law)):
        return None, None
    try:
        best = law.optimum(flops)
    except InputError:
        return None, None
    return float(law(*best)), best.params


def competitive(rivals: tuple[Rival, ...]) -> list[Rival]:
    """Those whose record is within a tenth of the best, among laws that speak of a best split."""
    known = [rival for rival in rivals if rival.loss is not None]
    lowest = min((rival.error for rival in known), default=0.0)
    return [rival for rival in known if rival.error <= COMPETITIVE * lowest]


def disagreement(rivals: tuple[Rival, ...], own: str) -> float:
    """How far the laws' forecasts lie from the own law's: sd of ln loss per nat of compute, good records counting more."""
    known = [(rival.error, rival.loss) for rival in rivals if rival.loss is not None]
    mine = next((rival.loss for rival in rivals if rival.law == own), None)
    if mine is None or len(known) < 2:
        return 0.0
    error, loss = np.array(known).T
    weight = (error.min() / error) ** SHARPNESS
    variance = float((weight * np.log(loss / mine) ** 2).sum() / weight.sum())
    return math.sqrt(variance) / math.log(FURTHER)


def judge_choice(rivals: tuple[Rival, ...], own: str, interval: tuple[float, float] | None) -> tuple[Finding, ...]:
    """A warning when a law with as good a record puts the best size outside the own law's interval of it."""
    outside = [
        rival for rival in competitive(rivals)
        if rival.law != own and interval is not None and rival.params is not None
        and not interval[0] <= rival.params <= interval[1]
    ]  # fmt: skip
    if not outside or interval is None:
        return ()
    told = ", ".join(f"{rival.law} at {rival.params:.3g}" for rival in outside)
    sentence = (
        f"the choice of law moves the best size at {FURTHER:g}x the compute by more than its interval ({interval[0]:.3g} to "
        f"{interval[1]:.3g}): {told}, with as good a record on hidden runs; "
        "intervals of the loss beyond the largest run reach theirs"
    )
    return (warning("law-choice", sentence, "spread tokens per parameter at the largest sizes to tell the laws apart"),)


def reaching(known: Uncertainty, rivals: tuple[Rival, ...], own: str, half: float, level: float) -> Uncertainty:
    """The uncertainty with just the drift at which the interval of the mean reaches every law of as good a record.

    `half` is the half-width (of ln loss) of the `level` interval at the own law's best split of FURTHER times the compute.
    Nothing changes where it holds their forecasts already.
    """
    mine = next((rival.loss for rival in rivals if rival.law == own), None)
    if mine is None:
        return known
    far = max((abs(math.log(rival.loss / mine)) for rival in competitive(rivals) if rival.loss), default=0.0)
    if far <= half:
        return known
    more = math.sqrt(far**2 - half**2) / t_quantile(level, known.df) / math.log(FURTHER)
    return replace(known, drift=math.hypot(known.drift, more))


def with_disagreement(known: Uncertainty, rivals: tuple[Rival, ...], own: str) -> Uncertainty:
    """The uncertainty with the disagreement of the laws added to the drift beyond the largest run."""
    return replace(known, drift=math.hypot(known.drift, disagreement(rivals, own)))
