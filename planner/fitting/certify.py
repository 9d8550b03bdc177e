"""Is the optimum the global one? Random starts, the exact profile over the exponents, and a bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import label

from planner.engines import Engine, Told, carrying, here, untold
from planner.fitting.affine import Affine
from planner.fitting.branch import Bound, branch_and_bound, profiles
from planner.fitting.configurations import configurations
from planner.fitting.descend import descend
from planner.fitting.estimate import in_window
from planner.fitting.objective import Huber, Objective
from planner.fitting.posterior import posterior
from planner.fitting.problem import Forms, Problem
from planner.fitting.recipe import Recipe
from planner.fitting.relaxed import Relative
from planner.fitting.solve import Solution, checked, projected, solve
from planner.laws import Chinchilla, find_law
from planner.laws.centre import Array
from planner.laws.law import Law
from planner.runs.sample import Sample

RANDOM_STARTS = 100
STARTS_CHUNK = 25  # random starts that descend together
STEPS = ("random starts", "profile of the exponents", "lower bound")
AGREEMENT = 1e-8  # relative, in the objective
EXPONENTS = (0.02, 1.5)  # where the profile is taken and the bound holds
PROFILE_CELLS = 40  # per exponent
ZOOMS, ZOOM = 14, 0.4  # of a 9 x 9 grid around the profile's lowest cell


@dataclass(frozen=True)
class Profile:
    """The convex relative-residual problem solved on a grid of (alpha, beta): its local minima `(k, 2)`, lowest first."""

    minima: Array
    lowest: float
    box: tuple[float, float]


@dataclass(frozen=True)
class Certificate:
    """What speaks for a solution being the global optimum.

    `value` is the solution's objective, its prior's part included; `reached` of `starts` random starts end within 1e-8
    (relative) of it; `lowest` is the lowest value any reached.
    `profile` and `bound` are of the additive law in relative residuals 1 - prediction/loss, with the solution's delta;
    None for a law whose loss is not linear in its amplitudes, where neither is convex.
    """

    solution: Solution
    value: float
    starts: int
    reached: int
    lowest: float
    profile: Profile | None
    bound: Bound | None

    @property
    def sentences(self) -> list[str]:
        """What was found, for people."""
        lower = self.lowest < self.value * (1 - AGREEMENT) - 1e-24
        said = [
            f"{self.reached} of {self.starts} random starts end at this optimum, "
            + (f"but one at {self.lowest:.9g}, LOWER than {self.value:.9g}" if lower else "none lower")
        ]
        if self.profile is not None:
            minima = len(self.profile.minima)
            alpha, beta = self.profile.minima[0]
            said.append(
                f"in relative residuals the profile over alpha and beta has {minima} local minim{'um' if minima == 1 else 'a'} "
                f"within {self.profile.box[0]:g}-{self.profile.box[1]:g}, the lowest at {alpha:.3f}, {beta:.3f}"
            )
        if self.bound is not None:
            said.append(f"in relative residuals: {self.bound}")
        return said


def certify(
    law: type[Law] | str,
    x: ArrayLike | Sequence[ArrayLike],
    loss: ArrayLike,
    *,
    objective: Objective = Huber(1e-3),  # noqa: B008 - a frozen value
    seed: int = 0,
    tolerance: float = 1e-4,
    cell_limit: int = 20_000,
    engine: Engine = here,
    progress: Told = untold,
) -> Certificate:
    """Solve, then look for anything lower, three ways (see Certificate); `tolerance` is the gap that counts as proven.

    `engine` does the work, `progress` hears each of STEPS as it begins.
    """
    law = find_law(law) if isinstance(law, str) else law
    solution = solve(law, x, loss, objective=objective)
    columns, y = checked(law, x, loss)
    inputs = law.inputs(solution.centre, *columns)
    problem = Problem(law, inputs, y, np.ones((1, y.size)), solution.delta, Forms.none(law.lower.size))
    progress(STEPS[0])
    ends = _descended(problem, Affine.free(law), random_starts(law, y, RANDOM_STARTS, seed), engine)
    reached = int((ends <= solution.value * (1 + AGREEMENT) + 1e-24).sum())
    profile = bound = None
    if law is Chinchilla:
        relative = Relative(inputs[0], inputs[1], np.exp(y), solution.delta)
        progress(STEPS[1])
        profile = profiled(relative, engine)
        progress(STEPS[2])
        at = (float(profile.minima[0, 0]), float(profile.minima[0, 1]))
        bound = branch_and_bound(relative, at, EXPONENTS, tolerance=tolerance, limit=cell_limit, engine=engine)
    return Certificate(solution, solution.value, RANDOM_STARTS, reached, float(ends.min()), profile, bound)


def certify_recipe(
    sample: Sample, recipe: Recipe, *, seed: int = 0, engine: Engine = here, progress: Told = untold
) -> Certificate:
    """A recipe's certificate: of a textbook fit as above; of the default recipe by random starts, its prior included."""
    runs = sample.at(in_window(sample.flops, recipe.window))
    if recipe.model_error is None:
        return certify(
            recipe.law, (runs.params, runs.tokens), runs.loss, objective=recipe.objective, seed=seed, engine=engine,
            progress=progress,
        )  # fmt: skip
    progress(STEPS[0])
    data, y = configurations(runs.params, runs.tokens, runs.loss), np.log(runs.loss)
    found = posterior(recipe.law, data, recipe.law.prior(y), recipe.model_error, recipe.constraints)
    starts = projected(found.problem, found.affine, random_starts(recipe.law, y, RANDOM_STARTS, seed))
    at = found.affine.expansion(found.problem.at)
    best = projected(found.problem, found.affine, found.solution.theta[None])
    value = float(at(best, np.zeros(1, int), True).value[0])
    ends = _descended(found.problem, found.affine, starts, engine)
    reached = int((ends <= value * (1 + AGREEMENT)).sum())
    return Certificate(found.solution, value, RANDOM_STARTS, reached, float(ends.min()), None, None)


