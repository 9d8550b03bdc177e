"""What a run trains: the shape of a decoder, dense or mixture of experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

# Read by pydantic when a shape comes from a file: an unknown field is an error, never dropped.
STRICT = {"extra": "forbid"}
Positive = Annotated[int, Field(gt=0, strict=True)]
Natural = Annotated[int, Field(ge=0, strict=True)]


@dataclass(frozen=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1); widths in channels."""

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    q_lora_rank: Natural
    kv_lora_rank: Positive
    qk_nope_head_dim: Positive
    qk_rope_head_dim: Natural
    v_head_dim: Positive


@dataclass(frozen=True)
class Experts:
    """A mixture-of-experts MLP (DeepSeekMoE, arXiv 2401.06066): routed and shared experts.

    `d_ff` is the width of one expert; the first `n_dense_layers` layers keep a dense MLP.
    `routing_bias` is one bias per routed expert and layer (DeepSeek-V3, arXiv 2412.19437, eq. 16).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    n_experts: Positive
    experts_per_token: Positive
    n_shared: Natural
    d_ff: Positive
    n_dense_layers: Natural
    routing_bias: bool = False


@dataclass(frozen=True)
class Architecture:
    """A decoder-only transformer with gated MLPs and RMS norms.

    Without `latent` the attention is grouped-query with `n_kv_heads`; without `experts` every layer is dense.
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
    tied_embeddings: bool = False
    latent: LatentAttention | None = None
    experts: Experts | None = None
