"""Parameter counts agree with the published ones to the last digit, and grow with every dimension."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.models.architecture import Architecture, Experts, LatentAttention
from planner.models.catalog import find_model, model_entries
from planner.models.parameters import count_parameters

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "model_configs.csv"
CATALOG_NAMES = {"Llama-3.1-405B": "llama-3-405b"}  # same shape in 3 and 3.1; other names differ by case alone
ROUTING_BIAS = {"DeepSeek-V3", "Kimi-K2"}  # the file has no column for it (arXiv 2412.19437, eq. 16)

TOTALS = {  # safetensors totals; deepseek-ai/DeepSeek-V3 inference/configs; meta-llama model cards
    "deepseek-v3": 671_026_419_200,
    "deepseek-v2": 235_741_434_880,
    "llama-3-8b": 8_030_261_248,
    "llama-3-70b": 70_553_706_496,
    "llama-3-405b": 405_853_388_800,
}
every_model = pytest.mark.parametrize("name", model_entries())

counts = st.integers(1, 64)
latents = st.builds(LatentAttention, st.integers(0, 64), counts, counts, counts, counts)
experts = st.builds(
    lambda n, k, shared, d_ff, bias: Experts(n + k, k, shared, d_ff, 1, bias),
    counts, counts, st.integers(0, 4), counts, st.booleans(),
)  # fmt: skip
architectures = st.builds(
    Architecture,
    st.just("drawn"), st.just("drawn"), st.integers(2, 64), counts, counts, counts, counts, counts, counts,
    st.booleans(), st.none() | latents, st.none() | experts,
)  # fmt: skip


@every_model
def test_the_total_is_the_published_one_against_published(name):
    assert count_parameters(find_model(name)).total == TOTALS[name]


def test_active_counts_of_deepseek_v3_against_published():
    # arXiv 2412.19437, section 4.2: "37B activated"; the rule that gives 37B leaves the input embedding out
    count = count_parameters(find_model("deepseek-v3"))
    assert count.active == 37_552_297_472
    assert count.active_without_input_embedding == 36_625_618_432
    assert round(count.active_without_input_embedding / 1e9) == 37


def test_active_count_of_deepseek_v2_against_published():
    # arXiv 2405.04434, abstract: "236B total parameters, of which 21B are activated"
    count = count_parameters(find_model("deepseek-v2"))
    assert round(count.total / 1e9) == 236
    assert round(count.active / 1e9) == 21


@every_model
def test_non_embedding_leaves_both_tables_out(name):
    model = find_model(name)
    count = count_parameters(model)
    assert count.total - count.non_embedding == 2 * model.vocab_size * model.d_model


@pytest.mark.parametrize("name", [name for name in model_entries() if name.startswith("llama")])
def test_every_parameter_of_a_dense_model_is_active(name):
    count = count_parameters(find_model(name))
    assert count.active == count.total


def test_tied_embeddings_are_counted_once():
    model = find_model("llama-3-8b")
    untied, tied = count_parameters(model), count_parameters(replace(model, tied_embeddings=True))
    assert tied.head == 0
    assert untied.total - tied.total == tied.embedding
    assert tied.active_without_input_embedding == tied.active  # the one table is the head


@settings(max_examples=100, deadline=None, derandomize=True)
@given(architectures)
def test_the_parts_add_up(model):
    count = count_parameters(model)
    assert count.total == count.embedding + count.attention + count.mlp + count.norms + count.head
    assert 0 < count.active <= count.total
    assert count.non_embedding + count.embedding + count.head == count.total
    assert (count.active == count.total) or model.experts


@settings(max_examples=100, deadline=None, derandomize=True)
@given(architectures)
def test_the_total_grows_with_every_dimension(model):
    total = count_parameters(model).total
    for name in ("n_layers", "d_model", "n_heads", "d_ff", "vocab_size"):
        assert count_parameters(replace(model, **{name: getattr(model, name) + 1})).total > total, name
    if model.latent is None:
        for name in ("n_kv_heads", "head_dim"):
            assert count_parameters(replace(model, **{name: getattr(model, name) + 1})).total > total, name
    else:
        for name in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"):
            latent = replace(model.latent, **{name: getattr(model.latent, name) + 1})
            assert count_parameters(replace(model, latent=latent)).total > total, name
    if model.experts:
        for name in ("n_experts", "n_shared", "d_ff"):
            wider = replace(model.experts, **{name: getattr(model.experts, name) + 1})
            assert count_parameters(replace(model, experts=wider)).total > total, name


def reference_rows() -> list[dict[str, str]]:
    if not REFERENCE.is_file():
        pytest.skip(f"{REFERENCE} is absent: the collected shapes are not part of the repository")
    with REFERENCE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_architecture(row: dict[str, str]) -> Architecture:
    def number(name: str) -> int:
        return int(row[name] or 0)

    latent = LatentAttention(*map(number, ("mla_q_lora", "mla_kv_lora", "mla_qk_nope", "mla_qk_rope", "mla_v")))
    routed = Experts(
        *map(number, ("n_experts", "top_k", "n_shared_experts", "moe_d_ff", "n_dense_layers")),
        routing_bias=row["name"] in ROUTING_BIAS,
    )
    shape = ("n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff", "vocab_rows")
    return Architecture(
        row["name"], row["family"], *map(number, shape), tied_embeddings=row["tied_embeddings"] == "True",
        latent=latent if row["mla_kv_lora"] else None, experts=routed if row["n_experts"] else None,
    )  # fmt: skip


def test_the_catalog_holds_the_collected_shapes_against_published():
    found = set()
    for row in reference_rows():
        name = CATALOG_NAMES.get(row["name"], row["name"].lower())
        if name not in model_entries():
            continue
        found.add(name)
        ours = find_model(name)
        assert replace(as_architecture(row), name=name, family=ours.family) == ours
        count = count_parameters(ours)
        assert count.total == int(row["params_published_total"]), name
        assert count.active == int(row["params_formula_active"]), name
        assert count.non_embedding == int(row["params_formula_non_embedding"]), name
    assert found == set(model_entries())


def test_every_collected_model_we_can_describe_has_its_published_total_against_published():
    plain = {"gated_mlp": "True", "norm": "rms", "norms_per_layer": "2", "qk_norm": "", "linear_bias": "none"}
    rows = [row for row in reference_rows() if plain.items() <= row.items() and row["params_published_total"]]
    assert len(rows) >= 20
    for row in rows:
        assert count_parameters(as_architecture(row)).total == int(row["params_published_total"]), row["name"]
