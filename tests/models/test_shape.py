"""A shape of the reference's family lies near the wanted size and keeps what makes the family."""

from functools import cache

import pytest

from planner.errors import InputError
from planner.models.catalog import find_model, model_entries
from planner.models.parameters import count_parameters
from planner.models.shape import shape_for

TARGETS = [3e8, 5e8, 7e8, 1e9, 1.3e9, 1.7e9, 2e9, 2.5e9, 3e9, 4e9, 5e9, 6e9, 7e9, 8e9, 13e9, 20e9, 37e9]
every_family = pytest.mark.parametrize("name", model_entries())
every_size = pytest.mark.parametrize("params_active", TARGETS, ids=lambda size: f"{size / 1e9:g}b")


@cache
def scaled(name, params_active):
    return shape_for(find_model(name), params_active)


@every_size
@every_family
def test_the_active_count_is_within_two_per_cent(name, params_active):
    shape = scaled(name, params_active)
    assert count_parameters(shape).active == pytest.approx(params_active, rel=0.02)


@every_size
@pytest.mark.parametrize("name", ["deepseek-v3", "deepseek-v2"])
def test_sparsity_matches_the_reference(name, params_active):
    reference = find_model(name)
    shape = scaled(name, params_active)
    for field in ("n_experts", "experts_per_token", "n_shared", "routing_bias"):
        assert getattr(shape.experts, field) == getattr(reference.experts, field), field
    assert 1 <= shape.experts.n_dense_layers < shape.n_layers


@every_size
@every_family
def test_heads_divide_over_eight_and_over_their_keys(name, params_active):
    shape = scaled(name, params_active)
    assert shape.n_heads % 8 == 0
    assert shape.n_heads % shape.n_kv_heads == 0
    assert shape.d_model % 128 == 0


@every_size
@every_family
def test_vocabulary_family_and_kind_are_the_references(name, params_active):
    reference = find_model(name)
    shape = scaled(name, params_active)
    assert shape.vocab_size == reference.vocab_size
    assert shape.family == reference.family
    assert (shape.latent is None) == (reference.latent is None)
    assert (shape.experts is None) == (reference.experts is None)


@every_family
def test_a_shape_is_the_same_every_time(name):
    assert shape_for(find_model(name), 2e9) == shape_for(find_model(name), 2e9)


@every_family
def test_larger_targets_give_larger_models_with_other_names(name):
    shapes = [scaled(name, size) for size in TARGETS]
    totals = [count_parameters(shape).total for shape in shapes]
    assert totals == sorted(totals)
    assert len({shape.name for shape in shapes}) == len(TARGETS)


@every_family
def test_a_size_that_the_vocabulary_alone_exceeds_is_refused(name):
    with pytest.raises(InputError, match=rf"{name} has no shape with 1e\+07 active parameters") as refusal:
        shape_for(find_model(name), 1e7)
    assert "ask for a larger size" in refusal.value.hint


def test_a_size_beyond_the_family_is_refused_without_asking_for_a_larger_one():
    with pytest.raises(InputError, match=r"llama-3-8b has no shape with 1e\+13 active parameters") as refusal:
        shape_for(find_model("llama-3-8b"), 1e13)
    assert "ask for a larger size" not in refusal.value.hint
