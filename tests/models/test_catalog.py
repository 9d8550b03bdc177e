"""The catalog has a source for every shape, and refuses what it does not know with one sentence."""

import pytest

from planner.errors import InputError
from planner.models.architecture import Architecture, Experts, LatentAttention
from planner.models.catalog import find_model, model_entries

SMALL = {
    "n_layers": 2, "d_model": 8, "n_heads": 2, "n_kv_heads": 1, "head_dim": 4, "d_ff": 16, "vocab_size": 100,
}  # fmt: skip
LATENT = {"q_lora_rank": 4, "kv_lora_rank": 4, "qk_nope_head_dim": 4, "qk_rope_head_dim": 2, "v_head_dim": 4}
EXPERTS = {"n_experts": 4, "experts_per_token": 2, "n_shared": 1, "d_ff": 8, "n_dense_layers": 1}


def toml(fields, **tables) -> str:
    lines = [f"{key} = {value}" for key, value in fields.items()]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in table.items())]
    return "\n".join(lines)


def refused(text: str) -> str:
    with pytest.raises(InputError, match=r"^my\.toml: ") as refusal:
        find_model("my.toml", text)
    assert "\n" not in refusal.value.message
    return refusal.value.message


@pytest.mark.parametrize("name", model_entries())
def test_every_entry_has_a_source_and_a_shape(name):
    assert len(model_entries()[name].source) > 10
    assert find_model(name).name == name
    assert find_model(name.upper()) == find_model(name)


@pytest.mark.parametrize(("wrong", "right"), [("lama-3-8b", "llama-3-8b"), ("DeepSeek-V4", "deepseek-v3")])
def test_a_misspelt_name_is_refused_with_the_nearest(wrong, right):
    with pytest.raises(InputError, match=f"unknown model '{wrong}'") as refusal:
        find_model(wrong)
    assert refusal.value.hint.startswith(
        "did you mean 'deepseek-v" if right == "deepseek-v3" else f"did you mean '{right}'"
    )


@pytest.mark.parametrize("name", ["", "zzz"])
def test_a_name_near_nothing_is_refused_with_where_to_look(name):
    with pytest.raises(InputError, match=f"unknown model '{name}'") as refusal:
        find_model(name)
    assert "planner models" in refusal.value.hint


def test_a_toml_text_is_a_model():
    model = find_model("shapes/tiny.toml", toml(SMALL, latent=LATENT, experts=EXPERTS))
    assert model == Architecture("tiny", "tiny", **SMALL, latent=LatentAttention(**LATENT), experts=Experts(**EXPERTS))


def test_the_source_of_a_toml_text_is_no_part_of_the_shape():
    assert find_model("tiny.toml", toml({"source": '"a paper"', **SMALL})) == Architecture("tiny", "tiny", **SMALL)


def test_text_that_is_not_toml_is_refused():
    assert "not TOML" in refused("n_layers = = 2")


@pytest.mark.parametrize("field", SMALL)
def test_a_missing_field_is_named(field):
    message = refused(toml({key: value for key, value in SMALL.items() if key != field}))
    assert f"{field}: field required" in message


@pytest.mark.parametrize(
    ("tables", "named"),
    [
        ({}, "n_layer:"),
        ({"experts": {**EXPERTS, "n_layer": 3}}, "experts.n_layer:"),
        ({"latent": {**LATENT, "n_layer": 3}}, "latent.n_layer:"),
    ],
)
def test_an_unknown_field_is_named(tables, named):
    fields = SMALL if tables else {**SMALL, "n_layer": 3}
    assert named in refused(toml(fields, **tables))


@pytest.mark.parametrize("value", [0, -16])
@pytest.mark.parametrize("field", SMALL)
def test_a_count_that_is_not_positive_is_named(field, value):
    assert f"{field} = {value} is not a positive count" in refused(toml({**SMALL, field: value}))


@pytest.mark.parametrize("value", ["1.5", '"wide"', "[1]", "nan", "true"])
def test_a_count_of_another_type_is_named(value):
    assert "d_ff" in refused(toml({**SMALL, "d_ff": value}))


@pytest.mark.parametrize("field", EXPERTS)
def test_a_negative_count_of_experts_is_named(field):
    assert field in refused(toml(SMALL, experts={**EXPERTS, field: -1}))


@pytest.mark.parametrize("field", LATENT)
def test_a_negative_width_of_latent_attention_is_named(field):
    assert field in refused(toml(SMALL, latent={**LATENT, field: -1}))


def test_more_experts_per_token_than_experts_are_refused():
    assert "experts_per_token" in refused(toml(SMALL, experts={**EXPERTS, "experts_per_token": 5}))


def test_more_dense_layers_than_layers_are_refused():
    assert "n_dense_layers" in refused(toml(SMALL, experts={**EXPERTS, "n_dense_layers": 3}))
