"""Hugging Face configs give the shapes that were published, or say what is missing."""

import json
import tomllib
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.models.architecture import Architecture, Window
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
    "kimi-k2": {"model_type": "kimi_k2", "attention_bias": False, "first_k_dense_replace": 1, "hidden_size": 7168,
                "intermediate_size": 18432, "kv_lora_rank": 512, "moe_intermediate_size": 2048, "moe_layer_freq": 1,
                "n_group": 1, "n_routed_experts": 384, "n_shared_experts": 1, "num_attention_heads": 64,
                "num_experts_per_tok": 8, "num_hidden_layers": 61, "num_key_value_heads": 64,
                "num_nextn_predict_layers": 0, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
                "tie_word_embeddings": False, "topk_method": "noaux_tc", "v_head_dim": 128,
                "vocab_size": 163840},  # moonshotai/Kimi-K2-Base
    "olmo-7b": {"model_type": "olmo", "attention_bias": False, "clip_qkv": None, "hidden_size": 4096,
                "intermediate_size": 11008, "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32,
                "tie_word_embeddings": False, "vocab_size": 50304},  # allenai/OLMo-7B-hf
    "smollm3-3b": {"model_type": "smollm3", "attention_bias": False, "hidden_size": 2048, "intermediate_size": 11008,
                   "layer_types": ["full_attention"] * 36, "max_window_layers": 28, "mlp_bias": False,
                   "no_rope_layer_interval": 4, "no_rope_layers": [1, 1, 1, 0] * 9, "num_attention_heads": 16,
                   "num_hidden_layers": 36, "num_key_value_heads": 4, "sliding_window": None,
                   "use_sliding_window": False, "vocab_size": 128256},  # HuggingFaceTB/SmolLM3-3B
    "gpt-oss-20b": {"model_type": "gpt_oss", "attention_bias": True, "experts_per_token": 4, "head_dim": 64,
                    "hidden_size": 2880, "intermediate_size": 2880,
                    "layer_types": ["sliding_attention", "full_attention"] * 12, "num_attention_heads": 64,
                    "num_experts_per_tok": 4, "num_hidden_layers": 24, "num_key_value_heads": 8, "num_local_experts": 32,
                    "quantization_config": {"quant_method": "mxfp4"}, "sliding_window": 128, "tie_word_embeddings": False,
                    "vocab_size": 201088},  # openai/gpt-oss-20b
    "bloom-176b": {"model_type": "bloom", "n_embed": 14336, "n_layer": 70, "num_attention_heads": 112,
                   "pretraining_tp": 4, "vocab_size": 250880},  # bigscience/bloom
}  # fmt: skip
every_config = pytest.mark.parametrize("name", PUBLISHED)

# Every class left to its defaults, as transformers 5.24.0 builds its ForCausalLM on torch's meta device: p.numel() over
# model.parameters() (with DeepSeek-V3's e_score_correction_bias, which it keeps as a buffer), heads, width of the MLP.
DEFAULTS = {
    "gpt2": (124439808, 12, 3072), "gpt_neox": (20554567680, 64, 24576), "opt": (125239296, 12, 3072),
    "bloom": (16156544, 8, 256), "falcon": (6921720704, 71, 18176), "llama": (6738415616, 32, 11008),
    "mistral": (7241732096, 32, 14336), "mixtral": (46702792704, 32, 14336), "phi3": (3821079552, 32, 8192),
    "smollm3": (3075098624, 16, 11008), "gemma": (8537680896, 16, 24576), "gemma2": (2614341888, 8, 9216),
    "gpt_oss": (116829156672, 64, 2880), "olmo": (6888095744, 32, 11008), "olmo2": (6888624128, 32, 11008),
    "olmoe": (13361612800, 16, 2048), "qwen2": (12049846272, 32, 22016), "qwen2_moe": (14315784192, 16, 5632),
    "qwen3": (12049461248, 32, 22016), "qwen3_moe": (15350731776, 32, 6144), "deepseek_v2": (38612307968, 32, 11008),
    "deepseek_v3": (671026419200, 128, 18432),
}  # fmt: skip
EXPERTS_PER_TOKEN = {"mixtral": 2, "qwen2_moe": 4, "qwen3_moe": 8, "deepseek_v3": 8, "gpt_oss": 4, "olmoe": 8}
WINDOWS = {"mistral": Window(4096, 32), "gemma2": Window(4096, 13), "gpt_oss": Window(128, 18)}
WINDOWS_IF_USED = {
    "qwen2": Window(4096, 4), "qwen3": Window(4096, 4), "qwen2_moe": Window(4096, 12), "qwen3_moe": Window(4096, 24),
    "smollm3": Window(8, 9),
}  # fmt: skip
WITHOUT_DEFAULT = {"deepseek_v2": {"num_experts_per_tok": 6}}

