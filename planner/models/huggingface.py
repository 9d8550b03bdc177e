"""Architectures from a Hugging Face config.json."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from planner.errors import InputError
from planner.models.architecture import Architecture
from planner.models.catalog import build

_NONE = "none"  # TOML has no null
_ALIASES = {"kimi_k2": "deepseek_v3"}  # moonshotai/Kimi-K2: "model_type": "kimi_k2", the classes of DeepSeek-V3
_DEEPEST = 40  # nested values: no config goes beyond a handful


@dataclass(frozen=True)
class ConfigReading:
    """An architecture, and the class's defaults it took for keys the file leaves out."""

    architecture: Architecture
    assumed: MappingProxyType[str, Any]


@dataclass(frozen=True)
class _Config:
    """The keys of one file over its class's defaults; remembers which defaults were asked for."""

    place: str
    kind: str
    given: dict[str, Any]
    defaults: dict[str, Any]
    assumed: dict[str, Any] = field(default_factory=dict)

    def value(self, key: str) -> Any:  # noqa: ANN401 - whatever the file has
        """The key's value, or its class's default."""
        if key in self.given:
            return self.given[key]
        if key not in self.defaults:
            raise InputError(f"{self.place}: {key} is missing, and {self.kind} has no default for it", "add it")
        default = self.defaults[key]
        self.assumed[key] = None if default == _NONE else default
        return self.assumed[key]

    def count(self, key: str, least: int = 1) -> int:
        """A whole number of at least `least`."""
        found = self.maybe(key, least)
        if found is None:
            raise InputError(f"{self.place}: {key} is null", "give a whole number")
        return found

    def maybe(self, key: str, least: int = 1) -> int | None:
        """A whole number of at least `least`, or null."""
        found = self.value(key)
        if found is not None and (isinstance(found, bool) or not isinstance(found, int) or not least <= found < 2**53):
            raise InputError(
                f"{self.place}: {key} = {_shown(found)} is not a count", f"give a whole number from {least}"
            )
        return found

    def flag(self, key: str) -> bool:
        """True or false."""
        found = self.value(key)
        if not isinstance(found, bool):
            raise InputError(f"{self.place}: {key} = {_shown(found)} is not true or false", "give one of the two")
        return found

    def refuse(self, what: str) -> InputError:
        """For what the planner cannot count."""
        return InputError(f"{self.place}: {what} is not supported", "write the shape as a TOML file: docs/design.md")


def read_config(text: str, name: str) -> ConfigReading:
    """The architecture that `text`, the contents of the config.json that `name` points to, describes.

    A key that the published config class has a default for may be missing. Raises InputError for anything else: an
    unknown `model_type`, a missing key, a value of the wrong kind, or a shape the planner cannot count.
    """
    given = _parsed(text, name)
    kind = given.get("model_type")
    if "text_config" in given:
        raise InputError(f"{name}: a multimodal config", "put its text_config into a file of its own")
    known = _defaults()
    if not isinstance(kind, str) or _ALIASES.get(kind, kind) not in known:
        near = difflib.get_close_matches(str(kind), [*known, *_ALIASES], n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"one of: {', '.join([*known, *_ALIASES])}"
        raise InputError(f"{name}: model_type {_shown(kind)} is not known", hint)
    family = _ALIASES.get(kind, kind)
    config = _Config(name, kind, given, known[family])
    fields = {"family": kind.replace("_", "-"), **_FAMILIES[family](config)}
    return ConfigReading(build(str(given.get("_name_or_path") or kind), fields, name), MappingProxyType(config.assumed))


@cache
def _defaults() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("planner.models").joinpath("huggingface.toml").read_text(encoding="utf-8"))


