"""One model size of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from planner.models.architecture import Architecture
from planner.models.parameters import ParameterCount, count_parameters


@dataclass(frozen=True)
class Size:
    """An architecture with its counts."""

    model: Architecture

    @cached_property
    def count(self) -> ParameterCount:
        """Exact parameters by part."""
        return count_parameters(self.model)

    @property
    def active(self) -> float:
        """Active parameters, raw."""
        return float(self.count.active)

    @property
    def active_non_embedding(self) -> float:
        """Active parameters without embedding and head, raw: what hyperparameter rules count."""
        return float(self.count.active - self.count.embedding - self.count.head)

    @property
    def active_with_head(self) -> float:
        """Active parameters without the input embedding, raw: what Porian et al. count."""
        return float(self.count.active - self.count.embedding)