# The same count of small shapes, and how many of their layers have `self_attn.sliding_window`.
HEADS = {"hidden_size": 24, "num_attention_heads": 6, "num_hidden_layers": 5, "vocab_size": 97}
SMALL = {**HEADS, "intermediate_size": 62}
GROUPED = {**SMALL, "num_key_value_heads": 3}
OPT = {**HEADS, "ffn_dim": 17, "max_position_embeddings": 19}
DEEPSEEK = {**SMALL, "kv_lora_rank": 11, "qk_nope_head_dim": 7, "qk_rope_head_dim": 4, "v_head_dim": 5,
            "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 13, "n_shared_experts": 2,
            "first_k_dense_replace": 2}  # fmt: skip
MIXED = ["sliding_attention", "full_attention", "full_attention", "sliding_attention", "sliding_attention"]
WINDOWED = {**GROUPED, "use_sliding_window": True}
COUNTED = [
    ("gpt2", {**HEADS, "n_positions": 19, "n_inner": 17, "tie_word_embeddings": False}, 21925, 0),
    ("gpt_neox", {**SMALL, "attention_bias": False, "tie_word_embeddings": True}, 29686, 0),
    ("opt", {**OPT, "enable_bias": False}, 18960, 0),
    ("opt", {**OPT, "layer_norm_elementwise_affine": False, "tie_word_embeddings": False}, 21445, 0),
    ("bloom", {**HEADS, "tie_word_embeddings": False}, 40872, 0),
    ("falcon", {**HEADS, "multi_query": False, "parallel_attn": False, "bias": True}, 38496, 0),
    ("falcon", {**HEADS, "new_decoder_architecture": True, "num_kv_heads": 3, "ffn_hidden_size": 17}, 15576, 0),
    ("falcon", {**HEADS, "new_decoder_architecture": True, "num_ln_in_parallel_attn": 1,
                "tie_word_embeddings": False}, 39504, 0),
    ("llama", {**SMALL, "head_dim": 10, "attention_bias": True}, 57060, 0),
    ("llama", {**GROUPED, "mlp_bias": True, "tie_word_embeddings": True}, 34292, 0),
    ("mistral", {**GROUPED, "head_dim": 10, "sliding_window": 8}, 48840, 5),
    ("mixtral", {**GROUPED, "num_local_experts": 3, "num_experts_per_tok": 1, "sliding_window": 8}, 80880, 5),
    ("mixtral", {**GROUPED, "num_experts": 3}, 80880, 0),
    ("phi3", {**SMALL, "sliding_window": 8}, 38760, 5),
    ("smollm3", {**WINDOWED, "attention_bias": True, "mlp_bias": True, "sliding_window": 8,
                 "no_rope_layers": [0, 1, 1, 0, 0]}, 34652, 3),
    ("smollm3", {**WINDOWED, "sliding_window": 8, "no_rope_layer_interval": 2, "tie_word_embeddings": False}, 35880, 2),
    ("gemma", {**GROUPED, "head_dim": 10, "attention_bias": True, "tie_word_embeddings": False}, 49560, 0),
    ("gemma2", {**GROUPED, "head_dim": 10, "attention_bias": True}, 47472, 3),
    ("gemma2", {**GROUPED, "layer_types": ["full_attention"] * 4 + ["sliding_attention"]}, 578112, 1),
    ("gpt_oss", {**GROUPED, "attention_bias": False, "num_local_experts": 3, "num_experts_per_tok": 1}, 212745, 3),
    ("gpt_oss", {**GROUPED, "num_experts": 5, "layer_types": MIXED, "tie_word_embeddings": True}, 260747, 3),
    ("olmo", {**GROUPED, "attention_bias": True}, 35976, 0),
    ("olmo2", {**SMALL, "head_dim": 10, "tie_word_embeddings": True}, 54312, 0),
    ("olmo2", {**GROUPED, "attention_bias": True}, 36420, 0),
    ("olmoe", {**GROUPED, "num_experts": 3, "num_experts_per_tok": 1, "attention_bias": True}, 81420, 0),
    ("olmoe", {**SMALL, "num_local_experts": 12}, 285960, 0),
    ("qwen2", {**WINDOWED, "max_window_layers": 3, "head_dim": 10}, 49440, 2),
    ("qwen2", {**WINDOWED, "layer_types": MIXED, "tie_word_embeddings": True}, 33792, 3),
    ("qwen2", {**GROUPED, "layer_types": MIXED}, 36120, 0),
    ("qwen2", {**WINDOWED, "max_window_layers": 9}, 36120, 0),
    ("qwen2_moe", {**WINDOWED, "max_window_layers": 9}, 32461440, 3),
    ("qwen3", {**WINDOWED, "attention_bias": True, "max_window_layers": 1}, 312800, 4),
    ("qwen2_moe", {**WINDOWED, "max_window_layers": 4, "num_experts": 7, "moe_intermediate_size": 13,
                   "shared_expert_intermediate_size": 17, "qkv_bias": False}, 53400, 2),
    ("qwen2_moe", {**GROUPED, "mlp_only_layers": [1, 0], "moe_intermediate_size": 13,
                   "shared_expert_intermediate_size": 17}, 199272, 0),
    ("qwen3_moe", {**WINDOWED, "num_local_experts": 9, "moe_intermediate_size": 13, "mlp_only_layers": [0],
                   "attention_bias": True}, 52984, 5),
    ("qwen3_moe", {**GROUPED, "num_experts": 9, "head_dim": 10, "moe_intermediate_size": 13,
                   "tie_word_embeddings": True}, 67492, 0),
    ("deepseek_v2", {**DEEPSEEK, "q_lora_rank": 9}, 44494, 0),
    ("deepseek_v2", {**DEEPSEEK, "first_k_dense_replace": 5, "tie_word_embeddings": True}, 733207, 0),
    ("deepseek_v3", {**DEEPSEEK, "q_lora_rank": None}, 48331, 0),
    ("deepseek_v3", {**DEEPSEEK, "n_shared_experts": 1, "first_k_dense_replace": 0}, 737115, 0),
]  # fmt: skip


