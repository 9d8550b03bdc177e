"""Loss on one domain by the shares of training data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner.errors import InputError
from planner.laws.centre import Array
from planner.laws.formula.from_formula import FromFormula
from planner.laws.published.example import Example, Limit
from planner.laws.published.family import law_class

_DOC = """L = c + k exp(sum over j of t_j share_j): the loss on one validation domain by the mixture of {count} domains.

    The shares of the training tokens sum to one, so the last domain ({last}) has no letter: k is its pure loss above c,
    and t_j compares domain j with it (below zero: it helps more). L, c, k in nats per token; t_j per unit of share. All
    data from the last domain give c + k, all from domain j c + k exp(t_j).
    Source: Ye et al. 2024, arXiv 2403.16952 (the form read in notes that quote it; its coefficients belong to
    one model size and set of domains, so none are given).
    """


def data_mixture(domains: Sequence[str]) -> type[FromFormula]:
    """The law of a named set of domains, with one column share_NAME for each but the last; InputError for fewer than two."""
    if len(domains) < 2 or len(set(domains)) < len(domains):
        raise InputError(f"{', '.join(domains) or 'nothing'} is no mixture", "name two or more different domains")
    *compared, last = domains
    letters = [f"t_{domain}" for domain in compared]
    exponent = " + ".join(f"t_{domain}*share_{domain}" for domain in compared)
    nothing = {f"share_{domain}": 0.0 for domain in compared}
    pure = Limit({**nothing, f"share_{compared[0]}": 1.0}, f"c + k*exp({letters[0]})")
    typical = {letter: 0.6 - 1.1 * j for j, letter in enumerate(letters)}
    contents: dict[str, object] = {
        "__doc__": _DOC.format(count=len(domains), last=last),
        "name": "data-mixture",
        "formula": f"c + k*exp({exponent})",
        "variables": tuple(nothing),
        "source": "Ye et al. 2024, arXiv 2403.16952",
        "plain": frozenset(letters),
        "bounds": dict.fromkeys(letters, (-20.0, 20.0)),
        "example": Example(
            letters={"c": 1.6, "k": 1.2, **typical},
            columns=_mixtures(list(nothing)),
            limits=(Limit(nothing, "c + k"), pure),
        ),
    }
    return law_class("DataMixture", ["c", "k", *letters], contents)


def _mixtures(columns: list[str]) -> dict[str, Array]:
    """Random mixtures `(40,)`, fixed, with the last domain's share left out."""
    shares = np.random.default_rng(0).dirichlet(np.ones(len(columns) + 1), 40)
    return {name: shares[:, j] for j, name in enumerate(columns)}


DataMixture = data_mixture(("web", "code", "books"))
