"""What each Hugging Face family builds from its config's keys: fields of an Architecture.

Which layers there are, and which have a bias or a norm, is in huggingface/transformers,
src/transformers/models/<model_type>/modeling_<model_type>.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from planner.models.huggingface_keys import Keys, shown

Fields = dict[str, Any]

_PLAIN: Fields = {"gated_mlp": False, "norm": "layer"}


def _biased(attention: bool, mlp: bool) -> Fields:
    return {"qkv_bias": attention, "output_bias": attention, "mlp_bias": mlp}


def _shape(keys: Keys, d_ff: int, *, n_kv_heads: int | None = None, head_dim: int | None = None) -> Fields:
    """What every family has; without `n_kv_heads` heads share nothing, without `head_dim` they share the width."""
    width, n_heads = keys.count("hidden_size"), keys.count("num_attention_heads")
    if head_dim is None and width % n_heads:
        hint = "mend one, or give head_dim" if "head_dim" in keys.defaults else "mend one"
        raise keys.wrong(f"num_attention_heads = {n_heads} does not divide hidden_size = {width}", hint)
    return {
        "n_layers": keys.count("num_hidden_layers"),
        "d_model": width,
        "n_heads": n_heads,
        "n_kv_heads": n_kv_heads or n_heads,
        "head_dim": head_dim or width // n_heads,
        "d_ff": d_ff,
        "vocab_size": keys.count("vocab_size"),
        "tied_embeddings": keys.flag("tie_word_embeddings"),
    }


def _rotary(keys: Keys) -> Fields:
    """What Llama and its descendants have."""
    n_kv_heads, head_dim = keys.maybe("num_key_value_heads"), keys.maybe("head_dim")
    return _shape(keys, keys.count("intermediate_size"), n_kv_heads=n_kv_heads, head_dim=head_dim)


def _gpt2(keys: Keys) -> Fields:
    d_ff = keys.maybe("n_inner") or 4 * keys.count("hidden_size")
    positions = keys.count("n_positions")
    return {**_shape(keys, d_ff), **_PLAIN, **_biased(True, True), "learned_positions": positions}


def _neox(keys: Keys) -> Fields:
    return {**_shape(keys, keys.count("intermediate_size")), **_PLAIN, **_biased(keys.flag("attention_bias"), True)}


def _opt(keys: Keys) -> Fields:
    narrow = keys.maybe("word_embed_proj_dim")
    if narrow not in (None, keys.count("hidden_size")):
        raise keys.wrong(f"word_embed_proj_dim = {narrow} is not supported", "only hidden_size can be counted")
    keys.require("do_layer_norm_before", True)
    keys.require("_remove_final_layer_norm", False)
    biased = keys.flag("enable_bias")
    return {
        **_shape(keys, keys.count("ffn_dim")),
        **_biased(biased, biased),
        "gated_mlp": False,
        "norm": "layer" if keys.flag("layer_norm_elementwise_affine") else "non_parametric",
        "learned_positions": keys.count("max_position_embeddings") + 2,  # the offset of OPTLearnedPositionalEmbedding
    }


def _bloom(keys: Keys) -> Fields:
    shape = _shape(keys, 4 * keys.count("hidden_size"))
    return {**shape, **_PLAIN, **_biased(True, True), "embedding_norm": True}


def _falcon(keys: Keys) -> Fields:
    new, biased = keys.flag("new_decoder_architecture"), keys.flag("bias")
    multi_query = not new and keys.flag("multi_query")
    n_kv_heads = keys.maybe("num_kv_heads") if new else 1 if multi_query else None
    # Attention and MLP side by side can share one norm.
    n_norms = (keys.maybe("num_ln_in_parallel_attn") or (2 if new else 1)) if keys.flag("parallel_attn") else 2
    shape = _shape(keys, keys.maybe("ffn_hidden_size") or 4 * keys.count("hidden_size"), n_kv_heads=n_kv_heads)
    return {**shape, **_PLAIN, **_biased(biased, biased), "norms_per_layer": 2 if n_norms == 2 else 1}


def _llama(keys: Keys) -> Fields:
    return {**_rotary(keys), **_biased(keys.flag("attention_bias"), keys.flag("mlp_bias"))}


def _attention_biased(keys: Keys) -> Fields:
    return {**_rotary(keys), **_biased(keys.flag("attention_bias"), False)}


def _window(keys: Keys, n_layers: int) -> Fields:
    """A sliding window in `n_layers` layers, unless there is none."""
    size = keys.maybe("sliding_window")
    return {"window": {"size": size, "n_layers": n_layers} if size and n_layers > 0 else None}


def _listed_window(keys: Keys, otherwise: int) -> Fields:
    """A window in the layers that `layer_types` lists, in `otherwise` without the list."""
    listed, n_layers = keys.value("layer_types"), keys.count("num_hidden_layers")
    if listed is None:
        return _window(keys, otherwise)
    known = ("full_attention", "sliding_attention")
    if not isinstance(listed, list) or len(listed) != n_layers or any(kind not in known for kind in listed):
        hint = f"{n_layers} of full_attention and sliding_attention"
        raise keys.wrong(f"layer_types = {shown(listed)} is not supported", hint)
    return _window(keys, listed.count("sliding_attention"))


def _every_other(keys: Keys) -> Fields:
    """A window in every other layer, from the first."""
    return _listed_window(keys, (keys.count("num_hidden_layers") + 1) // 2)


def _mistral(keys: Keys) -> Fields:
    return {**_rotary(keys), **_window(keys, keys.count("num_hidden_layers"))}


def _gemma2(keys: Keys) -> Fields:
    return {**_attention_biased(keys), **_every_other(keys), "norms_per_layer": 4}


def _olmo(keys: Keys) -> Fields:
    return {**_attention_biased(keys), "norm": "non_parametric"}


def _olmo2(keys: Keys) -> Fields:
    return {**_attention_biased(keys), "qk_norm": "full"}


def _smollm3(keys: Keys) -> Fields:
    if not keys.flag("use_sliding_window"):
        return _llama(keys)
    if keys.value("no_rope_layers") is None:
        without_rotation = keys.count("num_hidden_layers") // keys.count("no_rope_layer_interval")
    else:
        without_rotation = keys.indices("no_rope_layers").count(0)  # 1 has, 0 has not
    return {**_llama(keys), **_listed_window(keys, without_rotation)}


def _late_window(keys: Keys) -> Fields:
    """Layers from `max_window_layers` on have the window, if it is used at all."""
    if not keys.flag("use_sliding_window"):
        return {}
    return _listed_window(keys, keys.count("num_hidden_layers") - keys.count("max_window_layers", 0))


def _qwen2(keys: Keys) -> Fields:
    return {**_rotary(keys), **_late_window(keys), "qkv_bias": True}


def _qwen3(keys: Keys) -> Fields:
    return {**_attention_biased(keys), **_late_window(keys), "qk_norm": "head"}


def _experts(keys: Keys, key: str, d_ff: str, n_dense_layers: int = 0) -> Fields:
    return {
        "n_experts": keys.count(key),
        "experts_per_token": keys.count("num_experts_per_tok"),
        "n_shared": 0,
        "d_ff": keys.count(d_ff),
        "n_dense_layers": n_dense_layers,
    }


def _mixtral(keys: Keys) -> Fields:
    return {**_mistral(keys), "experts": _experts(keys, "num_local_experts", "intermediate_size")}


def _olmoe(keys: Keys) -> Fields:
    shape = _shape(keys, keys.count("intermediate_size"), n_kv_heads=keys.maybe("num_key_value_heads"))
    experts = _experts(keys, "num_experts", "intermediate_size")
    return {**shape, **_biased(keys.flag("attention_bias"), False), "qk_norm": "full", "experts": experts}


def _gpt_oss(keys: Keys) -> Fields:
    experts = {**_experts(keys, "num_local_experts", "intermediate_size"), "routing_bias": True}
    return {
        **_rotary(keys), **_biased(keys.flag("attention_bias"), True), **_every_other(keys),
        "attention_sinks": True, "experts": experts,
    }  # fmt: skip


def _qwen_experts(keys: Keys) -> Fields:
    keys.require("decoder_sparse_step", 1)
    dense = sorted(set(keys.indices("mlp_only_layers")))
    if dense != list(range(len(dense))):
        raise keys.wrong(f"mlp_only_layers = {shown(dense)} is not supported", "only the first layers can be dense")
    return _experts(keys, "num_experts", "moe_intermediate_size", len(dense))


def _qwen2_moe(keys: Keys) -> Fields:
    windowed = (min(keys.count("num_hidden_layers"), keys.count("max_window_layers", 0)) + 1) // 2
    window = _listed_window(keys, windowed) if keys.flag("use_sliding_window") else {}
    shared = {"n_shared": 1, "shared_d_ff": keys.count("shared_expert_intermediate_size"), "shared_gate": True}
    experts = {**_qwen_experts(keys), **shared}
    return {**_rotary(keys), **window, "qkv_bias": keys.flag("qkv_bias"), "experts": experts}


def _qwen3_moe(keys: Keys) -> Fields:
    window = _window(keys, keys.count("num_hidden_layers")) if keys.flag("use_sliding_window") else {}
    return {**_attention_biased(keys), **window, "qk_norm": "head", "experts": _qwen_experts(keys)}


def _deepseek(keys: Keys) -> Fields:
    keys.require("attention_bias", False)
    latent = {
        "q_lora_rank": keys.maybe("q_lora_rank", 0) or 0,
        "kv_lora_rank": keys.count("kv_lora_rank"),
        "qk_nope_head_dim": keys.count("qk_nope_head_dim"),
        "qk_rope_head_dim": keys.count("qk_rope_head_dim", 0),
        "v_head_dim": keys.count("v_head_dim"),
    }
    shape = _shape(keys, keys.count("intermediate_size"), head_dim=latent["v_head_dim"])
    experts = None
    if keys.value("n_routed_experts") is not None:
        keys.require("moe_layer_freq", 1)
        n_dense_layers = keys.count("first_k_dense_replace", 0)
        experts = {
            **_experts(keys, "n_routed_experts", "moe_intermediate_size", n_dense_layers),
            "n_shared": keys.maybe("n_shared_experts", 0) or 0,
        }
    return {**shape, "latent": latent, "experts": experts}


def _deepseek_v2(keys: Keys) -> Fields:
    keys.require("mlp_bias", False)
    return _deepseek(keys)


def _deepseek_v3(keys: Keys) -> Fields:
    fields = _deepseek(keys)
    if fields["experts"]:  # DeepSeek's own class has the bias with this method alone
        fields["experts"]["routing_bias"] = keys.value("topk_method") == "noaux_tc"
    return {**fields, "prediction_modules": keys.count("num_nextn_predict_layers", 0)}


FAMILIES: dict[str, Callable[[Keys], Fields]] = {
    "gpt2": _gpt2, "gpt_neox": _neox, "opt": _opt, "bloom": _bloom, "falcon": _falcon,
    "llama": _llama, "mistral": _mistral, "mixtral": _mixtral, "phi3": _mistral, "smollm3": _smollm3,
    "gemma": _attention_biased, "gemma2": _gemma2, "gpt_oss": _gpt_oss,
    "olmo": _olmo, "olmo2": _olmo2, "olmoe": _olmoe,
    "qwen2": _qwen2, "qwen2_moe": _qwen2_moe, "qwen3": _qwen3, "qwen3_moe": _qwen3_moe,
    "deepseek_v2": _deepseek_v2, "deepseek_v3": _deepseek_v3,
}  # fmt: skip