def read(fields):
    return read_config(json.dumps(fields), "config.json")


@every_config
def test_a_published_config_gives_the_published_total(name):
    published = (
        model_entries()[name].published or 1_026_408_232_448
    )  # arXiv 2507.20534: "1.04T", routing biases counted
    assert count_parameters(read(PUBLISHED[name]).architecture).total == published


@every_config
def test_a_published_config_gives_the_catalogs_shape(name):
    shape, known = read(PUBLISHED[name]).architecture, find_model(name)
    assert replace(shape, family=known.family, name=known.name) == known


@pytest.mark.parametrize("kind", DEFAULTS)
def test_a_class_left_to_its_defaults_is_what_transformers_builds_against_transformers(kind):
    shape = read({"model_type": kind, **WITHOUT_DEFAULT.get(kind, {})}).architecture
    assert (count_parameters(shape).total, shape.n_heads, shape.d_ff) == DEFAULTS[kind]
    assert shape.window == WINDOWS.get(kind)
    assert shape.prediction_modules == (kind == "deepseek_v3")
    if shape.experts:
        assert shape.experts.experts_per_token == EXPERTS_PER_TOKEN.get(kind, 6)


@pytest.mark.parametrize("kind", WINDOWS_IF_USED)
def test_a_window_is_where_transformers_has_it_once_it_is_used_against_transformers(kind):
    size = {"sliding_window": 8} if kind == "smollm3" else {}  # it has no default there
    assert read({"model_type": kind, "use_sliding_window": True, **size}).architecture.window == WINDOWS_IF_USED[kind]
    assert read({"model_type": kind, "sliding_window": 8}).architecture.window is None


