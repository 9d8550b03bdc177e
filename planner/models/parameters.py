"""Parameters of an architecture, counted by part."""

from __future__ import annotations

from dataclasses import dataclass

from planner.models.architecture import Architecture, Experts, LatentAttention, Norm, QKNorm

_WEIGHTS_PER_CHANNEL = {Norm.RMS: 1, Norm.LAYER: 2, Norm.NON_PARAMETRIC: 0}


@dataclass(frozen=True)
class ParameterCount:
    """Parameters by part, each a plain count; totals are derived.

    `embedding` holds tokens and learned positions; `mlp` every expert, `mlp_active` only the shared and the routed-to
    ones with the router. `prediction` is the multi-token-prediction modules, trained but in none of the totals, as in
    the published ones (DeepSeek-V3: "671B" without, 14B more with its copies of embedding and head).
    """

    embedding: int
    attention: int
    mlp: int
    mlp_active: int
    norms: int
    head: int
    prediction: int = 0
    prediction_active: int = 0

    @property
    def total(self) -> int:
        """Every parameter of the model that is served."""
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

    @property
    def active_non_embedding(self) -> int:
        """Used per token, neither embedding nor output head."""
        return self.active - self.embedding - self.head

    @property
    def trained(self) -> int:
        """Every parameter an optimizer holds: the total and the prediction modules."""
        return self.total + self.prediction


def count_parameters(model: Architecture) -> ParameterCount:
    """Parameters of `model` by part.

    DeepSeek-V3 comes to the published 671,026,419,200 (main model, routing biases included, prediction module left
    out; deepseek-ai/DeepSeek-V3 inference/configs/config_671B.json).
    """
    table = model.vocab_size * model.d_model
    norm = _WEIGHTS_PER_CHANNEL[model.norm] * model.d_model
    dense = _mlp(model, model.d_ff)
    n_dense, stored, used = model.n_layers, 0, 0
    if model.experts:
        n_dense = model.experts.n_dense_layers
        stored, used = _expert_layer(model, model.experts)
    n_sparse = model.n_layers - n_dense
    attention = attention_parameters(model)
    norms_of_layer = model.norms_per_layer * norm + _qk_norm(model)
    head = 0 if model.tied_embeddings else table
    # A module joins two normed streams, projects them back, and is one more layer (arXiv 2412.19437, eq. 21-23).
    joined = 2 * model.d_model * model.d_model + 3 * norm + attention + norms_of_layer
    return ParameterCount(
        embedding=table + model.learned_positions * model.d_model,
        attention=model.n_layers * attention,
        mlp=n_dense * dense + n_sparse * stored,
        mlp_active=n_dense * dense + n_sparse * used,
        norms=model.n_layers * norms_of_layer + (2 if model.embedding_norm else 1) * norm,
        head=head + (model.vocab_size if model.head_bias else 0),
        prediction=model.prediction_modules * (joined + (stored or dense)),
        prediction_active=model.prediction_modules * (joined + (used or dense)),
    )


def _mlp(model: Architecture, d_ff: int) -> int:
    """One MLP of width `d_ff`: up (and gate) and down."""
    bias = (2 if model.gated_mlp else 1) * d_ff + model.d_model if model.mlp_bias else 0
    return (3 if model.gated_mlp else 2) * model.d_model * d_ff + bias


def _expert_layer(model: Architecture, experts: Experts) -> tuple[int, int]:
    """Parameters stored in one mixture layer, and those one token uses."""
    one = _mlp(model, experts.d_ff)
    router = experts.n_experts * (model.d_model + (1 if experts.routing_bias else 0))
    shared = experts.n_shared * _mlp(model, experts.shared_d_ff or experts.d_ff)
    always = shared + router + (model.d_model if experts.shared_gate else 0)
    return experts.n_experts * one + always, experts.experts_per_token * one + always


def _qk_norm(model: Architecture) -> int:
    """The norms of queries and keys in one layer."""
    if model.qk_norm is QKNorm.HEAD:
        return 2 * model.head_dim
    if model.qk_norm is QKNorm.FULL:
        return (model.n_heads + model.n_kv_heads) * model.head_dim
    return 0


def attention_parameters(model: Architecture) -> int:
    """Parameters of one layer's attention, without norms of the residual stream."""
    if model.latent is not None:
        return _latent(model, model.latent)
    queries, keys = model.n_heads * model.head_dim, model.n_kv_heads * model.head_dim
    biases = (queries + 2 * keys if model.qkv_bias else 0) + (model.d_model if model.output_bias else 0)
    sinks = model.n_heads if model.attention_sinks else 0
    return 2 * model.d_model * (queries + keys) + biases + sinks


def _latent(model: Architecture, latent: LatentAttention) -> int:
    qk = latent.qk_nope_head_dim + latent.qk_rope_head_dim
    if latent.q_lora_rank:  # a compressed query has its own norm
        queries = latent.q_lora_rank * (model.d_model + 1 + model.n_heads * qk)
    else:
        queries = model.d_model * model.n_heads * qk
    down = model.d_model * (latent.kv_lora_rank + latent.qk_rope_head_dim) + latent.kv_lora_rank
    up = latent.kv_lora_rank * model.n_heads * (latent.qk_nope_head_dim + latent.v_head_dim)
    return queries + down + up + model.n_heads * latent.v_head_dim * model.d_model
