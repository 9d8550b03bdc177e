"""Do 90 % intervals hold where the law is right? Simulated sweeps, the loss foretold at 100x their largest run's compute.

    python tests/benchmarks/worlds.py [sets]

The worlds are those of SCIENCE.md, section 3: the Chinchilla law with the Epoch parameters, sizes .1-3B by 5-80 tokens
per parameter. A to G have the fitted form (A even noise, B more noise in small runs, C outliers too, D 12 runs, G three
seeds each); F drifts from it beyond the data and E is another law altogether (Farseer, arXiv 2506.10972), which no
method here knows. K is a coupled law.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from planner.fitting.estimate import estimate, t_quantile
from planner.fitting.interval import Points, uncertainty_of
from planner.fitting.objective import AdaptiveHuber, Huber
from planner.fitting.recipe import Recipe, Spread, default_recipe
from planner.laws import Chinchilla, Coupled
from planner.runs.columns import Count
from planner.runs.sample import Sample

LEVEL, FURTHER = 0.9, 100.0
SIZES, RATIOS = np.array([1e8, 2e8, 4e8, 8e8, 1.5e9, 3e9]), np.array([5.0, 10.0, 20.0, 40.0, 80.0])
CHINCHILLA = Chinchilla(E=1.8172, A=482.01, B=2085.43, alpha=0.3478, beta=0.3658)
COUPLED = Coupled(E=1.5, A=120.0, B=300.0, alpha=0.27, beta=0.27, k=float(np.exp(-0.5)))
RECIPES = {
    "default": default_recipe(),
    "additive, normal": Recipe(Chinchilla, AdaptiveHuber(), None, Spread.NORMAL),
    "additive, sandwich": Recipe(Chinchilla, AdaptiveHuber(), None, Spread.SANDWICH),
    "coupled, normal": Recipe(Coupled, AdaptiveHuber(), None, Spread.NORMAL),
    "additive, bootstrap": Recipe(Chinchilla, Huber(1e-3), None, Spread.BOOTSTRAP),
}
DEAR = {"additive, bootstrap": 5}  # run on every fifth set

Truth = Callable[[np.ndarray, np.ndarray], np.ndarray]


def farseer(params: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """The published surface of arXiv 2506.10972, eq. 8, times 3.4 to be near nats per token."""
    exponent = -np.exp(-1.665630816 * params**0.0458999999999619 + 3.133347198805445)
    data = np.exp(230.73437075885855 * params**-0.1729 - 1.544209554) * tokens**exponent
    return 3.4 * (np.exp(-0.062465473 * params**0.13 + 0.1284880679442551) + data)


def drifting(params: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Chinchilla within the data; one per cent above it at 1e24 FLOPs."""
    beyond = np.maximum(np.log(6 * params * tokens / 1e20), 0) / np.log(1e4)
    return CHINCHILLA(params, tokens) * (1 + 0.01 * beyond**2)