def test_a_window_used_without_a_size_is_none():
    assert read({"model_type": "smollm3", "use_sliding_window": True}).architecture.window is None
    assert read({"model_type": "mistral", "sliding_window": None}).architecture.window is None


@pytest.mark.parametrize(("kind", "fields", "total", "windowed"), COUNTED)
def test_a_small_config_is_counted_as_transformers_builds_it_against_transformers(kind, fields, total, windowed):
    shape = read({"model_type": kind, **fields}).architecture
    assert count_parameters(shape).total == total
    assert (shape.window.n_layers if shape.window else 0) == windowed


def test_falcon_7b_shares_its_tables_as_its_class_does():
    # tiiuae/falcon-7b; the catalog's total counts the shared output head a second time
    fields = {"model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
              "num_kv_heads": 71, "multi_query": True, "parallel_attn": True, "vocab_size": 65024}  # fmt: skip
    shape, known = read(fields).architecture, find_model("falcon-7b")
    assert replace(shape, name=known.name, tied_embeddings=False) == known


def test_an_empty_llama_config_is_llama_7b_and_says_what_it_took():
    reading = read({"model_type": "llama"})
    assert count_parameters(reading.architecture).total == 6_738_415_616  # meta-llama/Llama-2-7b-hf
    assert reading.assumed == {
        "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": None, "head_dim": None, "attention_bias": False, "mlp_bias": False, "vocab_size": 32000,
        "tie_word_embeddings": False,
    }  # fmt: skip


@every_config
def test_what_the_file_gives_is_never_among_the_assumed(name):
    reading = read(PUBLISHED[name])
    assert not set(reading.assumed) & set(PUBLISHED[name])


def test_a_default_is_said_under_the_classs_own_name_for_it():
    assert "n_embd" in read({"model_type": "gpt2"}).assumed
    assert not {"n_embd", "hidden_size"} & set(read({"model_type": "gpt2", "hidden_size": 24, "n_head": 2}).assumed)


def test_the_routing_bias_of_deepseek_comes_with_its_method():
    for kind, method, has_bias in (("deepseek_v2", "greedy", False), ("deepseek_v3", "noaux_tc", True),
                                   ("deepseek_v3", "greedy", False)):  # fmt: skip
        experts = read({"model_type": kind, **DEEPSEEK, "topk_method": method}).architecture.experts
        assert experts.routing_bias is has_bias
    assert read({"model_type": "deepseek_v3", **DEEPSEEK, "n_routed_experts": None}).architecture.experts is None


@pytest.mark.parametrize(
    ("called", "name"), [("a/b", "a/b"), ("", "llama"), (3, "llama"), ("a\nb", "llama"), (None, "llama")]
)
def test_a_model_has_the_name_in_the_file_or_its_types(called, name):
    assert read({"model_type": "llama", "_name_or_path": called}).architecture.name == name


