"""What is fitted of a value: its logarithm, or for shares such as accuracies the value itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from planner.laws.centre import Array
from planner.laws.law import Law


def linked(law: type[Law], values: ArrayLike) -> Array:
    """Measured values as the law predicts them: ln for link "log", unchanged for "identity"."""
    return np.asarray(np.log(values) if law.link == "log" else values, float)


def unlinked(law: type[Law], fitted: ArrayLike) -> Array:
    """Back from what the law predicts to the unit of the values."""
    return np.asarray(np.exp(fitted) if law.link == "log" else fitted, float)
