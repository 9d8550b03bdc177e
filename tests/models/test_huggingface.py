"""Hugging Face configs give the shapes that were published, or say what is missing."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.catalog import find_model, model_entries
from planner.models.huggingface import read_config
from planner.models.parameters import count_parameters

# The fields of each repository's config.json that a count depends on.
PUBLISHED = {
    "gpt-2-small": {"model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
                    "vocab_size": 50257, "activation_function": "gelu_new"},  # openai-community/gpt2
    "pythia-6.9b": {"model_type": "gpt_neox", "hidden_size": 4096, "intermediate_size": 16384, "num_attention_heads": 32,
                    "num_hidden_layers": 32, "rotary_pct": 0.25, "tie_word_embeddings": False, "use_parallel_residual": True,
                    "vocab_size": 50432},  # EleutherAI/pythia-6.9b
    "opt-1.3b": {"model_type": "opt", "hidden_size": 2048, "ffn_dim": 8192, "num_attention_heads": 32,
                 "num_hidden_layers": 24, "max_position_embeddings": 2048, "vocab_size": 50272,
                 "word_embed_proj_dim": 2048, "do_layer_norm_before": True},  # facebook/opt-1.3b
    "llama-3-8b": {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
                   "num_hidden_layers": 32, "num_key_value_heads": 8, "attention_bias": False, "mlp_bias": False,
                   "rope_scaling": {"factor": 8.0}, "tie_word_embeddings": False, "vocab_size": 128256},  # Llama-3.1-8B
    "mistral-7b-v0.1": {"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
                   "num_hidden_layers": 32, "num_key_value_heads": 8, "sliding_window": 4096, "tie_word_embeddings": False,
                   "vocab_size": 32000},  # mistralai/Mistral-7B-v0.1
    "mixtral-8x7b-v0.1": {"model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
                     "num_experts_per_tok": 2, "num_hidden_layers": 32, "num_key_value_heads": 8, "num_local_experts": 8,
                     "sliding_window": None, "tie_word_embeddings": False, "vocab_size": 32000},  # Mixtral-8x7B-v0.1
    "qwen2.5-7b": {"model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "max_window_layers": 28,
                   "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4, "sliding_window": 131072,
                   "tie_word_embeddings": False, "use_sliding_window": False, "vocab_size": 152064},  # Qwen/Qwen2.5-7B
    "qwen3-8b": {"model_type": "qwen3", "attention_bias": False, "head_dim": 128, "hidden_size": 4096,
                 "intermediate_size": 12288, "num_attention_heads": 32, "num_hidden_layers": 36, "num_key_value_heads": 8,
                 "tie_word_embeddings": False, "use_sliding_window": False, "vocab_size": 151936},  # Qwen/Qwen3-8B
    "qwen3-30b-a3b": {"model_type": "qwen3_moe", "attention_bias": False, "decoder_sparse_step": 1, "head_dim": 128,
                      "hidden_size": 2048, "intermediate_size": 6144, "mlp_only_layers": [], "moe_intermediate_size": 768,
                      "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 48,
                      "num_key_value_heads": 4, "tie_word_embeddings": False, "use_sliding_window": False,
                      "vocab_size": 151936},  # Qwen/Qwen3-30B-A3B
    "gemma-2-9b": {"model_type": "gemma2", "attention_bias": False, "head_dim": 256, "hidden_size": 3584,
                   "intermediate_size": 14336, "num_attention_heads": 16, "num_hidden_layers": 42, "num_key_value_heads": 8,
                   "sliding_window": 4096, "vocab_size": 256000},  # google/gemma-2-9b
    "olmo-2-7b": {"model_type": "olmo2", "attention_bias": False, "hidden_size": 4096, "intermediate_size": 11008,
                  "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32,
                  "tie_word_embeddings": False, "vocab_size": 100352},  # allenai/OLMo-2-1124-7B
    "deepseek-v2-lite": {"model_type": "deepseek_v2", "attention_bias": False, "first_k_dense_replace": 1,
                         "hidden_size": 2048, "intermediate_size": 10944, "kv_lora_rank": 512, "moe_intermediate_size": 1408,
                         "moe_layer_freq": 1, "n_routed_experts": 64, "n_shared_experts": 2, "num_attention_heads": 16,
                         "num_experts_per_tok": 6, "num_hidden_layers": 27, "num_key_value_heads": 16, "q_lora_rank": None,
                         "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "tie_word_embeddings": False, "v_head_dim": 128,
                         "vocab_size": 102400},  # deepseek-ai/DeepSeek-V2-Lite
    "deepseek-v3": {"model_type": "deepseek_v3", "attention_bias": False, "first_k_dense_replace": 3, "hidden_size": 7168,
                    "intermediate_size": 18432, "kv_lora_rank": 512, "moe_intermediate_size": 2048, "moe_layer_freq": 1,
                    "n_group": 8, "n_routed_experts": 256, "n_shared_experts": 1, "num_attention_heads": 128,
                    "num_experts_per_tok": 8, "num_hidden_layers": 61, "num_key_value_heads": 128,
                    "num_nextn_predict_layers": 1, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
                    "quantization_config": {"quant_method": "fp8"}, "tie_word_embeddings": False, "topk_method": "noaux_tc",
                    "v_head_dim": 128, "vocab_size": 129280},  # deepseek-ai/DeepSeek-V3
}  # fmt: skip
every_config = pytest.mark.parametrize("name", PUBLISHED)


def read(fields):
    return read_config(json.dumps(fields), "config.json")


@every_config
def test_a_published_config_gives_the_published_total(name):
    assert count_parameters(read(PUBLISHED[name]).architecture).total == model_entries()[name].published


@every_config
def test_a_published_config_gives_the_catalogs_shape(name):
    shape, known = read(PUBLISHED[name]).architecture, find_model(name)
    for field in ("family", "name"):
        shape = replace(shape, **{field: getattr(known, field)})
    if known.latent:
        shape = replace(shape, head_dim=known.head_dim)  # without meaning: latent attention has its own sizes
    assert shape == known


def test_olmo_1_has_norms_without_weights_against_published():
    # allenai/OLMo-7B-hf: 6,888,095,744 parameters
    fields = {"model_type": "olmo", "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32,
              "num_hidden_layers": 32, "tie_word_embeddings": False, "vocab_size": 50304}  # fmt: skip
    assert count_parameters(read(fields).architecture).total == 6_888_095_744


def test_qwen_moe_has_a_gated_shared_expert_against_published():
    # Qwen/Qwen1.5-MoE-A2.7B: 14,315,784,192 parameters; every field is the class's default but the type
    reading = read({"model_type": "qwen2_moe"})
    assert count_parameters(reading.architecture).total == 14_315_784_192
    assert reading.architecture.experts.shared_gate


def test_an_empty_llama_config_is_llama_7b_and_says_what_it_took():
    reading = read({"model_type": "llama"})
    assert count_parameters(reading.architecture).total == 6_738_415_616  # meta-llama/Llama-2-7b-hf
    assert reading.assumed["hidden_size"] == 4096
    assert reading.assumed["num_key_value_heads"] is None
    assert set(reading.assumed) >= {"vocab_size", "intermediate_size", "tie_word_embeddings"}


@every_config
def test_what_the_file_gives_is_never_among_the_assumed(name):
    reading = read(PUBLISHED[name])
    assert not set(reading.assumed) & set(PUBLISHED[name])


def test_kimi_k2_is_read_as_deepseek_v3():
    fields = {**PUBLISHED["deepseek-v3"], "model_type": "kimi_k2"}
    ours = read(fields).architecture
    assert replace(ours, family="", name="") == replace(read(PUBLISHED["deepseek-v3"]).architecture, family="", name="")


def test_windows_are_where_the_family_has_them():
    assert read(PUBLISHED["gemma-2-9b"]).architecture.window.n_layers == 21
    assert read(PUBLISHED["mistral-7b-v0.1"]).architecture.window.n_layers == 32
    assert read(PUBLISHED["qwen2.5-7b"]).architecture.window is None
    used = {**PUBLISHED["qwen2.5-7b"], "use_sliding_window": True, "max_window_layers": 20}
    assert read(used).architecture.window.n_layers == 8


LLAMA = PUBLISHED["llama-3-8b"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "lama"}, 'model_type "lama" is not known'),
        ({}, "model_type null is not known"),
        ({"model_type": 3}, "model_type 3 is not known"),
        ({**LLAMA, "hidden_size": "4096"}, 'hidden_size = "4096" is not a count'),
        ({**LLAMA, "hidden_size": -1}, "hidden_size = -1 is not a count"),
        ({**LLAMA, "hidden_size": True}, "hidden_size = true is not a count"),
        ({**LLAMA, "hidden_size": None}, "hidden_size is null"),
        ({**LLAMA, "hidden_size": 4100}, "32 heads do not divide a width of 4100"),
        ({**LLAMA, "num_key_value_heads": 5}, "n_kv_heads = 5 does not divide n_heads = 32"),
        ({**LLAMA, "mlp_bias": 1}, "mlp_bias = 1 is not true or false"),
        ({**LLAMA, "text_config": {}}, "a multimodal config"),
        ({"model_type": "deepseek_v2"}, "num_experts_per_tok is missing, and deepseek_v2 has no default"),
        ({"model_type": "opt", "word_embed_proj_dim": 512}, "an embedding narrower than the model"),
        ({"model_type": "opt", "do_layer_norm_before": False}, "do_layer_norm_before = false is not supported"),
        ({"model_type": "qwen3_moe", "decoder_sparse_step": 2}, "decoder_sparse_step = 2 is not supported"),
        ({"model_type": "qwen3_moe", "mlp_only_layers": [3]}, "mlp_only_layers = [3]"),
        ({"model_type": "mixtral", "num_experts_per_tok": 9}, "experts_per_token = 9 of 8 experts"),
    ],
)
def test_what_is_no_such_config_is_refused_with_its_place(fields, message):
    with pytest.raises(InputError) as refusal:
        read(fields)
    assert message in str(refusal.value)
    assert str(refusal.value).startswith("config.json: ")
    assert refusal.value.hint


@pytest.mark.parametrize("text", ["", "[]", "{", "3", '{"a": 1, "a": 2}', "[" * 100_000, '{"a": ' * 2000, "9" * 10_000])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(InputError):
        read_config(text, "config.json")


KEYS = sorted({key for fields in PUBLISHED.values() for key in fields} - {"model_type"})
VALUES = (
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=3) | st.lists(st.integers(0, 3))
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(list(PUBLISHED)), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_any_values_give_a_shape_or_one_clear_refusal(name, changes):
    try:
        shape = read({**PUBLISHED[name], **changes}).architecture
    except InputError as refusal:
        assert "\n" not in str(refusal)
        return
    assert isinstance(shape, Architecture)
    assert count_parameters(shape).total > 0