def grid(sizes: np.ndarray, ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Params and tokens of every pair."""
    return np.repeat(sizes, ratios.size), (sizes[:, None] * ratios).ravel()


def even(params: np.ndarray) -> np.ndarray:
    """Noise of .3 % on ln loss."""
    return np.full(params.size, 0.003)


def uneven(params: np.ndarray) -> np.ndarray:
    """Noise of .2 % at 3B to .6 % at .1B."""
    return 0.002 * (3e9 / params) ** 0.33


class World(NamedTuple):
    """What is true, what is run, its noise, and the share of runs that end up to 2 % (exponential) too high."""

    truth: Truth
    runs: tuple[np.ndarray, np.ndarray]
    noise: Callable[[np.ndarray], np.ndarray]
    outliers: float = 0.0


FULL, SMALL = grid(SIZES, RATIOS), grid(SIZES[[0, 2, 4, 5]], np.array([10.0, 20.0, 60.0]))
THRICE = (np.tile(FULL[0], 3), np.tile(FULL[1], 3))
WORLDS = {
    "A": World(CHINCHILLA, FULL, even),
    "B": World(CHINCHILLA, FULL, uneven),
    "C": World(CHINCHILLA, FULL, uneven, 0.07),
    "D": World(CHINCHILLA, SMALL, even),
    "E": World(farseer, FULL, uneven),
    "F": World(drifting, FULL, uneven),
    "G": World(CHINCHILLA, THRICE, even),
    "K": World(COUPLED, FULL, even),
}


def target(world: World, further: float = FURTHER) -> tuple[np.ndarray, np.ndarray]:
    """The compute-optimal run at so many times the largest compute, arrays of one."""
    flops = further * float((6 * world.runs[0] * world.runs[1]).max())
    params = np.geomspace(1e8, 1e13, 5001)
    best = int(np.argmin(world.truth(params, flops / 6 / params)))
    return params[best : best + 1], flops / 6 / params[best : best + 1]


def drawn(world: World, seed: int) -> Sample:
    """One noisy sweep."""
    rng = np.random.default_rng(seed)
    params, tokens = world.runs
    noise = rng.normal(size=params.size) * world.noise(params)
    noise += (rng.random(params.size) < world.outliers) * rng.exponential(0.02, params.size)
    return Sample(
        params, tokens, world.truth(params, tokens) * np.exp(noise), Count.PARAMS, "", "nats_per_token", {}, ()
    )


def in_world(job: tuple[str, str, int], sets: int) -> dict[str, float | str]:
    """Coverage, median width, root mean square error and bias (%) of one recipe's interval of the mean in one world."""
    name, recipe_name, first = job
    world, recipe = WORLDS[name], RECIPES[recipe_name]
    params, tokens = target(world)
    actual = float(np.log(world.truth(params, tokens))[0])
    rows = []
    for seed in range(first, first + sets, DEAR.get(recipe_name, 1)):
        sample = drawn(world, seed)
        fitted = estimate(sample, recipe)
        known = uncertainty_of(sample, fitted, recipe, seed=seed, draws=400 if recipe_name in DEAR else 1)
        at = Points.of(recipe.law, fitted.solution.centre, {"params": params, "tokens": tokens})
        low, high = known.mean(recipe.law, fitted.solution.theta, at, LEVEL)
        error = float(fitted.predict(params, tokens)[0][0]) - actual
        rows.append((float(-high[0] <= error <= -low[0]), float(high[0] - low[0]), error))
    held, width, error = np.array(rows).T
    return {
        "world": name, "recipe": recipe_name, "sets": len(rows), "coverage": held.mean(), "width %": 100 * np.median(width),
        "rmse %": 100 * np.sqrt((error**2).mean()), "bias %": 100 * error.mean(),
    }  # fmt: skip


def one_run(job: tuple[str, float], sets: int = 300) -> dict[str, float | str]:
    """How often the default 90 % interval of one new run holds it, near the sweep; noise there is the largest run's."""
    name, further = job
    world, recipe = WORLDS[name], default_recipe()
    params, tokens = target(world, further)
    noise = float(world.noise(np.minimum(params, world.runs[0].max()))[0])
    held = 0
    for seed in range(sets):
        fitted = estimate(drawn(world, seed), recipe)
        predicted, sd = fitted.predict(params, tokens)
        new = np.log(world.truth(params, tokens)) + noise * np.random.default_rng(10**6 + seed).normal()
        held += int(abs(predicted - new)[0] <= t_quantile(LEVEL, fitted.df) * np.hypot(sd[0], fitted.noise))
    return {"world": name, "times the compute": further, "sets": sets, "coverage": held / sets}


def near_table(sets: int = 300) -> pd.DataFrame:
    """One row per world and compute ratio."""
    with ProcessPoolExecutor(2) as pool:
        jobs = [(world, further) for world in "ABCDGK" for further in (1.0, 3.0, 10.0)]
        return pd.DataFrame(pool.map(partial(one_run, sets=sets), jobs))


def table(sets: int = 1000, *, recipes: tuple[str, ...] = tuple(RECIPES), worlds: str = "ABCDEFGK") -> pd.DataFrame:
    """One row per world and recipe; same sets for all recipes."""
    jobs = [(world, recipe, 1000) for world in worlds for recipe in recipes]
    with ProcessPoolExecutor(2) as pool:
        return pd.DataFrame(pool.map(partial(in_world, sets=sets), jobs))


def main() -> None:
    """The tables."""
    found = table(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
    for figure in ("coverage", "width %", "rmse %", "bias %"):
        print(
            f"\n{figure}\n{found.pivot_table(index='recipe', columns='world', values=figure, sort=False).round(3).to_string()}"
        )
    near = near_table().pivot_table(index="times the compute", columns="world", values="coverage", sort=False)
    print(f"\ncoverage of one new run, default recipe\n{near.round(3).to_string()}")


if __name__ == "__main__":
    main()