def _descended(problem: Problem, affine: Affine, starts: Array, engine: Engine) -> Array:
    """The objectives `(S,)` where descents from starts `(S, q)` end."""
    parts = [(problem, affine, starts[at : at + STARTS_CHUNK]) for at in range(0, len(starts), STARTS_CHUNK)]
    return np.concatenate(list(carrying(engine, problem.law)(_ends, parts)))


def _ends(part: tuple[Problem, Affine, Array]) -> Array:
    problem, affine, starts = part
    return descend(affine.expansion(problem.at), starts, affine.box, limit=300).value


def random_starts(law: type[Law], log_loss: Array, count: int, seed: int) -> Array:
    """Thetas `(count, p)`: E up to the lowest loss, terms of .02 to 2 times the mean loss, exponents .02-1.5, ln k -2-.7."""
    level = float(log_loss.mean())
    low = np.array([float(log_loss.min()) - 2.0, level - 4.0, level - 4.0, *[EXPONENTS[0]] * 2, -2.0])
    high = np.array([float(log_loss.min()), level + 0.7, level + 0.7, *[EXPONENTS[1]] * 2, 0.7])
    p = law.lower.size
    return np.random.default_rng(seed).uniform(low[:p], high[:p], (count, p))


def profiled(runs: Relative, engine: Engine = here) -> Profile:
    """Local minima of a 40 x 40 profile among their eight neighbours (a plateau counts once), the lowest one refined."""
    grid = np.linspace(*EXPONENTS, PROFILE_CELLS)
    value = _on_grid(runs, grid, grid, engine)
    wall = np.pad(value, 1, constant_values=np.inf)
    shifts = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    around = np.min([wall[i : i + PROFILE_CELLS, j : j + PROFILE_CELLS] for i, j in shifts], axis=0)
    numbered, count = label(value <= around * (1 + 1e-9), np.ones((3, 3)))
    cells = [_lowest_cell(value, numbered == i + 1) for i in range(count)]
    cells.sort(key=lambda cell: float(value[cell]))
    minima = np.array([[grid[i], grid[j]] for i, j in cells])
    minima[0], lowest = _refined(runs, minima[0], grid[1] - grid[0], engine)
    return Profile(minima, lowest, EXPONENTS)


def _on_grid(runs: Relative, alphas: Array, betas: Array, engine: Engine) -> Array:
    alpha, beta = (column.ravel() for column in np.meshgrid(alphas, betas, indexing="ij"))
    return profiles(runs, alpha, beta, engine).reshape(alphas.size, betas.size)


def _lowest_cell(value: Array, part: NDArray[np.bool_]) -> tuple[int, int]:
    i, j = np.unravel_index(int(np.argmin(np.where(part, value, np.inf))), value.shape)
    return int(i), int(j)


def _refined(runs: Relative, centre: Array, half: float, engine: Engine) -> tuple[Array, float]:
    value = np.inf
    for _ in range(ZOOMS):
        alphas, betas = (np.maximum(middle + half * np.linspace(-1, 1, 9), EXPONENTS[0]) for middle in centre)
        values = _on_grid(runs, alphas, betas, engine)
        i, j = np.unravel_index(int(values.argmin()), values.shape)
        centre, value, half = np.array([alphas[i], betas[j]]), float(values.min()), half * ZOOM
    return centre, value
