"""A shape of the reference's family lies near the wanted size and keeps what makes the family."""

import math
from functools import cache

import pytest

from planner.errors import InputError
from planner.models.catalog import find_model, model_entries
from planner.models.parameters import count_parameters
from planner.models.shape import SizeCount, shape_for

TARGETS = [5e7, 2e8, 1e9, 3e9, 7e9, 30e9]
FAMILIES = {find_model(name).family: name for name in model_entries()}  # the last of each: the largest
SPARSE = [name for name in FAMILIES.values() if find_model(name).experts]
GEMMA = FAMILIES.pop("gemma-2")  # 256,000 words: its smallest shapes are tried on their own
every_family = pytest.mark.parametrize("name", FAMILIES.values())
every_sparse_family = pytest.mark.parametrize("name", SPARSE)
every_size = pytest.mark.parametrize("params", TARGETS, ids=lambda size: f"{size / 1e9:g}b")


@cache
def scaled(name, params, count=SizeCount.ACTIVE):
    return shape_for(find_model(name), params, count=count)


@every_size
@every_family
def test_the_active_count_is_within_two_per_cent(name, params):
    assert count_parameters(scaled(name, params)).active == pytest.approx(params, rel=0.02)


@every_size
@every_sparse_family
def test_the_total_count_is_within_two_per_cent(name, params):
    assert count_parameters(scaled(name, params, SizeCount.TOTAL)).total == pytest.approx(params, rel=0.02)


@pytest.mark.parametrize("params", [3e8, 1.7e9, 13e9, 37e9])
def test_sizes_in_between_are_met_too(params):
    assert count_parameters(scaled("deepseek-v3", params)).active == pytest.approx(params, rel=0.01)


@pytest.mark.parametrize("params", [1e8, 2e8, 1e9, 7e9, 30e9])
def test_a_family_with_a_vast_vocabulary_starts_at_100m(params):
    assert count_parameters(scaled(GEMMA, params)).active == pytest.approx(params, rel=0.02)
    with pytest.raises(InputError, match=r"has no shape with 5e\+07 active parameters"):
        scaled(GEMMA, 5e7)


@every_size
@every_sparse_family
def test_sparsity_matches_the_reference(name, params):
    reference = find_model(name)
    shape = scaled(name, params)
    for field in ("n_experts", "experts_per_token", "n_shared", "routing_bias"):
        assert getattr(shape.experts, field) == getattr(reference.experts, field), field
    assert shape.experts.n_dense_layers < shape.n_layers
    assert bool(shape.experts.n_dense_layers) == bool(reference.experts.n_dense_layers)


@pytest.mark.parametrize("sparsity", [1, 8, 64])
def test_another_sparsity_is_given_when_asked_for(sparsity):
    shape = shape_for(find_model("deepseek-v3"), 1e9, sparsity=sparsity)
    assert shape.experts.n_experts == sparsity * shape.experts.experts_per_token
    assert count_parameters(shape).active == pytest.approx(1e9, rel=0.02)


@pytest.mark.parametrize(
    ("name", "sparsity"), [("llama-3-8b", 8.0), ("deepseek-v3", 0.5), ("deepseek-v3", math.nan), ("kimi-k2", math.inf)]
)
def test_a_sparsity_that_cannot_be_is_refused(name, sparsity):
    with pytest.raises(InputError, match="sparsity"):
        shape_for(find_model(name), 1e9, sparsity=sparsity)


@pytest.mark.parametrize("params", [size for size in TARGETS if size >= 1e9])
@every_family
def test_heads_divide_over_eight_and_over_their_keys(name, params):
    shape = scaled(name, params)
    assert shape.n_heads % 8 == 0
    assert shape.n_heads % shape.n_kv_heads == 0
    assert shape.d_model % 128 == 0


@every_size
@every_family
def test_a_head_keeps_the_references_size(name, params):
    shape = scaled(name, params)
    assert shape.head_dim == find_model(name).head_dim
    assert shape.n_heads % shape.n_kv_heads == 0


@pytest.mark.parametrize("params", [size for size in TARGETS if size >= 1e9])
@every_family
def test_width_to_depth_stays_within_a_factor_of_the_references(name, params):
    shape, reference = scaled(name, params), find_model(name)
    ratio = shape.d_model / shape.n_layers / (reference.d_model / reference.n_layers)
    assert 0.6 < ratio < 1.6


@every_size
@every_family
def test_vocabulary_family_and_kind_are_the_references(name, params):
    reference = find_model(name)
    shape = scaled(name, params)
    assert shape.vocab_size == reference.vocab_size
    assert shape.family == reference.family
    assert (shape.latent is None) == (reference.latent is None)
    assert (shape.experts is None) == (reference.experts is None)


@every_family
def test_a_shape_is_the_same_every_time(name):
    assert shape_for(find_model(name), 1e9) == scaled(name, 1e9)


@every_family
def test_larger_targets_give_larger_models_with_other_names(name):
    shapes = [scaled(name, size) for size in TARGETS]
    actives = [count_parameters(shape).active for shape in shapes]
    assert actives == sorted(actives)
    assert len({shape.name for shape in shapes}) == len(TARGETS)


@every_family
def test_a_size_that_the_vocabulary_alone_exceeds_is_refused(name):
    with pytest.raises(InputError, match=rf"{name} has no shape with 1e\+06 active parameters") as refusal:
        shape_for(find_model(name), 1e6)
    assert "ask for a larger size" in refusal.value.hint


def test_a_size_beyond_the_family_is_refused_without_asking_for_a_larger_one():
    with pytest.raises(InputError, match=r"llama-3-8b has no shape with 1e\+13 active parameters") as refusal:
        shape_for(find_model("llama-3-8b"), 1e13)
    assert "ask for a larger size" not in refusal.value.hint
