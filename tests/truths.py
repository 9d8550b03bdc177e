"""Named truths: laws that synthetic runs are drawn from, and the places where the runs lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from planner.laws import Chinchilla, Coupled
from planner.laws.law import Law

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the public runs and facts of ../shared are not here")

TRUTHS: dict[str, Law] = {
    "hoffmann": Chinchilla(**Chinchilla.published[0].values),
    "besiroglu": Chinchilla(**Chinchilla.published[1].values),
    "coupled": Coupled(E=1.75, A=482.0, B=1500.0, alpha=0.345, beta=0.35, k=0.6),
    "loosely coupled": Coupled(E=1.6, A=300.0, B=900.0, alpha=0.32, beta=0.33, k=0.9),
}


def grid() -> tuple[np.ndarray, np.ndarray]:
    """30 runs: six sizes from 0.1B to 3B, five ratios from 5 to 80 tokens per parameter; raw counts."""
    sizes, ratios = np.geomspace(1e8, 3e9, 6), np.geomspace(5, 80, 5)
    params = np.repeat(sizes, ratios.size)
    return params, params * np.tile(ratios, sizes.size)


def noisy(law: Law, sd: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The grid's runs with normal noise of `sd` on ln loss."""
    params, tokens = grid()
    noise = np.random.default_rng(seed).normal(size=params.size) * sd
    return params, tokens, law(params, tokens) * np.exp(noise)
