"""Training FLOPs by the 6ND rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.models.catalog import find_model
from planner.models.flops import RULE_6ND_ACTIVE, training_flops
from planner.models.parameters import count_parameters


def test_six_times_params_times_tokens_is_exact():
    assert training_flops(1e9, 1e11) == 6e20
    assert training_flops(1_000_000_000, 100_000_000_000) == 6e20
    assert RULE_6ND_ACTIVE == "6nd:params_active"


def test_the_product_does_not_overflow_a_64_bit_integer():
    assert np.iinfo(np.int64).max < 6 * 10**9 * 10**11
    assert training_flops(np.int64(10**9), np.int64(10**11)) == 6e20
    assert training_flops(np.int32(10**9), np.int32(10**9)) == 6e18


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 2**40), st.integers(1, 2**50))
def test_the_product_agrees_with_whole_numbers(params_active, tokens):
    assert training_flops(params_active, tokens) == pytest.approx(6 * params_active * tokens, rel=1e-15)


def test_llama_3_405b_on_15_6t_tokens_takes_3_8e25_flops_against_published():
    # arXiv 2407.21783, section 1: "pre-trained using 3.8e25 FLOPs ... 15.6T text tokens"
    flops = training_flops(count_parameters(find_model("llama-3-405b")).active, 15.6e12)
    assert f"{flops:.1e}" == "3.8e+25"


def test_deepseek_v3_on_14_8t_tokens_takes_3_3e24_flops_against_published():
    # 37B activated parameters, 14.8T tokens: arXiv 2412.19437, abstract
    assert f"{training_flops(37e9, 14.8e12):.2e}" == "3.29e+24"
