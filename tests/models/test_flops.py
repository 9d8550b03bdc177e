"""FLOPs by part and by named rule, held against published counts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.models.architecture import Architecture, Experts, LatentAttention, Norm, Window
from planner.models.catalog import find_model, model_entries
from planner.models.flops import (
    RULE_6ND_ACTIVE,
    FlopsRule,
    Recomputation,
    convert_flops,
    flops_per_token,
    forward_flops,
    training_flops,
)
from planner.models.parameters import count_parameters

every_model = pytest.mark.parametrize("name", model_entries())
every_rule = pytest.mark.parametrize("rule", FlopsRule)
counts = st.integers(1, 1024)
windows = st.builds(Window, st.integers(1, 4096), st.integers(1, 64))
experts = st.builds(Experts, st.integers(8, 64), st.integers(1, 8), st.integers(0, 2), counts, st.integers(0, 2))
latents = st.builds(LatentAttention, counts, counts, counts, counts, counts)
architectures = st.builds(
    Architecture,
    st.just("drawn"), st.just("drawn"), st.integers(2, 64), counts, counts, counts, counts, counts, counts,
    tied_embeddings=st.booleans(), gated_mlp=st.booleans(), norm=st.sampled_from(Norm), qkv_bias=st.booleans(),
    window=st.none() | windows, latent=st.none() | latents, experts=st.none() | experts,
    prediction_modules=st.integers(0, 2),
)  # fmt: skip


def gpt(n_layers: int, d_model: int, **changes: object) -> Architecture:
    """A plain decoder of 12 d_model^2 weights a layer."""
    shape = Architecture("gpt", "gpt", n_layers, d_model, 8, 8, d_model // 8, 4 * d_model, 102_400, gated_mlp=False)
    return replace(shape, **changes)


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
    model = find_model("llama-3-405b")
    assert f"{training_flops(count_parameters(model).active, 15.6e12):.1e}" == "3.8e+25"
    assert f"{15.6e12 * flops_per_token(model, FlopsRule.SIX_ND_ACTIVE, 8192):.1e}" == "3.8e+25"


def test_deepseek_v3_on_14_8t_tokens_takes_3_3e24_flops_against_published():
    # 37B activated parameters, 14.8T tokens: arXiv 2412.19437, abstract
    assert f"{training_flops(37e9, 14.8e12):.2e}" == "3.29e+24"


@pytest.mark.parametrize(
    ("n_layers", "d_model", "millions"),
    [(8, 512, 352), (12, 768, 963), (24, 1024, 3020)],
)
def test_the_deepseek_rule_is_its_papers_model_scale_against_published(n_layers, d_model, millions):
    # M = 72 n_layer d_model^2 + 12 n_layer d_model l_seq, context 4096: arXiv 2401.02954, eq. 2 and table 3
    scale = flops_per_token(gpt(n_layers, d_model, norm=Norm.NON_PARAMETRIC), FlopsRule.DEEPSEEK, 4096)
    assert scale == 72 * n_layers * d_model**2 + 12 * n_layers * d_model * 4096
    assert scale / 1e6 == pytest.approx(millions, rel=0.005)


def test_the_palm_rule_gives_palms_utilisation_against_published():
    # 238.3K tokens/s on 6,144 TPU v4 of 275e12 FLOP/s are 46.2 % (arXiv 2204.02311, section 4.1); N = 540.35e9,
    # 118 layers, 48 heads of 256, context 2048
    palm = gpt(118, 18432, n_heads=48, n_kv_heads=1, head_dim=256)
    attention = flops_per_token(palm, FlopsRule.PALM, 2048) - 6 * count_parameters(palm).active
    assert round(238.3e3 * (6 * 540.35e9 + attention) / (6144 * 275e12), 3) == 0.462


def test_the_kaplan_rule_leaves_embeddings_out_and_attention_in_against_published():
    # C_forward = 2 N + 2 n_layer n_ctx d_attn, three times for training: arXiv 2001.08361, table 1
    shape = gpt(48, 1600, norm=Norm.NON_PARAMETRIC)
    assert flops_per_token(shape, FlopsRule.KAPLAN, 1024) == 3 * (24 * 48 * 1600**2 + 2 * 48 * 1024 * 1600)


def test_exact_flops_of_a_plain_decoder_by_hand():
    flops = forward_flops(gpt(2, 64, qkv_bias=True, mlp_bias=True, norm=Norm.LAYER), 3)
    assert flops.attention == 2 * 2 * 4 * 64**2
    assert flops.mlp == 2 * 2 * 8 * 64**2
    assert flops.head == 2 * 102_400 * 64
    assert flops.scores == 2 * 2 * (64 + 64) * 2  # layers x 2 x (queries and values) x keys: (1 + 2 + 3) / 3
    assert flops.prediction == 0
    assert flops.total == flops.attention + flops.scores + flops.mlp + flops.head


def test_a_window_of_two_in_one_layer_by_hand():
    full, windowed = (forward_flops(gpt(2, 64, window=window), 4).scores for window in (None, Window(2, 1)))
    assert full == 2 * 2 * 128 * 2.5  # (1 + 2 + 3 + 4) / 4 keys
    assert windowed == 2 * 128 * (2.5 + 1.75)  # (1 + 2 + 2 + 2) / 4 in the layer with a window


def test_a_window_as_long_as_the_context_changes_nothing():
    assert forward_flops(gpt(2, 64, window=Window(512, 2)), 512) == forward_flops(gpt(2, 64), 512)


def test_a_prediction_module_costs_a_layer_a_projection_and_the_head():
    model = replace(find_model("deepseek-v3"), prediction_modules=0)
    without, with_it = forward_flops(model, 4096), forward_flops(replace(model, prediction_modules=1), 4096)
    deeper = forward_flops(replace(model, n_layers=62), 4096)
    added = deeper.layers - without.layers + 2 * 2 * 7168**2 + without.head
    assert with_it.prediction == pytest.approx(added, rel=1e-12)


def test_recomputation_adds_the_scores_or_one_more_pass_through_the_layers():
    flops = forward_flops(find_model("llama-3-8b"), 8192)
    assert flops.training() == 3 * flops.total
    assert flops.training(Recomputation.SELECTIVE) == 3 * flops.total + flops.scores
    assert flops.training(Recomputation.FULL) == 4 * flops.total - flops.head


@every_model
def test_exact_flops_are_near_six_per_active_parameter_at_a_short_context(name):
    model = find_model(name)
    count = count_parameters(model)
    multiplied = count.active - count.norms - model.learned_positions * model.d_model
    multiplied -= 0 if model.tied_embeddings else model.vocab_size * model.d_model
    exact = flops_per_token(replace(model, prediction_modules=0), FlopsRule.EXACT, 1)
    assert exact == pytest.approx(6 * multiplied, rel=0.01)


@every_rule
@every_model
def test_every_rule_counts_something_and_converts_there_and_back(name, rule):
    model = find_model(name)
    there = convert_flops(1e24, model, 4096, given=FlopsRule.SIX_ND_ACTIVE, wanted=rule)
    back = convert_flops(there, model, 4096, given=rule, wanted=FlopsRule.SIX_ND_ACTIVE)
    assert 0 < there < 5e25
    assert back == pytest.approx(1e24)
    assert there / 1e24 == pytest.approx(
        flops_per_token(model, rule, 4096) / (6 * count_parameters(model).active), rel=1e-12
    )


def grown(model: Architecture) -> list[Architecture]:
    """`model` made larger by one in each dimension."""
    names = ["n_layers", "d_model", "n_heads", "d_ff", "vocab_size"]
    if model.latent is None:
        names += ["n_kv_heads", "head_dim"]
    larger = [replace(model, **{name: getattr(model, name) + 1}) for name in names]
    if model.experts:
        for name in ("n_experts", "experts_per_token", "n_shared", "d_ff"):
            wider = replace(model.experts, **{name: getattr(model.experts, name) + 1})
            larger.append(replace(model, experts=wider))
    if model.latent:
        for name in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"):
            larger.append(replace(model, latent=replace(model.latent, **{name: getattr(model.latent, name) + 1})))
    return [*larger, replace(model, prediction_modules=model.prediction_modules + 1)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(architectures, st.integers(1, 8192))
def test_exact_flops_grow_with_every_dimension(model, context_length):
    flops = forward_flops(model, context_length)
    for larger in grown(model):
        if larger.d_ff != model.d_ff and model.experts and not model.experts.n_dense_layers:
            continue  # no layer has the dense MLP
        assert forward_flops(larger, context_length).total > flops.total
    longer = forward_flops(model, context_length + 1)
    assert longer.scores >= flops.scores
    assert longer.attention == flops.attention


@settings(max_examples=100, deadline=None, derandomize=True)
@given(architectures, st.integers(1, 8192), st.sampled_from(FlopsRule))
def test_flops_by_any_rule_never_fall_with_a_dimension(model, context_length, rule):
    flops = flops_per_token(model, rule, context_length)
    assert flops > 0
    assert all(flops_per_token(larger, rule, context_length) >= flops for larger in grown(model))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(architectures, st.integers(1, 8192))
def test_the_parts_add_up_and_recomputing_more_costs_more(model, context_length):
    flops = forward_flops(model, context_length)
    parts = (flops.attention, flops.scores, flops.mlp, flops.head, flops.prediction)
    assert min(parts) >= 0
    assert flops.total == pytest.approx(sum(parts), rel=1e-12)
    none, selective, full = (flops.training(kind) for kind in Recomputation)
    assert none < selective < full < 4 / 3 * none


@every_rule
@pytest.mark.parametrize("context_length", [0, -1])
def test_a_context_without_tokens_is_refused(rule, context_length):
    with pytest.raises(InputError, match="context_length"):
        flops_per_token(find_model("gpt-2-small"), rule, context_length)
