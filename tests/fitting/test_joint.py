"""Groups fitted jointly: what they share, what they keep, and what is refused."""

import dataclasses

import numpy as np
import pytest
from truths import TRUTHS, grid, noisy

from planner.errors import InputError
from planner.fitting.joint import solve_joint
from planner.fitting.objective import AdaptiveHuber, Huber, LeastSquares
from planner.fitting.solve import solve


def three_groups(name, sd=0.0):
    """Three data sets: common exponents (and k), own E, A, B, and their own range of sizes."""
    groups, laws = {}, {}
    for i, (shift, place) in enumerate([(0.0, 1.0), (0.2, 3.0), (-0.15, 0.4)]):
        truth = TRUTHS[name]
        law = dataclasses.replace(truth, E=truth.E + shift, A=truth.A * (1 + shift), B=truth.B * (1 - shift))
        params, tokens = (place * column for column in grid())
        noise = np.random.default_rng(i).normal(size=params.size) * sd
        groups[f"data {i}"], laws[f"data {i}"] = (params, tokens, law(params, tokens) * np.exp(noise)), law
    return groups, laws


@pytest.mark.parametrize("name", ["besiroglu", "coupled"])
def test_common_exponents_are_recovered_without_noise(name):
    groups, laws = three_groups(name)
    found = solve_joint(type(TRUTHS[name]), groups, objective=LeastSquares())
    for group, law in laws.items():
        for letter in found.groups[group].law.letters:
            assert getattr(found.groups[group].law, letter) == pytest.approx(getattr(law, letter), rel=1e-6), letter


@pytest.mark.parametrize("name", ["besiroglu", "coupled"])
def test_shared_letters_are_equal_and_the_others_are_not(name):
    groups, _ = three_groups(name, sd=0.003)
    found = solve_joint(type(TRUTHS[name]), groups, objective=Huber(1e-3), shared=("alpha", "B"))
    laws = [one.law for one in found.groups.values()]
    for letter in ("alpha", "B"):
        assert max(getattr(law, letter) for law in laws) == pytest.approx(
            min(getattr(law, letter) for law in laws), rel=1e-9
        )
    assert max(law.E for law in laws) > 1.01 * min(law.E for law in laws)
    assert found.shared == ("B", "alpha")


def test_with_nothing_shared_it_is_the_separate_fits():
    groups, _ = three_groups("besiroglu", sd=0.003)
    found = solve_joint("chinchilla", groups, shared=(), objective=Huber(1e-3))
    alone = {name: solve("chinchilla", (N, D), loss, objective=Huber(1e-3)) for name, (N, D, loss) in groups.items()}
    for name, one in alone.items():
        np.testing.assert_allclose(found.groups[name].theta, one.theta, rtol=1e-6)
    assert found.value == pytest.approx(sum(one.value for one in alone.values()), rel=1e-9)


def test_sharing_costs_objective_and_sharpens_the_exponent():
    apart, together = [], []
    for seed in range(6):
        groups = {str(i): noisy(TRUTHS["besiroglu"], 0.006, 10 * seed + i) for i in range(3)}
        free = solve_joint("chinchilla", groups, shared=(), objective=AdaptiveHuber())
        held = solve_joint("chinchilla", groups, shared=("alpha", "beta"), objective=AdaptiveHuber())
        apart += [one.law.alpha for one in free.groups.values()]
        together.append(next(iter(held.groups.values())).law.alpha)
    assert np.std(together) < 0.8 * np.std(apart)


def test_a_joint_optimum_is_not_below_the_sum_of_the_separate_ones():
    groups, _ = three_groups("besiroglu", sd=0.003)
    free = solve_joint("chinchilla", groups, shared=(), objective=Huber(1e-3))
    held = solve_joint("chinchilla", groups, objective=Huber(1e-3))
    assert held.value > free.value


def test_a_group_of_one_run_is_refused_by_name():
    groups, _ = three_groups("besiroglu")
    groups["lonely"] = ([1e9], [2e10], [2.5])
    with pytest.raises(InputError, match="group 'lonely' has 1 run, fewer than the 3 it needs"):
        solve_joint("chinchilla", groups, shared=("alpha", "beta"))


def test_a_bad_loss_is_refused_with_its_group():
    groups, _ = three_groups("besiroglu")
    groups["data 1"][2][4] = -1.0
    with pytest.raises(InputError, match=r"group 'data 1': loss\[4\] = -1.0"):
        solve_joint("chinchilla", groups)


def test_an_unknown_shared_letter_is_refused():
    with pytest.raises(InputError, match="no law has a letter 'gamma'"):
        solve_joint("chinchilla", three_groups("besiroglu")[0], shared=("gamma",))