LLAMA = {"model_type": "llama", **GROUPED}
MOE = {"model_type": "qwen3_moe"}
GEMMA = {"model_type": "gemma2", **GROUPED}
REFUSED = [
    ({"model_type": "lama"}, 'model_type "lama" is not known', "did you mean 'llama'? known: gpt2,"),
    ({"model_type": "t5"}, 'model_type "t5" is not known', "one of: gpt2, gpt_neox, opt,"),
    ({}, "model_type is missing", "one of: gpt2"),
    ({"model_type": ["llama"]}, "model_type ['llama'] is not known", ""),
    ({"model_type": "x" * 5000}, 'model_type "xxx', "one of: gpt2"),
    ({**LLAMA, "hidden_size": "4096"}, 'hidden_size = "4096" is not a count', "a whole number from 1 to 2**53"),
    ({**LLAMA, "hidden_size": 4096.0}, "hidden_size = 4096.0 is not a count", ""),
    ({**LLAMA, "hidden_size": float("nan")}, "hidden_size = NaN is not a count", ""),
    ({**LLAMA, "hidden_size": -1}, "hidden_size = -1 is not a count", ""),
    ({**LLAMA, "hidden_size": 2**53}, "hidden_size = 9007199254740992 is not a count", ""),
    ({**LLAMA, "hidden_size": True}, "hidden_size = true is not a count", ""),
    ({**LLAMA, "hidden_size": None}, "hidden_size is null", ""),
    ({**LLAMA, "hidden_size": 25}, "num_attention_heads = 6 does not divide hidden_size = 25", "or give head_dim"),
    ({"model_type": "gpt2", "n_embd": 25}, "num_attention_heads = 12 does not divide hidden_size = 25", "mend one"),
    ({**LLAMA, "num_key_value_heads": 5}, "n_kv_heads = 5 does not divide n_heads = 6", ""),
    ({**LLAMA, "mlp_bias": 1}, "mlp_bias = 1 is not true or false", ""),
    ({**LLAMA, "text_config": {}}, "a multimodal config", "put its text_config into a file of its own"),
    ({**LLAMA, "is_encoder_decoder": True}, "is_encoder_decoder = true", "only decoders"),
    ({"model_type": "gpt2", "add_cross_attention": True}, "add_cross_attention = true", "only decoders"),
    (
        {"model_type": "gpt2", "n_embd": 24, "hidden_size": 48},
        "hidden_size = 48 and n_embd = 24",
        "the two are one key",
    ),
    ({"model_type": "deepseek_v2"}, "num_experts_per_tok is missing, and deepseek_v2 has no default for it", "add it"),
    ({"model_type": "deepseek_v3", "attention_bias": True}, "attention_bias = true is not supported", "only false can"),
    (
        {"model_type": "deepseek_v3", "moe_layer_freq": 2},
        "moe_layer_freq = 2 is not supported",
        "only 1 can be counted",
    ),
    ({"model_type": "deepseek_v2", "mlp_bias": True}, "mlp_bias = true is not supported", ""),
    (
        {"model_type": "opt", "word_embed_proj_dim": 512},
        "word_embed_proj_dim = 512 is not supported",
        "only hidden_size",
    ),
    ({"model_type": "opt", "do_layer_norm_before": False}, "do_layer_norm_before = false is not supported", ""),
    ({"model_type": "opt", "_remove_final_layer_norm": True}, "_remove_final_layer_norm = true is not supported", ""),
    ({**MOE, "decoder_sparse_step": 2}, "decoder_sparse_step = 2 is not supported", "only 1 can be counted"),
    ({**MOE, "mlp_only_layers": [3]}, "mlp_only_layers = [3] is not supported", "only the first layers can be dense"),
    ({**MOE, "mlp_only_layers": 3}, "mlp_only_layers = 3 is not a list of layers", ""),
    ({**MOE, "mlp_only_layers": [-1]}, "mlp_only_layers = [-1] is not a list of layers", "whole numbers from 0"),
    ({**MOE, "mlp_only_layers": [False]}, "mlp_only_layers = [False] is not a list of layers", ""),
    ({**MOE, "mlp_only_layers": list(range(25))}, "n_dense_layers = 25 of 24 layers", ""),
    ({**GEMMA, "layer_types": ["full_attention"]}, "layer_types = ['full_attention'] is not supported", "5 of full_"),
    ({**GEMMA, "layer_types": ["linear_attention"] * 5}, "layer_types = ['linear_attention', ", "5 of full_attention"),
    ({**GEMMA, "layer_types": {"0": 1}}, "layer_types = {'0': 1} is not supported", ""),
    ({"model_type": "mixtral", "num_experts_per_tok": 9}, "experts_per_token = 9 of 8 experts", ""),
]


