"""Parameter counts agree with the published ones to the last digit, and grow with every dimension."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import parameters
from hypothesis import given, settings
from hypothesis import strategies as st
from truths import REPOSITORY

from planner.models.architecture import Architecture, Experts, LatentAttention, Norm, QKNorm
from planner.models.catalog import find_model, model_entries
from planner.models.parameters import count_parameters

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "model_configs.csv"

published_models = pytest.mark.parametrize(
    "name", [name for name, entry in model_entries().items() if entry.published is not None]
)
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
    tied_embeddings=st.booleans(), gated_mlp=st.booleans(), norm=st.sampled_from(Norm), qk_norm=st.sampled_from(QKNorm),
    qkv_bias=st.booleans(), mlp_bias=st.booleans(), head_bias=st.booleans(), learned_positions=st.integers(0, 64),
    attention_sinks=st.booleans(), prediction_modules=st.integers(0, 2),
    latent=st.none() | latents, experts=st.none() | experts,
)  # fmt: skip


@published_models
def test_the_total_is_the_published_one_against_published(name):
    assert count_parameters(find_model(name)).total == model_entries()[name].published


def test_the_catalog_has_a_published_total_for_81_models():
    assert sum(entry.published is not None for entry in model_entries().values()) == 81


def test_the_prediction_module_of_deepseek_v3_against_published():
    # deepseek-ai/DeepSeek-V3 README_WEIGHTS.md: "11.5B unique parameters, excluding the shared 0.9B embedding and head";
    # its 11.5B is short of the 0.10B projection that joins the two streams (arXiv 2412.19437, eq. 21)
    count = count_parameters(find_model("deepseek-v3"))
    assert count.prediction == pytest.approx(11.5e9, rel=0.01)
    assert round((count.prediction - 2 * 7168**2) / 1e9, 1) == 11.5
    assert count.trained == count.total + count.prediction


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
    tables = 1 if model.tied_embeddings else 2
    rows = tables * model.vocab_size + model.learned_positions
    biases = model.vocab_size if model.head_bias else 0
    assert count.total - count.non_embedding == rows * model.d_model + biases


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


def slug(name: str) -> str:
    plain = re.sub(r"\s*\(.*\)", "", name).lower().replace(" ", "-")
    return {"llama-3.1-405b": "llama-3-405b"}.get(plain, plain)  # same shape in 3 and 3.1


def test_the_catalog_holds_every_collected_shape_against_published():
    rows = {slug(row["name"]): row for row in reference_rows()}
    assert set(rows) <= set(model_entries())
    for name, row in rows.items():
        ours = find_model(name)
        count = count_parameters(ours)
        published = int(float(row["params_published_total"])) if row["params_published_total"] else None
        assert model_entries()[name].published == published, name
        shape = (ours.n_layers, ours.d_model, ours.n_heads, ours.n_kv_heads, ours.head_dim, ours.d_ff, ours.vocab_size)
        columns = ("n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff", "vocab_rows")
        assert shape == tuple(int(row[column]) for column in columns), name
        assert count.total == int(row["params_formula_total"]), name
        assert count.active == int(row["params_formula_active"]), name


def test_the_documented_table_is_what_is_counted(capsys):
    parameters.main()
    shown = capsys.readouterr().out
    assert "81 of 81 published totals are equal." in shown
    assert shown in (REPOSITORY / "docs/parameters.md").read_text(encoding="utf-8")
