"""How large a run is, as a law sees it: the one number by which small runs are told from the large ones to be foretold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from planner.laws.centre import Array
from planner.laws.formula.from_formula import FromFormula
from planner.laws.formula.linear import raised_variables
from planner.laws.law import Law

SIZES = ("params", "params_active", "params_total", "params_non_embedding")
DATA = (("tokens",), ("batch_tokens", "steps"))  # training tokens, as logged or as their factors
ALONE = (*DATA, ("steps",), ("lr_area",))  # what grows in the course of one run, where a law speaks of no size


class Scale(NamedTuple):
    """`times` x the product of `columns`, raw; `falls`: one over it, where large runs have less of it (loss).

    `name` is what people call it; only that of compute is in FLOPs.
    """

    name: str
    columns: tuple[str, ...]
    times: float = 1.0
    falls: bool = False

    @property
    def is_compute(self) -> bool:
        """Whether it counts FLOPs."""
        return self.name == COMPUTE

    def of(self, named: Mapping[str, ArrayLike]) -> Array:
        """How large runs are `(m,)`, from raw columns by name."""
        first, *rest = (np.asarray(named[column], float) for column in self.columns)
        value = self.times * first
        for column in rest:
            value = value * column
        return np.asarray(1 / value if self.falls else value)

    def moved(self, at: Mapping[str, float], factor: Array) -> dict[str, Array]:
        """The columns of a point grown to `factor` `(m,)` times its scale, all alike; others stay."""
        each = factor ** ((-1 if self.falls else 1) / len(self.columns))
        return {name: value * (each if name in self.columns else np.ones_like(factor)) for name, value in at.items()}

    def shown(self, value: ArrayLike) -> Array:
        """Values of it as people know them: the loss itself, not one over it."""
        return np.asarray(1 / np.asarray(value, float) if self.falls else value, float)

    def told(self, value: float) -> str:
        """A value of it in words: "1e+22 FLOPs", "params 3e+09", "loss 2.4"."""
        return f"{value:.3g} FLOPs" if self.is_compute else f"{self.name} {float(self.shown(value)):.3g}"


COMPUTE = "compute"
LOGGED = Scale(COMPUTE, ("flops",))


def log_scale(law: type[Law], named: Mapping[str, ArrayLike]) -> Array:
    """ln of a law's own scale at raw columns by name `(m,)`; zero for a law without one, for which nothing lies beyond."""
    own = scale_of(law)
    return np.zeros(np.size(named[law.variables[0]])) if own is None else np.log(own.of(named))


def scale_of(law: type[Law]) -> Scale | None:
    """The scale of a law's own variables, or None where they do not order runs (learning rates, shares of data).

    Compute where it speaks of FLOPs, or of size and data (6 x params x tokens); else size, data, steps or area of the
    schedule alone; for a law of loss the loss, downwards; else the one variable that its formula raises to a fitted power.
    """
    spoken = set(law.variables)
    if "flops" in spoken:
        return LOGGED
    size = next((name for name in SIZES if name in spoken), None)
    data = next((names for names in DATA if spoken.issuperset(names)), None)
    if size and data:
        return Scale(COMPUTE, (size, *data), 6.0)
    if size:
        return Scale(size, (size,))
    alone = next((names for names in ALONE if spoken.issuperset(names)), None)
    if alone:
        return Scale(" x ".join(alone), alone)
    if "loss" in spoken:
        return Scale("loss", ("loss",), falls=True)
    raised = raised_variables(law.reading().root, law.letters) if issubclass(law, FromFormula) else ()
    return Scale(raised[0], raised) if len(raised) == 1 else None