@pytest.mark.parametrize(("fields", "message", "hint"), REFUSED)
def test_what_is_no_such_config_is_refused_with_its_place(fields, message, hint):
    with pytest.raises(InputError) as refusal:
        read(fields)
    assert refusal.value.message.startswith("config.json: ")
    assert message in refusal.value.message
    assert refusal.value.hint
    assert hint in refusal.value.hint
    assert len(refusal.value.message) < 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"), ("{", "not JSON"), ("9" * 10_000, "not JSON"), ("[]", "[] is not a JSON object"),
        ("3", "3 is not a JSON object"), ('"' + "a" * 1000 + '"', "is not a JSON object"), ("NaN", "NaN is not a JSON object"),
        ('{"a": 1, "a": 2}', '"a" is there twice'), ('{"a\\nb": 1, "a\\nb": 2}', '"a\\nb" is there twice'),
        ("[" * 100_000, "nested too deeply"), ('{"a": ' * 100_000, "nested too deeply"),
        ('{"model_type": ' + "[" * 900 + "]" * 900 + "}", "model_type "),
        ('{"model_type": "llama", "hidden_size": ' + "[" * 900 + "]" * 900 + "}", "hidden_size = "),
    ],
)  # fmt: skip
def test_what_is_no_config_at_all_is_refused_on_one_short_line(text, message):
    with pytest.raises(InputError) as refusal:
        read_config(text, "config.json")
    assert message in refusal.value.message
    assert "\n" not in refusal.value.message
    assert len(refusal.value.message) < 200


def test_a_page_of_keys_is_read_at_once():
    text = json.dumps({"model_type": "llama", **{f"key_{i}": i for i in range(50_000)}})
    assert read_config(text, "config.json").architecture == read({"model_type": "llama"}).architecture


CLASSES = tomllib.loads(files("planner.models").joinpath("huggingface.toml").read_text(encoding="utf-8"))
KEYS = sorted({key for fields in CLASSES.values() for key in fields} - {"also"})
SCALARS = st.none() | st.booleans() | st.integers(-3, 300) | st.integers() | st.floats() | st.text(max_size=3)
VALUES = SCALARS | st.recursive(
    st.integers(0, 3) | SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)


def read_or_refuse(text):
    try:
        shape = read_config(text, "config.json").architecture
    except InputError as refusal:
        assert "\n" not in refusal.message
        assert refusal.hint
        return
    assert isinstance(shape, Architecture)
    assert count_parameters(shape).total > 0


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_any_values_give_a_shape_or_one_clear_refusal(data):
    kind = data.draw(st.sampled_from(sorted(CLASSES)))
    changes = st.dictionaries(st.sampled_from(sorted(CLASSES[kind])), VALUES, max_size=3)
    read_or_refuse(json.dumps({"num_experts_per_tok": 2, "model_type": kind, **data.draw(changes)}))


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    "value", [None, 0, -1, 7, 2**60, True, 0.5, float("inf"), "", "x", [], [0], [[]], {}], ids=repr
)
def test_any_value_of_any_key_gives_a_shape_or_one_clear_refusal(kind, value):
    for key in KEYS:
        read_or_refuse(json.dumps({"num_experts_per_tok": 2, "model_type": kind, key: value}))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=20) | VALUES.map(json.dumps))
def test_any_text_gives_one_clear_refusal(text):
    with pytest.raises(InputError):
        read_config(text, "config.json")
