"""Are designs that cannot tell size from data all flagged, and sound ones left alone?

    python tests/benchmarks/identifiability.py

Unidentified: 12-30 runs on one ray of tokens per parameter, rounded by up to 5 %. Sound: .1-3B by 5-80 tokens per
parameter, 12-30 runs of that grid. Chinchilla law, .3 % noise, the textbook Huber fit; flagged is a refusal or a warning
`not-identified`, `at-bound` or `narrow-ratio`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from truths import TRUTHS, grid

from planner.errors import InputError
from planner.fitting.checks import judge, require_identifiable
from planner.fitting.estimate import estimate
from planner.fitting.objective import Huber
from planner.fitting.recipe import Recipe, Spread
from planner.laws import Chinchilla
from planner.runs.columns import Count
from planner.runs.sample import Sample

SETS = 1000
FLAGS = {"not-identified", "at-bound", "narrow-ratio"}
TEXTBOOK = Recipe(Chinchilla, Huber(1e-3), None, Spread.NORMAL)


def ray(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One ratio, give or take 5 %."""
    runs = int(rng.integers(12, 31))
    params = np.exp(rng.uniform(np.log(1e8), np.log(3e9), runs))
    return params, params * np.exp(rng.uniform(np.log(5), np.log(80))) * rng.uniform(0.95, 1.05, runs)


def sound(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Part of the full grid."""
    params, tokens = grid()
    chosen = rng.choice(params.size, int(rng.integers(12, 31)), replace=False)
    return params[chosen], tokens[chosen]


def flagged(params: np.ndarray, tokens: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether a user would be told."""
    truth = TRUTHS["besiroglu" if rng.random() < 0.5 else "hoffmann"]
    loss = truth(params, tokens) * np.exp(0.003 * rng.normal(size=params.size))
    sample = Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ())
    try:
        require_identifiable(sample, TEXTBOOK.law)
    except InputError:
        return True
    found = judge(sample, estimate(sample, TEXTBOOK), TEXTBOOK)
    return bool(FLAGS & {finding.name for finding in found})


def rates(sets: int) -> tuple[float, float]:
    """Shares flagged of unidentified and of sound designs."""
    rng = np.random.default_rng(0)
    return tuple(float(np.mean([flagged(*draw(rng), rng) for _ in range(sets)])) for draw in (ray, sound))


def main(sets: int = SETS) -> None:
    """Both rates."""
    hit, false = rates(sets)
    print(f"{sets} designs of one ratio: {hit:.1%} flagged (all: {'met' if hit == 1 else 'MISSED'})")
    print(f"{sets} sound designs: {false:.1%} flagged (< 1 %: {'met' if false < 0.01 else 'MISSED'})")


if __name__ == "__main__":
    main()
