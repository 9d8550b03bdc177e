"""What one token asks of the hardware: FLOPs, activation bytes and parameters, by part of the model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from planner.models.architecture import Architecture, Experts
from planner.models.flops import forward_flops
from planner.models.parameters import count_parameters

BF16_BYTES = 2


@dataclass(frozen=True)
class Workload:
    """Sums over all layers unless said otherwise; FLOPs are of one token's forward pass, bytes of BF16 values.

    `activation_bytes` is what the backward pass reads of one token, attention scores computed again; `kept_bytes` what
    it keeps when norms, the MLP's product and latent attention's up-projections are computed again too, which costs next
    to nothing (DeepSeek-V3, arXiv 2412.19437, section 3.2.3). `dispatch_bytes` is what one token sends to the experts of
    its mixture layers, one way. Multi-token-prediction modules are layers here.
    """

    context_length: int
    n_layers: int
    d_model: int
    vocab_size: int
    n_heads: int
    n_experts: int
    n_moe_layers: int
    matmul_flops: float
    score_flops: float
    head_flops: float
    activation_bytes: float
    kept_bytes: float
    key_value_bytes: float
    dispatch_bytes: float
    expert_params: float
    layer_params: float
    table_params: float
    n_tables: int

    @property
    def params(self) -> float:
        """Everything that is trained."""
        return self.expert_params + self.layer_params + self.n_tables * self.table_params


@lru_cache(maxsize=4096)
def workload_of(model: Architecture, context_length: int) -> Workload:
    """The workload of `model` on sequences of `context_length` tokens; raises InputError for a context of no tokens."""
    flops = forward_flops(model, context_length)
    count = count_parameters(model)
    modules, experts = model.prediction_modules, model.experts
    n_layers = model.n_layers + modules
    n_moe = n_layers - experts.n_dense_layers if experts else 0
    stored = _stored_experts(model, experts) * n_moe if experts else 0.0
    table = float(model.vocab_size * model.d_model)
    heads = flops.head * modules
    return Workload(
        context_length=context_length,
        n_layers=n_layers,
        d_model=model.d_model,
        vocab_size=model.vocab_size,
        n_heads=model.n_heads,
        n_experts=experts.n_experts if experts else 0,
        n_moe_layers=n_moe,
        matmul_flops=flops.attention + flops.mlp + flops.prediction - heads,
        score_flops=flops.scores,
        head_flops=flops.head + heads,
        activation_bytes=_activation_bytes(model, n_layers, n_moe),
        kept_bytes=_kept_bytes(model, n_layers, n_moe),
        key_value_bytes=float(BF16_BYTES * n_layers * sum(_attention_channels(model)[1:])),
        dispatch_bytes=float(BF16_BYTES * n_moe * model.d_model * experts.experts_per_token) if experts else 0.0,
        expert_params=stored,
        layer_params=count.attention + count.mlp + count.norms + count.prediction - stored,
        table_params=table,
        n_tables=1 if model.tied_embeddings else 2,
    )


def _stored_experts(model: Architecture, experts: Experts) -> float:
    """Weights of the routed experts of one layer."""
    return float((3 if model.gated_mlp else 2) * model.d_model * experts.d_ff * experts.n_experts)


def _activation_bytes(model: Architecture, n_layers: int, n_moe: int) -> float:
    """Bytes one token leaves for the backward pass, all layers, attention scores not kept.

    Inputs of both norms and of both blocks, queries, keys, values, attention output, and the MLP's inner values: 32 d_model
    for a plain decoder, which is Korthikanti et al.'s 34 (arXiv 2205.05198, eq. 2) without dropout masks.
    """
    attention = 4 * model.d_model + sum(_attention_channels(model)) + _output_channels(model)
    inner = 3 if model.gated_mlp else 2  # up (and gate), and their product
    dense = inner * model.d_ff
    channels = n_layers * attention + (n_layers - n_moe) * dense
    experts = model.experts
    if experts:
        routed = experts.experts_per_token * (inner * experts.d_ff + 2 * model.d_model)  # with copies in and out
        shared = experts.n_shared * inner * (experts.shared_d_ff or experts.d_ff)
        channels += n_moe * (routed + shared)
    return float(BF16_BYTES * channels)


def _kept_bytes(model: Architecture, n_layers: int, n_moe: int) -> float:
    """What of `_activation_bytes` is not cheap to compute again: both residual inputs, latents or queries, keys and
    values, the attention output, and what goes into the MLP's activation."""
    latent = model.latent
    projected = latent.q_lora_rank + latent.kv_lora_rank + latent.qk_rope_head_dim if latent else None
    attention = 2 * model.d_model + (projected or sum(_attention_channels(model))) + _output_channels(model)
    inner = 2 if model.gated_mlp else 1
    channels = n_layers * attention + (n_layers - n_moe) * inner * model.d_ff
    experts = model.experts
    if experts:
        routed = experts.experts_per_token * (inner * experts.d_ff + model.d_model)
        channels += n_moe * (routed + experts.n_shared * inner * (experts.shared_d_ff or experts.d_ff))
    return float(BF16_BYTES * channels)


def _attention_channels(model: Architecture) -> tuple[int, int, int]:
    """Channels of queries, keys and values of one layer; latent ones are counted with the queries."""
    if model.latent is None:
        keys = model.n_kv_heads * model.head_dim
        return model.n_heads * model.head_dim, keys, keys
    latent = model.latent
    qk = model.n_heads * (latent.qk_nope_head_dim + latent.qk_rope_head_dim)
    return qk + latent.q_lora_rank + latent.kv_lora_rank, qk, model.n_heads * latent.v_head_dim


def _output_channels(model: Architecture) -> int:
    return model.n_heads * (model.latent.v_head_dim if model.latent else model.head_dim)
