"""The final run's cost from its inputs, against the published DeepSeek-V3 ledger."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.costs.accelerators import accelerators, find_accelerator
from planner.costs.final_run import final_cost
from planner.models.catalog import find_model
from planner.models.parameters import count_parameters

ACTIVE = count_parameters(find_model("deepseek-v3")).active
# arXiv 2412.19437, table 1 and section 4.1: 180K H800 hours per trillion tokens, 2048 H800 at $2 an hour
DEEPSEEK = {
    "params_active": ACTIVE,
    "tokens": 14.8e12,
    "accelerator": find_accelerator("h800"),
    "count": 2048,
    "usd_per_gpu_hour": 2.0,
    "modelled_gpu_hours": 3e6,
    "gpu_hours_per_trillion_tokens": 180e3,
    "context_extension_gpu_hours": 119e3,
    "post_training_gpu_hours": 5e3,
}

POWERED = [chip for chip in accelerators().values() if chip.tdp_watts]


def cost(**changes):
    given = {**DEEPSEEK, **changes}
    return final_cost(given.pop("params_active"), given.pop("tokens"), given.pop("accelerator"), **given)


def test_the_stages_of_deepseek_v3_add_up_against_published():
    found = cost()
    assert found.pretraining_gpu_hours == pytest.approx(2.664e6, rel=1e-12)
    assert found.context_extension_gpu_hours == 119e3
    assert found.post_training_gpu_hours == 5e3
    assert found.gpu_hours == pytest.approx(2.788e6, rel=1e-12)
    assert found.usd == pytest.approx(5.576e6, rel=1e-12)


def test_a_trillion_tokens_take_3_7_days_on_2048_against_published():
    found = cost()
    assert round(found.days_per_trillion_tokens, 1) == 3.7
    assert found.gpu_hours_per_trillion_tokens == pytest.approx(180e3)
    assert found.days == pytest.approx(14.8 * found.days_per_trillion_tokens)
    assert found.days < 60  # "less than two months"


def test_measured_hours_imply_the_utilisation_against_published():
    # 3.3e24 FLOPs over 2.664M hours of 989e12 FLOP/s
    found = cost()
    assert found.gpu_hours_source == "measured"
    assert found.utilisation.fraction == pytest.approx(0.35, abs=0.005)
    assert "measured" in found.utilisation.source


def test_hours_without_a_measurement_are_modelled_and_say_so():
    found = cost(gpu_hours_per_trillion_tokens=None)
    assert found.gpu_hours_source == "modelled"
    assert found.pretraining_gpu_hours == 3e6
    assert found.utilisation.fraction == pytest.approx(found.flops / (3e6 * 3600 * 989e12))
    assert "modelled" in found.utilisation.source


def test_modelled_hours_do_not_touch_measured_ones():
    assert cost(modelled_gpu_hours=9e9) == cost()


@pytest.mark.parametrize(
    ("name", "factor_of_usd"),
    [
        ("tokens", 2 - 124 / 2788),  # the later stages stay
        ("usd_per_gpu_hour", 2),
        ("gpu_hours_per_trillion_tokens", 2 - 124 / 2788),
        ("context_extension_gpu_hours", 1 + 119 / 2788),
        ("post_training_gpu_hours", 1 + 5 / 2788),
    ],
)
def test_an_input_that_doubles_moves_the_dollars(name, factor_of_usd):
    assert cost(**{name: 2 * DEEPSEEK[name]}).usd == pytest.approx(factor_of_usd * 5.576e6)


def test_more_accelerators_take_fewer_days_for_the_same_dollars():
    assert cost(count=4096).days == pytest.approx(cost().days / 2)
    assert cost(count=4096).usd == cost().usd


def test_size_moves_flops_and_not_measured_hours():
    assert cost(params_active=2 * ACTIVE).flops == 2 * cost().flops
    assert cost(params_active=2 * ACTIVE).gpu_hours == cost().gpu_hours


def test_energy_counts_every_stage():
    assert cost().energy_kwh == pytest.approx(2.788e6 * 1.051, rel=1e-3)  # near 2.9 GWh


amounts = st.floats(0, 1e7)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.floats(1, 1e13), st.floats(1, 1e15), st.sampled_from(POWERED), st.integers(1, 10**6),
    amounts, st.none() | st.floats(1e-3, 1e9), amounts, amounts,
)  # fmt: skip
def test_no_cost_is_negative(params_active, tokens, accelerator, count, price, rate, context, post):
    found = final_cost(
        params_active, tokens, accelerator, count=count, usd_per_gpu_hour=price, modelled_gpu_hours=1e6,
        gpu_hours_per_trillion_tokens=rate,
        context_extension_gpu_hours=context, post_training_gpu_hours=post,
    )  # fmt: skip
    numbers = (
        found.flops, found.gpu_hours, found.pretraining_gpu_hours, found.usd, found.days, found.energy_kwh,
        found.days_per_trillion_tokens, found.utilisation.fraction,
    )  # fmt: skip
    assert min(numbers) >= 0
    assert found.gpu_hours >= found.pretraining_gpu_hours
    assert found == replace(found)
