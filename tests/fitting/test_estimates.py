"""Many fits at once are the fits one by one."""

from dataclasses import replace

import numpy as np
import pytest
from truths import TRUTHS, noisy

from planner.fitting.constraints import Constraints
from planner.fitting.estimate import estimate, estimates, information_of
from planner.fitting.recipe import Recipe, choose_recipe, default_recipe
from planner.laws import Chinchilla
from planner.runs.columns import Count
from planner.runs.sample import Sample


def samples(worlds: int = 30) -> list[Sample]:
    """Noisy losses of the named truths, each set with other runs missing, so that sizes of the data sets differ."""
    made = []
    for number in range(worlds):
        params, tokens, loss = noisy(list(TRUTHS.values())[number % len(TRUTHS)], 0.003, seed=number)
        rng = np.random.default_rng(number)
        keep = rng.random(loss.size) > 0.15
        loss = loss * np.exp(np.where(rng.random(loss.size) < 0.05, 0.02, 0))
        made.append(Sample(params[keep], tokens[keep], loss[keep], Count.ACTIVE, "", "nats_per_token", {}, ()))
    return made


@pytest.mark.parametrize("recipe", [
    default_recipe(),
    Recipe(default_recipe().law, default_recipe().objective, 30.0, default_recipe().spread, default_recipe().model_error),
    Recipe(default_recipe().law, default_recipe().objective, None, default_recipe().spread, default_recipe().model_error,
           Constraints(fixed={"k": 1.0})),
    choose_recipe("chinchilla"),
], ids=["default", "windowed", "constrained", "textbook"])  # fmt: skip
def test_a_batch_of_fits_is_the_fits_one_by_one(recipe):
    many = samples(30 if recipe.model_error else 3)
    at = np.array([7e10]), np.array([1.5e13])
    for together, sample in zip(estimates(many, recipe), many, strict=True):
        alone = estimate(sample, recipe)
        (loss, sd), (loss_alone, sd_alone) = together.predict(*at), alone.predict(*at)
        assert loss == pytest.approx(loss_alone, abs=1e-6)
        assert sd == pytest.approx(sd_alone, rel=1e-4)
        assert together.noise == pytest.approx(alone.noise, rel=1e-4)
        assert together.df == pytest.approx(alone.df, abs=1e-4)
        assert together.frontier == alone.frontier
        assert np.array_equal(together.kept, alone.kept)


def branched(seed: int, trunks: int = 12, rho: float = 0.5) -> Sample:
    """Four branches a trunk, their noise correlated by rho."""
    rng = np.random.default_rng(seed)
    params = np.repeat(np.geomspace(1e8, 3e9, trunks), 4)
    tokens = params * np.tile([20.0, 60.0, 180.0, 500.0], trunks)
    shared, own = np.repeat(rng.normal(size=trunks), 4), rng.normal(size=4 * trunks)
    law = Chinchilla(**Chinchilla.published[1].values)
    loss = law(params, tokens) * np.exp(0.004 * (np.sqrt(rho) * shared + np.sqrt(1 - rho) * own))
    labels = np.repeat([f"trunk {number}" for number in range(trunks)], 4)
    return Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, (), extra={"trunk_id": labels})


def test_branches_of_one_trunk_tell_less_than_as_many_runs_of_their_own():
    sample = branched(0)
    told = information_of(sample)
    np.testing.assert_allclose(told, 1 / (1 + 3 * 0.5))
    alone = replace(sample, extra={})
    assert information_of(alone) is None
    recipe = default_recipe()
    at = (np.array([7e10]), np.array([1.4e12]))
    assert estimate(sample, recipe).predict(*at)[1] > 1.05 * estimate(alone, recipe).predict(*at)[1]


def test_trunks_are_the_clusters_that_a_textbook_fit_resamples_and_no_checkpoints():
    sample = branched(1)
    assert sample.repeated is None
    assert np.unique(sample.cluster).size == 12
    lone = replace(sample, extra={"trunk_id": np.array(["", *[f"t{i}" for i in range(47)]])})
    assert lone.cluster is None
