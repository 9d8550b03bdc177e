"""Truths of simulated worlds, the runs trained in them, and what a wrong size wastes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from planner.assess.misallocation import wasted
from planner.assess.trials import Rates, Runs, trained
from planner.assess.truths import Hostile, Kind, truth_of
from planner.decisions.waste import waste_of_factor
from planner.lab.simulated import run_plan
from planner.lab.world import draw_world
from planner.laws import Chinchilla
from planner.sweep.prescription import step_law
from planner.sweep.spec import Lab

SIZES = np.repeat([1e9, 2.6e9, 7e9], 3)
TOKENS = SIZES * np.tile([20.0, 90.0, 400.0], 3)
RUNS = Runs(SIZES, 0.8 * SIZES, TOKENS, 0.0)
QUIET = Rates(0.0, 0.0, 0.0, 0.0)
FLOPS = 6 * 7e10 * 1.5e13


def worlds(number: int, noise: float = 0.0):
    return [draw_world(seed, [], noise=noise, smallest_flops=1e20) for seed in range(number)]


def generators(number: int):
    return [np.random.default_rng(seed) for seed in range(number)]


def truth(kind: Kind, number: int = 20):
    return truth_of(kind, worlds(number), generators(number))


def test_coupled_worlds_follow_the_law_of_the_simulated_lab():
    found = truth(Kind.COUPLED).log_loss(SIZES, TOKENS)
    expected = [np.log(world.law(SIZES, TOKENS)) for world in worlds(20)]
    assert np.allclose(found, expected, rtol=0, atol=1e-12)


def test_additive_worlds_lie_around_the_published_refit():
    law = Chinchilla(**Chinchilla.published[1].values)
    found = truth(Kind.ADDITIVE, 4000).log_loss(SIZES, TOKENS)
    assert np.allclose(np.median(found, 0), np.log(law(SIZES, TOKENS)), atol=3e-3)
    assert (found.std(0) > 0.005).all()


def test_the_hostile_truth_is_farseers_formula_times_3_4():
    floor, amplitude, exponent = -0.062465473 * 1e9**0.13, 230.73437075885855 * 1e9**-0.1729, 1e9**0.0458999999999619
    by_hand = 3.4 * (
        np.exp(floor + 0.1284880679442551)
        + np.exp(amplitude - 1.544209554) * 1e11 ** -np.exp(-1.665630816 * exponent + 3.133347198805445)
    )
    assert np.exp(Hostile(2).log_loss(np.array([1e9]), np.array([1e11]))[:, 0]) == pytest.approx([by_hand] * 2)
    assert 1.5 < by_hand < 3.0  # nats per token of a 1B model


@pytest.mark.parametrize("kind", list(Kind))
def test_no_truth_is_hurt_by_data_or_size_where_runs_lie(kind):
    params, tokens = np.array([1e9, 3e9, 7e9, 4e10]), np.geomspace(2e10, 1e12, 12)
    found = truth(kind, 300).log_loss(np.repeat(params, 12), np.tile(tokens, 4)).reshape(300, 4, 12)
    assert (np.diff(found, axis=2) < 0).mean() > 0.999
    assert (np.diff(found, axis=1) < 0).mean() > 0.98


def test_curved_worlds_bend_and_break_and_coupled_ones_do_not():
    for kind, bend, change in ((Kind.COUPLED, 0.0, 0.0), (Kind.CURVED, 0.0192, 0.05)):  # sd .02, clipped at two sd
        terms = truth(kind, 400)
        assert terms.n_bend.std() == pytest.approx(bend, rel=0.1)
        assert terms.d_bend.std() == pytest.approx(bend, rel=0.1)
        assert terms.change.std() == pytest.approx(change, rel=0.1)


def test_a_curved_worlds_terms_have_the_curvature_and_the_break_of_their_formula():
    terms = truth(Kind.CURVED, 50)
    params, tokens = 1e9 * np.exp(np.arange(3.0)), 2e10 * np.exp(np.array([-8.0, -7.0, 12.0, 13.0]))
    size = np.log(np.exp(replace(terms, b=terms.b - 100).log_loss(params, np.full(3, 2e10))) - terms.E)
    assert np.allclose(np.diff(size, n=2, axis=1), -terms.n_bend, atol=1e-9)
    data = np.log(np.exp(replace(terms, a=terms.a - 100).log_loss(np.full(4, 1e9), tokens)) - terms.E)
    slope = -np.diff(data, axis=1)[:, [0, 2]]  # before the break and after it
    bent = terms.d_bend * (12.5 - -7.5)
    assert np.allclose(slope[:, 1:] - slope[:, :1], terms.change + bent, atol=1e-4)


def test_runs_have_the_losses_of_the_simulated_lab():
    lab = Lab(noise=0.0, failure_rate=0.0, divergence_rate=0.0, mistuned_rate=0.0)
    rule = [step_law(N, D) for N, D in zip(RUNS.params_non_embedding, TOKENS, strict=True)]
    plan = pd.DataFrame({
        "run_id": [str(i) for i in range(9)], "study": "scaling", "variant": "baseline", "seed": 0, "params_active": SIZES,
        "params_active_non_embedding": RUNS.params_non_embedding, "tokens": TOKENS, "gpu_hours": 1.0,
        "lr_peak": [one.lr_peak for one in rule], "batch_tokens": [one.batch_tokens for one in rule],
    })  # fmt: skip
    log_loss, finished = trained(RUNS, worlds(5), truth(Kind.COUPLED, 5), QUIET, generators(5))
    for row, done, world in zip(log_loss, finished, worlds(5), strict=True):
        logged = list(run_plan(plan, world, lab))
        assert np.allclose(row[done], [np.log(one["eval/loss"]) for one in logged if one["eval/loss"]], atol=1e-9)
        assert done.tolist() == [one["state"] == "completed" for one in logged]


def test_noise_failures_divergence_and_mistakes_come_at_the_rates_of_the_lab():
    many = Runs(*(np.repeat(column, 400) for column in RUNS[:3]), 0.0)
    quiet, _ = trained(many, worlds(20), truth(Kind.COUPLED), QUIET, generators(20))
    noisy, _ = trained(many, worlds(20, 0.002), truth(Kind.COUPLED), QUIET, generators(20))
    noise = (noisy - quiet).reshape(20, 9, 400)
    assert noise[:, 0].std() == pytest.approx(0.002, rel=0.03)
    assert noise[:, 8].std() == pytest.approx(0.002 * 7**-0.22, rel=0.03)
    _, failed = trained(many, worlds(20), truth(Kind.COUPLED), QUIET._replace(failure=0.03), generators(20))
    _, diverged = trained(many, worlds(20), truth(Kind.COUPLED), QUIET._replace(divergence=0.1), generators(20))
    assert 1 - failed.mean() == pytest.approx(0.03, rel=0.1)
    assert 1 - diverged.mean() == pytest.approx(0.1, rel=0.1)
    broken, _ = trained(many, worlds(20), truth(Kind.COUPLED), QUIET._replace(mistuned=0.05), generators(20))
    excess = (broken - quiet)[broken > quiet]
    assert excess.size / quiet.size == pytest.approx(0.05, rel=0.1)
    assert excess.mean() == pytest.approx(0.015, rel=0.1)


@pytest.mark.parametrize("factor", [0.3, 0.7, 1.0, 1.6, 4.0])
def test_what_a_wrong_size_wastes_against_the_closed_form(factor):
    laws = [world.law for world in worlds(20)]
    chosen = np.array([factor * law.optimum(FLOPS).params for law in laws])
    found = wasted(truth(Kind.COUPLED), chosen, FLOPS)
    assert found == pytest.approx([waste_of_factor(law, factor) for law in laws], abs=2e-3)


def test_a_size_that_is_not_known_wastes_what_is_not_known():
    assert np.isnan(wasted(truth(Kind.CURVED, 2), np.array([np.nan, 7e10]), FLOPS)).tolist() == [True, False]
