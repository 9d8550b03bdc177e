"""What a user says of a law's letters before any run is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from planner.fitting.affine import PLAIN, LetterPrior


@dataclass(frozen=True)
class Constraints:
    """Letters {letter: value} that are `fixed`, groups of letters `tied` to be equal, `bounds` {letter: (low, high)}.

    `priors` {letter: (mean, sd)} are normal; sd is relative for all letters but alpha and beta.
    """

    fixed: Mapping[str, float] = field(default_factory=dict)
    tied: tuple[tuple[str, ...], ...] = ()
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    priors: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def letter_prior(self) -> LetterPrior | None:
        """The priors as the solver takes them."""
        return LetterPrior(self.priors) if self.priors else None

    @property
    def sentence(self) -> str:
        """In words; empty when nothing is constrained."""
        said = [f"{letter} = {value:g} fixed" for letter, value in self.fixed.items()]
        said += [f"{' = '.join(group)}" for group in self.tied]
        said += [f"{letter} within {low:g} to {high:g}" for letter, (low, high) in self.bounds.items()]
        said += [
            f"prior {letter} {mean:g} +- {sd if letter in PLAIN else sd * mean:g}"
            for letter, (mean, sd) in self.priors.items()
        ]
        return ", ".join(said)