def _parsed(text: str, place: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [key for key, _ in pairs]
        twice = next((key for key in names if names.count(key) > 1), None)
        if twice is not None:
            raise InputError(f"{place}: {twice} is there twice", "keep one")
        return dict(pairs)

    try:
        found = json.loads(text, object_pairs_hook=once)
    except RecursionError:
        raise InputError(f"{place}: nested deeper than {_DEEPEST} levels", "give a config.json") from None
    except ValueError as error:  # also of numbers too long to read
        raise InputError(f"{place}: not JSON: {error}", "give the config.json of a model") from None
    if not isinstance(found, dict):
        raise InputError(f"{place}: not a JSON object", "give the config.json of a model")
    return found


def _shown(value: Any) -> str:  # noqa: ANN401 - whatever the file has
    shown = json.dumps(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."


def _gpt2(config: _Config) -> dict[str, Any]:
    width = config.count("n_embd")
    return {
        **_heads(config, width, config.count("n_head"), None, None),
        **_PLAIN, **_BIASED,
        "n_layers": config.count("n_layer"),
        "d_ff": config.maybe("n_inner") or 4 * width,
        "vocab_size": config.count("vocab_size"),
        "learned_positions": config.count("n_positions"),
        "tied_embeddings": config.flag("tie_word_embeddings"),
    }  # fmt: skip


def _neox(config: _Config) -> dict[str, Any]:
    width, biased = config.count("hidden_size"), config.flag("attention_bias")
    return {
        **_sizes(config), **_PLAIN,
        **_heads(config, width, config.count("num_attention_heads"), None, None),
        "qkv_bias": biased, "output_bias": biased, "mlp_bias": True,
    }  # fmt: skip


def _opt(config: _Config) -> dict[str, Any]:
    width = config.count("hidden_size")
    if (config.maybe("word_embed_proj_dim") or width) != width:
        raise config.refuse("an embedding narrower than the model (word_embed_proj_dim)")
    for key in ("do_layer_norm_before", "enable_bias", "layer_norm_elementwise_affine"):
        if not config.flag(key):
            raise config.refuse(f"{key} = false")
    return {
        **_heads(config, width, config.count("num_attention_heads"), None, None),
        **_PLAIN, **_BIASED,
        "n_layers": config.count("num_hidden_layers"),
        "d_ff": config.count("ffn_dim"),
        "vocab_size": config.count("vocab_size"),
        "learned_positions": config.count("max_position_embeddings") + 2,  # OPTLearnedPositionalEmbedding's offset
        "tied_embeddings": config.flag("tie_word_embeddings"),
    }  # fmt: skip


_PLAIN = {"gated_mlp": False, "norm": "layer"}
_BIASED = {"qkv_bias": True, "output_bias": True, "mlp_bias": True}


def _sizes(config: _Config) -> dict[str, Any]:
    return {
        "n_layers": config.count("num_hidden_layers"),
        "d_ff": config.count("intermediate_size"),
        "vocab_size": config.count("vocab_size"),
        "tied_embeddings": config.flag("tie_word_embeddings"),
    }


def _heads(config: _Config, width: int, n_heads: int, n_kv_heads: int | None, head_dim: int | None) -> dict[str, Any]:
    """Width and heads; a head's size is the width's share unless given."""
    if head_dim is None and width % n_heads:
        raise InputError(f"{config.place}: {n_heads} heads do not divide a width of {width}", "give head_dim")
    return {
        "d_model": width, "n_heads": n_heads, "n_kv_heads": n_kv_heads or n_heads, "head_dim": head_dim or width // n_heads
    }  # fmt: skip


def _rotary(config: _Config) -> dict[str, Any]:
    """What every family after Llama has."""
    width, n_heads = config.count("hidden_size"), config.count("num_attention_heads")
    heads = _heads(config, width, n_heads, config.maybe("num_key_value_heads"), config.maybe("head_dim"))
    return {**_sizes(config), **heads}


def _attention_bias(config: _Config) -> dict[str, Any]:
    biased = config.flag("attention_bias")
    return {"qkv_bias": biased, "output_bias": biased}


def _llama(config: _Config) -> dict[str, Any]:
    return {**_rotary(config), **_attention_bias(config), "mlp_bias": config.flag("mlp_bias")}


def _mistral(config: _Config) -> dict[str, Any]:
    return {**_rotary(config), **_window(config, config.count("num_hidden_layers"))}


def _mixtral(config: _Config) -> dict[str, Any]:
    experts = {
        "n_experts": config.count("num_local_experts"), "experts_per_token": config.count("num_experts_per_tok"),
        "n_shared": 0, "d_ff": config.count("intermediate_size"), "n_dense_layers": 0,
    }  # fmt: skip
    return {**_mistral(config), "experts": experts}


def _window(config: _Config, n_layers: int) -> dict[str, Any]:
    """A sliding window in `n_layers` layers, unless there is none."""
    size = config.maybe("sliding_window")
    return {"window": {"size": size, "n_layers": n_layers}} if size and n_layers > 0 else {}


def _qwen_window(config: _Config) -> dict[str, Any]:
    """Layers from `max_window_layers` on have the window, if it is used at all."""
    if not config.flag("use_sliding_window"):
        return {}
    return _window(config, config.count("num_hidden_layers") - config.count("max_window_layers", 0))


def _qwen2(config: _Config) -> dict[str, Any]:
    return {**_rotary(config), **_qwen_window(config), "qkv_bias": True}


def _qwen3(config: _Config) -> dict[str, Any]:
    return {**_rotary(config), **_qwen_window(config), **_attention_bias(config), "qk_norm": "head"}


def _qwen_experts(config: _Config, **shared: object) -> dict[str, Any]:
    if config.count("decoder_sparse_step") != 1:
        raise config.refuse(f"decoder_sparse_step = {config.value('decoder_sparse_step')}")
    dense = config.value("mlp_only_layers") or []
    if dense != list(range(len(dense))):
        raise config.refuse(f"mlp_only_layers = {_shown(dense)}: dense layers that are not the first")
    return {
        "n_experts": config.count("num_experts"), "experts_per_token": config.count("num_experts_per_tok"),
        "d_ff": config.count("moe_intermediate_size"), "n_dense_layers": len(dense), "n_shared": 0, **shared,
    }  # fmt: skip


def _qwen2_moe(config: _Config) -> dict[str, Any]:
    shared = {"n_shared": 1, "shared_d_ff": config.count("shared_expert_intermediate_size"), "shared_gate": True}
    fields = {**_rotary(config), **_qwen_window(config), "qkv_bias": config.flag("qkv_bias")}
    return {**fields, "experts": _qwen_experts(config, **shared)}


def _qwen3_moe(config: _Config) -> dict[str, Any]:
    return {**_qwen3(config), "experts": _qwen_experts(config)}


def _gemma2(config: _Config) -> dict[str, Any]:
    windowed = (config.count("num_hidden_layers") + 1) // 2  # every other layer, from the first
    return {**_rotary(config), **_attention_bias(config), **_window(config, windowed), "norms_per_layer": 4}


def _olmo(config: _Config) -> dict[str, Any]:
    return {**_rotary(config), **_attention_bias(config), "norm": "non_parametric"}


def _olmo2(config: _Config) -> dict[str, Any]:
    return {**_rotary(config), **_attention_bias(config), "qk_norm": "full"}


def _deepseek(config: _Config) -> dict[str, Any]:
    if config.flag("attention_bias"):
        raise config.refuse("attention_bias = true with latent attention")
    if config.count("moe_layer_freq") != 1:
        raise config.refuse(f"moe_layer_freq = {config.value('moe_layer_freq')}")
    latent = {
        key: config.count(key, 0) for key in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    }
    n_heads = config.count("num_attention_heads")
    fields = {
        **_sizes(config), "d_model": config.count("hidden_size"), "n_heads": n_heads, "n_kv_heads": n_heads,
        "head_dim": latent["v_head_dim"], "latent": {**latent, "q_lora_rank": config.maybe("q_lora_rank") or 0},
        "prediction_modules": config.count("num_nextn_predict_layers", 0),
    }  # fmt: skip
    n_experts = config.maybe("n_routed_experts")
    if n_experts is None:
        return fields
    experts = {
        "n_experts": n_experts, "experts_per_token": config.count("num_experts_per_tok"),
        "n_shared": config.maybe("n_shared_experts", 0) or 0, "d_ff": config.count("moe_intermediate_size"),
        "n_dense_layers": config.count("first_k_dense_replace", 0),
        "routing_bias": config.kind != "deepseek_v2",  # e_score_correction_bias
    }  # fmt: skip
    return {**fields, "experts": experts}


_FAMILIES: dict[str, Callable[[_Config], dict[str, Any]]] = {
    "gpt2": _gpt2, "gpt_neox": _neox, "opt": _opt, "llama": _llama, "mistral": _mistral, "mixtral": _mixtral,
    "qwen2": _qwen2, "qwen2_moe": _qwen2_moe, "qwen3": _qwen3, "qwen3_moe": _qwen3_moe, "gemma2": _gemma2,
    "olmo": _olmo, "olmo2": _olmo2, "deepseek_v2": _deepseek, "deepseek_v3": _deepseek,
}  # fmt: skip
