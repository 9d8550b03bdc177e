"""Parameters of an architecture, counted by part."""

from __future__ import annotations

from dataclasses import dataclass

from planner.models.architecture import Architecture, Experts


@dataclass(frozen=True)
class ParameterCount:
    """Parameters by part, each a plain count; totals are derived.

    `mlp` holds every expert, `mlp_active` only the shared and the routed-to ones with the router.
    """

    embedding: int
    attention: int
    mlp: int
    mlp_active: int
    norms: int
    head: int

    @property
    def total(self) -> int:
        """Every parameter."""
        return self.embedding + self.attention + self.mlp + self.norms + self.head

    @property
    def active(self) -> int:
        """Used per token, embedding and head included; equals `total` for a dense model."""
        return self.total - self.mlp + self.mlp_active

    @property
    def active_without_input_embedding(self) -> int:
        """The rule behind "37B active" of DeepSeek-V3 (arXiv 2412.19437): a table look-up is not counted."""
        return self.active - (self.embedding if self.head else 0)

    @property
    def non_embedding(self) -> int:
        """Neither embedding nor output head."""
        return self.total - self.embedding - self.head


def count_parameters(model: Architecture) -> ParameterCount:
    """Parameters of `model` by part.

    DeepSeek-V3 comes to the published 671,026,419,200 (main model, routing biases included,
    prediction module left out; deepseek-ai/DeepSeek-V3 inference/configs/config_671B.json).
    """
    table = model.vocab_size * model.d_model
    dense = 3 * model.d_model * model.d_ff
    mlp = active = model.n_layers * dense
    if model.experts:
        sparse_layers = model.n_layers - model.experts.n_dense_layers
        stored, used = _expert_layer(model.d_model, model.experts)
        mlp = model.experts.n_dense_layers * dense + sparse_layers * stored
        active = model.experts.n_dense_layers * dense + sparse_layers * used
    return ParameterCount(
        embedding=table,
        attention=model.n_layers * _attention(model),
        mlp=mlp,
        mlp_active=active,
        norms=(2 * model.n_layers + 1) * model.d_model,
        head=0 if model.tied_embeddings else table,
    )


def _expert_layer(d_model: int, experts: Experts) -> tuple[int, int]:
    one = 3 * d_model * experts.d_ff
    router = experts.n_experts * (d_model + (1 if experts.routing_bias else 0))
    stored = (experts.n_experts + experts.n_shared) * one + router
    used = (experts.experts_per_token + experts.n_shared) * one + router
    return stored, used


def _attention(model: Architecture) -> int:
    if model.latent is None:
        queries_and_output = 2 * model.d_model * model.n_heads * model.head_dim
        return queries_and_output + 2 * model.d_model * model.n_kv_heads * model.head_dim
    latent = model.latent
    qk = latent.qk_nope_head_dim + latent.qk_rope_head_dim
    if latent.q_lora_rank:  # a compressed query has its own norm
        queries = latent.q_lora_rank * (model.d_model + 1 + model.n_heads * qk)
    else:
        queries = model.d_model * model.n_heads * qk
    down = model.d_model * (latent.kv_lora_rank + latent.qk_rope_head_dim) + latent.kv_lora_rank
    up = latent.kv_lora_rank * model.n_heads * (latent.qk_nope_head_dim + latent.v_head_dim)
    return queries + down + up + model.n_heads * latent.v_head_dim * model.d_model
