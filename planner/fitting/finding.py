"""What a check says when it fires."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planner.errors import InputError
from planner.fitting.estimate import Estimate, estimate
from planner.fitting.objective import robust_scale
from planner.fitting.recipe import Recipe
from planner.laws.centre import Array
from planner.laws.law import Optimum
from planner.laws.link import linked
from planner.runs.sample import Sample

FURTHER = 10.0  # times the largest compute, at the law's best split: where checks ask what a change does


class Severity(StrEnum):
    """How much a finding should worry the reader."""

    NOTE = "note"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """A check that fired."""

    name: str
    severity: Severity
    sentence: str
    remedy: str


def warning(name: str, sentence: str, remedy: str) -> Finding:
    """A finding to act on."""
    return Finding(name, Severity.WARNING, sentence, remedy)


def note(name: str, sentence: str, remedy: str = "") -> Finding:
    """A finding to know of."""
    return Finding(name, Severity.NOTE, sentence, remedy)


class Fitted(NamedTuple):
    """What checks look at: all runs, those the window kept, the estimate and how it was made."""

    sample: Sample
    kept: Sample
    estimate: Estimate
    recipe: Recipe

    @property
    def residual(self) -> Array:
        """ln loss minus the law's, of the kept runs `(n_runs,)`."""
        law = type(self.estimate.solution.law)
        fitted = self.estimate.solution.gradient(*self.kept.columns(law.variables))[0][0]
        return np.asarray(linked(law, self.kept.loss) - fitted)

    @property
    def scale(self) -> float:
        """Robust sd of ln loss of single runs; the solution's own is of configurations' means under the default recipe."""
        solution = self.estimate.solution
        return max(solution.scale, robust_scale(self.residual, solution.theta.size))

    @property
    def logs(self) -> tuple[Array, Array]:
        """Centred ln params and ln tokens of the kept runs."""
        n, d = np.log(self.kept.params), np.log(self.kept.tokens)
        return n - n.mean(), d - d.mean()

    @property
    def jacobian(self) -> Array:
        """Derivative of ln loss in theta `(p, n_runs)`."""
        columns = self.kept.columns(type(self.estimate.solution.law).variables)
        return np.asarray(self.estimate.solution.gradient(*columns)[1][0])

    @property
    def further(self) -> tuple[Array, Array]:
        """The law's best split of ten times the largest compute, arrays of one."""
        law, flops = self.estimate.solution.law, self.sample.flops
        try:
            best = law.optimum(FURTHER * float(flops.max()))
        except InputError:  # the law has no best split: then both counts of the largest run grow alike
            largest = int(np.argmax(flops))
            root = FURTHER**0.5
            best = Optimum(root * float(self.sample.params[largest]), root * float(self.sample.tokens[largest]))
        return np.array([best.params]), np.array([best.tokens])

    def moved_without(self, left_out: NDArray[np.bool_]) -> tuple[float, float] | None:
        """How far the forecast at ten times the compute moves (of ln loss) without some runs, over its own sd.

        None when what is left cannot be fitted.
        """
        rest = self.kept.at(~left_out)
        if rest.loss.size < self.estimate.solution.theta.size + 2:
            return None
        again = estimate(rest, self.recipe)
        (old, sd), (new, _) = (one.predict(*self.further) for one in (self.estimate, again))
        return float(new[0] - old[0]), float(abs(new[0] - old[0]) / sd[0])
