"""What a run trains: the shape of a decoder, dense or mixture of experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

# Read by pydantic when a shape comes from a file: an unknown field is an error, never dropped.
STRICT = {"extra": "forbid"}


@dataclass(frozen=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1); widths in channels."""

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    q_lora_rank: int
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int


@dataclass(frozen=True)
class Experts:
    """A mixture-of-experts MLP (DeepSeekMoE, arXiv 2401.06066): routed and shared experts.

    `d_ff` is the width of one expert; the first `n_dense_layers` layers keep a dense MLP.
    `routing_bias` is one bias per routed expert and layer (DeepSeek-V3, arXiv 2412.19437, eq. 16).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    n_experts: int
    experts_per_token: int
    n_shared: int
    d_ff: int
    n_dense_layers: int
    routing_bias: bool = False


@dataclass(frozen=True)
class Architecture:
    """A decoder-only transformer with gated MLPs and RMS norms.

    Without `latent` the attention is grouped-query with `n_kv_heads`; without `experts` every layer is dense.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    name: str
    family: str
    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    d_ff: int
    vocab_size: int
    tied_embeddings: bool = False
    latent: LatentAttention | None = None
    experts: Experts | None = None
