"""`--law auto` on runs without params or tokens: the listed law with the best forecasts among those that suit the columns."""

from __future__ import annotations

from dataclasses import replace

from planner.errors import InputError
from planner.fitting.checks import require_identifiable, require_moved
from planner.fitting.columns import lacks, laws_for, missing_columns
from planner.fitting.estimate import estimate
from planner.fitting.finding import Finding, note
from planner.fitting.objective import AdaptiveHuber
from planner.fitting.panel import Rival, rival_of
from planner.fitting.recipe import Recipe, Spread
from planner.laws import find_law
from planner.laws.scale import LOGGED, Scale, scale_of
from planner.runs.sample import Sample

# Taken first where no run can be hidden: with a floor, without which a law of few runs promises too much further out.
FIRST = ("compute-power-floor", "size-power-floor", "data-power-floor")


def for_columns(sample: Sample, recipe: Recipe) -> tuple[Recipe, tuple[Rival, ...], tuple[Finding, ...]]:
    """The recipe to fit, the laws that were ranked for it, and a note; the recipe itself where its law suits or was named.

    Ranked are the listed laws whose variables the runs have, by their errors on the same hidden larger runs; raises
    InputError where none suits, or the runs identify none.
    """
    lacking = missing_columns(recipe.law, sample.named)
    if not recipe.automatic or not lacking:
        return recipe, (), ()
    suited = laws_for(sample.named, sample.target)
    if not suited:
        raise lacks(sample.name, recipe.law, lacking, suited, sample.named)
    order = _order(sample, suited)
    fitted, rivals = _records(sample, [textbook(recipe, name) for name in suited], order)
    best = rivals[0].law if rivals else next((name for name in FIRST if name in fitted), next(iter(fitted)))
    return fitted[best], rivals, (note("law-auto", _told(sample, lacking, list(fitted), rivals, best)),)


def textbook(recipe: Recipe, name: str) -> Recipe:
    """The same settings with another law, no prior, and a bootstrap where the interval was that of the default recipe."""
    spread = Spread.BOOTSTRAP if recipe.spread is Spread.POSTERIOR else recipe.spread
    objective = AdaptiveHuber() if recipe.model_error is not None else recipe.objective
    return replace(
        recipe, law=find_law(name), objective=objective, spread=spread, model_error=None, automatic=False
    )  # fmt: skip


def _order(sample: Sample, suited: list[str]) -> Scale | None:
    """One order for all, so that they are judged on the same hidden runs: compute, else the scale of the first that has one."""
    if "flops" in sample.named:
        return LOGGED
    return next((scale for name in suited if (scale := scale_of(find_law(name))) is not None), None)


def _records(sample: Sample, recipes: list[Recipe], order: Scale | None) -> tuple[dict[str, Recipe], tuple[Rival, ...]]:
    """Those that the runs identify, by name, and their records, best first; raises the first reason when there is none."""
    fitted: dict[str, Recipe] = {}
    rivals, refused = [], []
    for recipe in recipes:
        try:
            require_identifiable(sample, recipe.law)
            whole = estimate(sample, recipe)
            require_moved(sample, whole)
        except InputError as error:
            refused.append(error)
            continue
        fitted[recipe.law.name] = recipe
        rival = None if order is None else rival_of(sample, recipe, whole, order)
        rivals += [] if rival is None else [rival]
    if not fitted:
        raise refused[0]
    return fitted, tuple(sorted(rivals, key=lambda rival: rival.error))


def _told(sample: Sample, lacking: list[str], fitted: list[str], rivals: tuple[Rival, ...], best: str) -> str:
    why = f"the runs have no {' and no '.join(lacking)}"
    if len(fitted) == 1:
        return f"{why}: {best} is the one law for their columns"
    if not rivals:
        return (
            f"{why}: of the laws for their columns ({', '.join(fitted)}) {best} was taken, and too few runs to hide any"
        )
    return (
        f"{why}: of the laws for their columns ({', '.join(fitted)}) {best} foretold the {rivals[0].hidden} hidden runs best, "
        f"by {rivals[0].error:.2%} on average"
    )
