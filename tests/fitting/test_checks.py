"""Every check fires where it should and stays silent where it should not."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import identifiability
from truths import TRUTHS, grid, noisy

from planner.fitting.checks import CHECKS, judge
from planner.fitting.estimate import estimate
from planner.fitting.finding import Fitted, Severity
from planner.fitting.recipe import choose_recipe, default_recipe
from planner.fitting.residual_checks import influence
from planner.runs import read_runs, sample_of
from planner.runs.columns import Count
from planner.runs.sample import Sample

TEXTBOOK = choose_recipe("chinchilla")


def sample(params, tokens, loss, **extra) -> Sample:
    return Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, (), extra=extra)


def healthy(seed=0, sd=0.003, law="besiroglu", **extra) -> Sample:
    return sample(*noisy(TRUTHS[law], sd, seed), **extra)


def found(runs: Sample, recipe=TEXTBOOK) -> dict:
    return {finding.name: finding for finding in judge(runs, estimate(runs, recipe), recipe)}


@pytest.mark.parametrize("recipe", [TEXTBOOK, default_recipe()], ids=["textbook", "default"])
def test_healthy_sweeps_raise_hardly_an_alarm(recipe):
    fired = Counter(name for seed in range(100) for name in found(healthy(seed), recipe))
    assert fired.pop("no-replicates") == 100  # a note, and true
    assert all(times <= 4 for times in fired.values()), fired


def test_designs_of_one_ratio_are_flagged_and_sound_ones_are_not():
    hit, false = identifiability.rates(50)
    assert hit == 1
    assert false <= 0.04


def test_a_flat_direction_is_named():
    params, _ = grid()
    near = params * 20 * np.tile([0.925, 0.96, 1.0, 1.04, 1.075], 6)
    told = found(
        sample(
            params, near, TRUTHS["besiroglu"](params, near) * np.exp(0.003 * np.random.default_rng(0).normal(size=30))
        )
    )
    assert "and" in told["not-identified"].sentence
    assert "narrow-ratio" in told


def test_two_levels_of_the_ratio_are_flagged():
    params, _ = grid()
    tokens = params * np.tile([5, 5.01, 80, 80.1, 80.2], 6)
    assert (
        "only 2 levels" in found(sample(params, tokens, TRUTHS["besiroglu"](params, tokens)))["narrow-ratio"].sentence
    )


def test_an_outlier_is_named_and_its_influence_is_that_of_leaving_it_out():
    runs = healthy(3, run_id=np.array([f"run-{i}" for i in range(30)]))
    spoiled = replace(runs, loss=runs.loss * np.where(np.arange(30) == 29, 1.02, 1))
    assert "run-29" in found(spoiled)["outliers"].sentence
    fitted = estimate(spoiled, TEXTBOOK)
    seen = Fitted(spoiled, spoiled, fitted, TEXTBOOK)
    moved = seen.moved_without(np.arange(30) == 29)[0]
    assert influence(seen)[29] == pytest.approx(-moved, rel=0.6)
    assert np.sign(influence(seen)[29]) == -np.sign(moved)


def test_scatter_that_no_sweep_has_is_told():
    assert "scatter" in found(healthy(sd=0.1))
    assert "scatter" not in found(healthy(sd=0.014))


def test_noise_that_falls_with_size_is_told():
    params, tokens = grid()
    rng = np.random.default_rng(0)
    loss = TRUTHS["besiroglu"](params, tokens) * np.exp(rng.normal(size=30) * 0.02 * (1e8 / params))
    assert "least parameters" in found(sample(params, tokens, loss))["uneven-noise"].sentence
    assert "uneven-noise" not in found(replace(sample(params, tokens, loss), noise=0.02 * (1e8 / params)))


def test_a_form_that_misses_is_told():
    # Residuals of the additive law on runs of a strongly coupled one.
    coupled = replace(TRUTHS["coupled"], k=0.3)
    params, tokens = grid()
    loss = coupled(params, tokens) * np.exp(0.0005 * np.random.default_rng(0).normal(size=30))
    assert "bends" in found(sample(params, tokens, loss))


def test_misfit_beyond_the_seeds_is_told():
    params, tokens = (np.repeat(x, 2) for x in grid())
    rng = np.random.default_rng(0)
    misfit = np.repeat(0.01 * rng.normal(size=30), 2)
    loss = TRUTHS["besiroglu"](params, tokens) * np.exp(misfit + 0.001 * rng.normal(size=60))
    plain = TRUTHS["besiroglu"](params, tokens) * np.exp(0.003 * rng.normal(size=60))
    assert "lack-of-fit" in found(sample(params, tokens, loss))
    names = found(sample(params, tokens, plain))
    assert "lack-of-fit" not in names
    assert "no-replicates" not in names


def test_checkpoints_are_told_from_finals():
    runs = healthy(run_id=np.repeat([f"run-{i}" for i in range(6)], 5))
    assert "30 rows come from 6 runs" in found(runs)["checkpoints"].sentence
    assert "checkpoints" not in found(healthy(run_id=np.arange(30).astype(str)))


def test_a_careless_real_sweep_is_told_to_be_one():
    # 22 byte-level runs of three layers trained by `planner launch`: one rate, one batch, 15 to 2,000 steps (docs/tiny_lm.md).
    table = read_runs(Path(__file__).parent / "careless.csv")
    for recipe in (TEXTBOOK, default_recipe()):
        told = found(sample_of(table, count=Count.ACTIVE), recipe)
        warned = {name for name, one in told.items() if one.severity is Severity.WARNING}
        assert warned >= {"scatter", "few-steps", "lr_peak-constant", "batch_tokens-constant"}
        assert "18 of 22 runs" in told["few-steps"].sentence


def test_runs_of_few_steps_are_counted():
    params, tokens, loss = noisy(TRUTHS["besiroglu"], 0.003, 0)
    batch = np.full(params.size, tokens.min() / 600)
    assert "few-steps" not in found(sample(params, tokens, loss, batch_tokens=batch))
    batch[3] = tokens[3] / 60
    said = found(sample(params, tokens, loss, batch_tokens=batch))["few-steps"]
    assert said.severity is Severity.WARNING
    assert f"1 of {params.size} runs have fewer than 500 steps, the shortest 60" in said.sentence
    batch[:] = np.nan
    assert "few-steps" not in found(sample(params, tokens, loss, batch_tokens=batch))


def test_under_trained_runs_that_move_the_forecast_are_a_warning():
    params, tokens = grid()
    few = np.arange(30) % 5 == 0
    tokens = np.where(few, params * 0.5, tokens)
    loss = TRUTHS["besiroglu"](params, tokens) * np.exp(0.002 * np.random.default_rng(0).normal(size=30))
    assert found(sample(params, tokens, loss))["under-trained"].severity is Severity.NOTE
    worse = np.where(few, loss * 1.2, loss)
    assert found(sample(params, tokens, worse), default_recipe())["under-trained"].severity is Severity.WARNING
    assert "under-trained" not in found(healthy())


def test_a_forecast_that_hangs_on_the_smallest_size_is_told():
    runs = healthy(1, sd=0.001)
    smallest = runs.params < 1.1e8
    told = found(
        replace(runs, loss=runs.loss * np.where(smallest, 1.01, 1)), choose_recipe("chinchilla", huber_delta=0.1)
    )
    assert "smallest-size" in told


@pytest.mark.parametrize("name", ["lr_peak", "batch_tokens"])
def test_hyperparameters_against_size(name):
    params, _ = grid()
    locked, constant, free = 1e6 * params**-0.3, np.full(30, 5.0), np.random.default_rng(0).uniform(1, 2, 30)
    assert f"{name}-confounded" in found(healthy(**{name: locked}))
    assert f"{name}-constant" in found(healthy(**{name: constant}))
    assert not any(name in told for told in found(healthy(**{name: free})))
    assert not any(name in told for told in found(healthy(**{name: np.full(30, np.nan)})))


def test_a_sweep_of_rates_whose_best_lies_at_the_edge_is_told():
    params, tokens = (np.repeat(x, 3) for x in grid())
    rate = np.tile([1.0, 2.0, 4.0], 30)
    base = TRUTHS["besiroglu"](params, tokens)
    inside, edge = (base * np.exp(0.02 * np.log(rate / best) ** 2) for best in (2.0, 9.0))
    assert "lr_peak-edge" in found(sample(params, tokens, edge, lr_peak=rate))
    told = found(sample(params, tokens, inside, lr_peak=rate))
    assert "lr_peak-swept" in told
    assert "lr_peak-edge" not in told


def test_flops_counted_otherwise_and_repeated_data_are_told():
    runs = healthy()
    flops = runs.flops * np.linspace(0.5, 1, 30)
    assert "flops-rule" in found(healthy(flops=flops))
    assert "flops-rule" not in found(healthy(flops=runs.flops * 0.9))
    assert "repeated-data" in found(healthy(tokens_unique=np.full(30, 5e9)))
    assert "repeated-data" not in found(healthy(tokens_unique=np.full(30, 1e15)))


def test_laws_that_fit_alike_and_disagree_on_size_are_told():
    told = [found(healthy(seed, sd=0.01)) for seed in range(20)]
    assert any("forms-disagree" in one for one in told)  # noise of 1 % hides which law it was


def test_a_floor_above_the_data_is_told():
    runs = healthy(sd=0.001)
    lucky = replace(runs, loss=np.where(runs.loss == runs.loss.min(), 1.0, runs.loss))
    assert "floor-above-data" in found(lucky, choose_recipe("chinchilla", huber_delta=1e-3))
    assert "floor-above-data" not in found(runs)


def test_letters_that_only_the_prior_knows_are_told():
    params, tokens = (x[:8] for x in grid())
    rng = np.random.default_rng(0)
    few = sample(params, tokens, TRUTHS["coupled"](params, tokens) * np.exp(0.01 * rng.normal(size=8)))
    assert "prior" in found(few, default_recipe())
    assert "prior" not in found(few)
    assert "prior" not in found(healthy(law="coupled", sd=0.001), default_recipe())


def test_loss_that_does_not_fall_is_told():
    runs = healthy()
    assert "no-trend" in found(replace(runs, loss=runs.loss[::-1].copy()))


def test_every_check_has_a_name_and_says_what_to_do():
    assert len(CHECKS) >= 20
    for runs in (healthy(sd=0.1), healthy(lr_peak=np.full(30, 1.0)), healthy(run_id=np.repeat(["a", "b"], 15))):
        for finding in found(runs).values():
            assert finding.name == finding.name.lower()
            assert finding.sentence
            assert finding.remedy or finding.severity is Severity.NOTE
