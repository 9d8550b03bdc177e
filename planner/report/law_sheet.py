"""What can be said of a law before any run is seen: its facts in one place for the command and its picture."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from planner.errors import InputError
from planner.laws.centre import Array, Centre
from planner.laws.formula.grammar import parse
from planner.laws.formula.linear import linear_letters
from planner.laws.formula.reading import fitted_part
from planner.laws.law import Law
from planner.laws.published.example import Example, Limit
from planner.laws.published.tied import TiedChinchilla

BUDGET = 1e24  # FLOPs, whose best split is shown
UNITS = {
    "params": "parameters, counted as the source says",
    "params_total": "every parameter",
    "params_active": "parameters used per token",
    "params_non_embedding": "parameters without embeddings and output head",
    "params_embedding": "parameters of the embeddings",
    "tokens": "training tokens seen, repeats counted",
    "tokens_unique": "different training tokens",
    "flops": "training FLOPs",
    "loss": "the loss that the source speaks of",
    "batch_tokens": "tokens per step",
    "steps": "optimizer steps",
    "lr_peak": "peak learning rate, as given to the optimizer",
    "lr_area": "sum of the learning rates of all steps so far",
    "anneal_area": "sum of a momentum of the rate's decreases so far",
    "n_experts": "experts in a layer",
    "experts_per_token": "experts used per token",
    "granularity": "width of a dense feed-forward layer over that of an expert",
    "streams": "parallel streams",
}
FAMILIES = {
    r"\w+_bits": "bits per number",
    r"share_(\w+)": r"share of \1 in the training tokens, 0 to 1",
    r"is_(\w+)": r"1 for runs of \1, else 0",
    r"drop_(\d+)": r"how far change \1 lowers the learning rate",
    r"rate_(\d+)": r"learning rate after change \1",
    r"area_(\d+)": r"sum of the learning rates since change \1",
}
SIZE_AND_DATA = {"params", "params_total", "params_active", "params_non_embedding", "tokens", "flops"}


@dataclass(frozen=True)
class Coordinate:
    """How a fit holds a letter, and between which values of that."""

    letter: str
    held: str
    low: float
    high: float
    linear: bool


@dataclass(frozen=True)
class CoefficientSet:
    """Letters of a paper."""

    source: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Split:
    """The best split of a budget by the letters of one source."""

    source: str
    flops: float
    params: float
    tokens: float


@dataclass(frozen=True)
class LawSheet:
    """All that `planner laws NAME` tells."""

    name: str
    topic: str
    formula: str
    predicts: str
    link: str
    source: str
    variables: tuple[str, ...]
    units: Mapping[str, str]
    letters: tuple[str, ...]
    coordinates: tuple[Coordinate, ...]
    description: str
    limits: tuple[Limit, ...]
    published: tuple[CoefficientSet, ...]
    optima: tuple[Split, ...]
    example: Mapping[str, float]
    example_source: str
    fit: str
    columns: tuple[str, ...]


def law_sheet(law: type[Law]) -> LawSheet:
    """The sheet of one law."""
    example, example_source = example_of(law)
    return LawSheet(
        name=law.name,
        topic=topic_of(law),
        formula=law.formula,
        predicts=predicted(law),
        link=law.link,
        source=law.source,
        variables=law.variables,
        units={name: unit_of(name) for name in law.variables},
        letters=law.letters,
        coordinates=coordinates(law),
        description=inspect.getdoc(law) or "",
        limits=example.limits,
        published=tuple(CoefficientSet(*each) for each in law.published),
        optima=optima(law, BUDGET),
        example=dict(example.letters),
        example_source=example_source,
        fit=f"planner fit runs.csv --law {law.name}",
        columns=(*law.variables, *(("loss",) if "loss" in predicted(law) else ())),
    )


def predicted(law: type[Law]) -> str:
    """What the law's value is, as its docstring says; of laws that say nothing it is the loss in nats per token."""
    text = " ".join((law.__doc__ or "").split())
    for pattern, form in (
        (r"The value is (?:an? )?(.+?)(?:, not a loss|, fitted as it is)?[.;:,]", "{}"),
        (r"\bL is (the loss .+?)[.;:]", "{}"),
        (r"\b[Ly](?:, \w+)* in (.+?)[.;:]", "loss in {}"),
    ):
        if found := re.search(pattern, text):
            return form.format(found.group(1))
    return "loss in nats per token"


def unit_of(variable: str) -> str:
    """What a column of runs counts; the user's own columns are numbers of no known unit."""
    for pattern, said in FAMILIES.items():
        if found := re.fullmatch(pattern, variable):
            return found.expand(said)
    return UNITS.get(variable, "a number")


def topic_of(law: type[Law]) -> str:
    """The heading that a law is listed under, by its variables and what it predicts."""
    used = set(law.variables)
    if used == {"loss"}:
        return "from loss to what tasks score"
    if "lr_area" in used:
        return "whole loss curves by their learning-rate schedule"
    if used & {"batch_tokens", "steps", "lr_peak"} or "loss" not in predicted(law):
        return "batch, steps and learning rate"
    if "tokens_unique" in used:
        return "repeated data"
    if used & {"n_experts", "granularity"}:
        return "mixtures of experts"
    return "size, data and compute" if used <= SIZE_AND_DATA else "what else changes the loss"


def coordinates(law: type[Law]) -> tuple[Coordinate, ...]:
    """Each letter with what theta holds of it, the bounds of that, and whether the formula is linear in it."""
    root = parse(law.formula.removeprefix("L = "))
    linear = linear_letters(fitted_part(root, logarithmic=law.link == "log"), law.letters)
    held = zip(law.letters, law.theta_names, law.lower, law.upper, strict=True)
    return tuple(Coordinate(name, theta, float(low), float(high), name in linear) for name, theta, low, high in held)


def optima(law: type[Law], flops: float) -> tuple[Split, ...]:
    """The best split of a budget by each published set, where the law has one."""
    found = []
    for source, values in law.published:
        try:
            found.append(Split(source, flops, *law(**values).optimum(flops)))
        except InputError:
            continue
    return tuple(found)


def example_of(law: type[Law]) -> tuple[Example, str]:
    """Typical letters and a design, and where the letters are from.

    A law without an example of its own has that of the tied law for its design, and for letters its first published set
    or else the middle of its prior.
    """
    own = getattr(law, "example", None)
    if isinstance(own, Example):
        return own, "typical values, not a fit"
    tied = TiedChinchilla.example
    if law.published:
        return Example(law.published[0].values, tied.columns), law.published[0].source
    columns: list[Array] = [tied.columns[name] for name in law.variables]
    prior = law.prior(np.log(TiedChinchilla(**tied.letters)(*columns)))
    return Example(vars(law.from_theta(prior.mean, Centre.of(*columns))), tied.columns), "the middle of its prior"
