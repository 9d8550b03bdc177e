"""Optimizers, data or architectures as factors on size and data, with shared exponents."""

from __future__ import annotations

from collections.abc import Sequence

from planner.errors import InputError
from planner.laws.centre import Array
from planner.laws.formula.from_formula import FromFormula
from planner.laws.published.example import Example, Limit, crossed, spaced
from planner.laws.published.family import law_class

_DOC = """L = E + A / (rho_N params)^alpha + B / (rho_D tokens)^beta: {names} against the rest, with shared exponents.

    rho_N_G and rho_D_G say how many times more size and data one of group G is worth than one of the reference, whose
    rows have zero in every column is_G; a row of group G has one there. L, E in nats per token; A, B in nats x
    count^exponent; the others without unit. With endless params and tokens every group falls to E.
    Source: Volkova et al. 2026, arXiv 2602.07712 (optimizers; the form inferred from the paper's description). It reports
    rho_D 2.08 for Muon, 1.99 Scion, 2.57 SOAP against AdamW, rho_N about 1; the other letters were not read, so none
    are given.
    """


def group_factors(groups: Sequence[str]) -> type[FromFormula]:
    """The law of named groups beside a reference, with one column is_NAME for each; InputError for none."""
    if not groups or len(set(groups)) < len(groups):
        raise InputError(f"{', '.join(groups) or 'nothing'} is no list of groups", "name one or more different groups")
    names = [f"is_{group}" for group in groups]
    size = "*".join(["params", *(f"rho_N_{group}^is_{group}" for group in groups)])
    data = "*".join(["tokens", *(f"rho_D_{group}^is_{group}" for group in groups)])
    factors = [f"rho_{side}_{group}" for group in groups for side in ("N", "D")]
    typical = {letter: 1.0 + 0.3 * j for j, letter in enumerate(factors)}
    reference = dict.fromkeys(names, 0.0)
    first = {**reference, names[0]: 1.0}
    contents: dict[str, object] = {
        "__doc__": _DOC.format(names=", ".join(groups)),
        "name": "group-factors",
        "formula": f"E + A/({size})^alpha + B/({data})^beta",
        "variables": ("params", "tokens", *names),
        "source": "Volkova et al. 2026, arXiv 2602.07712",
        "bounds": dict.fromkeys(factors, (0.02, 50.0)),
        "example": Example(
            letters={"E": 1.8, "A": 480.0, "B": 2000.0, "alpha": 0.35, "beta": 0.37, **typical},
            columns=_rows(names),
            limits=(
                Limit(reference, "E + A/params^alpha + B/tokens^beta"),
                Limit(
                    first,
                    f"E + A/(params*rho_N_{groups[0]})^alpha + B/(tokens*rho_D_{groups[0]})^beta",
                ),
            ),
            falls=("params", "tokens"),
        ),
    }
    return law_class("GroupFactors", ["E", "A", "B", "alpha", "beta", *factors], contents)


def _rows(names: list[str]) -> dict[str, Array]:
    """The same sizes and tokens for the reference and every group."""
    group = tuple(float(j) for j in range(len(names) + 1))
    cells = crossed(params=spaced(5e7, 5e9, 6), tokens=spaced(1e9, 3e11, 6), group=group)
    return {**cells, **{name: 1.0 * (cells["group"] == j + 1) for j, name in enumerate(names)}}


GroupFactors = group_factors(("muon", "soap"))
