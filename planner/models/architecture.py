"""What a run trains: the shape of a decoder, dense or mixture of experts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

# Read by pydantic when a shape comes from a file: an unknown field is an error, never dropped.
STRICT = {"extra": "forbid"}
Positive = Annotated[int, Field(gt=0, strict=True)]
Natural = Annotated[int, Field(ge=0, strict=True)]
Flag = Annotated[bool, Field(strict=True)]


class Norm(StrEnum):
    """What a normalisation layer learns for each channel."""

    RMS = "rms"  # a weight
    LAYER = "layer"  # a weight and a bias
    NON_PARAMETRIC = "non_parametric"  # nothing (OLMo 1, arXiv 2402.00838, section 2.1)


class QKNorm(StrEnum):
    """Normalisation of queries and keys; its weights are those of an RMS norm."""

    NONE = "none"
    HEAD = "head"  # one weight per channel of a head, shared by the heads (Qwen3, arXiv 2505.09388)
    FULL = "full"  # one weight per channel of all heads (OLMo 2, arXiv 2501.00656)


@dataclass(frozen=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1); widths in channels.

    `q_lora_rank` 0 leaves queries uncompressed.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    q_lora_rank: Natural
    kv_lora_rank: Positive
    qk_nope_head_dim: Positive
    qk_rope_head_dim: Natural
    v_head_dim: Positive


@dataclass(frozen=True)
class Experts:
    """A mixture-of-experts MLP (DeepSeekMoE, arXiv 2401.06066): routed and shared experts.

    `d_ff` is the width of one routed expert, `shared_d_ff` of one shared expert (0: the same). `n_dense_layers` layers
    keep a dense MLP. `routing_bias` is one bias per routed expert and layer (DeepSeek-V3, arXiv 2412.19437, eq. 16;
    gpt-oss), `shared_gate` a learned gate on the shared experts' sum (Qwen2-MoE, arXiv 2407.10671).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    n_experts: Positive
    experts_per_token: Positive
    n_shared: Natural
    d_ff: Positive
    n_dense_layers: Natural
    routing_bias: Flag = False
    shared_d_ff: Natural = 0
    shared_gate: Flag = False


@dataclass(frozen=True)
class Window:
    """Sliding-window attention: `n_layers` of the layers see the last `size` tokens, the others all of them."""

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    size: Positive
    n_layers: Positive


@dataclass(frozen=True)
class Architecture:
    """A decoder-only transformer.

    Attention is multi-head (`n_kv_heads` = `n_heads`), grouped-query, multi-query (1) or, with `latent`, multi-head
    latent. Without `experts` every layer has a dense MLP of width `d_ff`: gated (three matrices) or plain (two).
    Positions are rotary or ALiBi (no parameters) unless `learned_positions` rows are given. `norms_per_layer` counts
    the norms on the residual stream of one layer; `embedding_norm` adds one after the embedding (BLOOM).
    `attention_sinks` is one learned logit per head (gpt-oss). `prediction_modules` are the multi-token-prediction
    modules trained beside the model (DeepSeek-V3, arXiv 2412.19437, section 2.2), which share embedding and head.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    name: str
    family: str
    n_layers: Positive
    d_model: Positive
    n_heads: Positive
    n_kv_heads: Positive
    head_dim: Positive
    d_ff: Positive
    vocab_size: Positive
    tied_embeddings: Flag = False
    gated_mlp: Flag = True
    norm: Norm = Norm.RMS
    norms_per_layer: Natural = 2
    embedding_norm: Flag = False
    qk_norm: QKNorm = QKNorm.NONE
    learned_positions: Natural = 0
    qkv_bias: Flag = False
    output_bias: Flag = False
    mlp_bias: Flag = False
    head_bias: Flag = False
    attention_sinks: Flag = False
    window: Window | None = None
    latent: LatentAttention | None = None
    experts: Experts | None = None
    prediction_modules: Natural = 0
