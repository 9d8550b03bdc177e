"""FLOPs of a run by part and by named rule; a multiply-add counts as two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from planner.errors import InputError
from planner.models.architecture import Architecture, Norm, QKNorm
from planner.models.parameters import count_parameters


class FlopsRule(StrEnum):
    """How FLOPs were counted. Figures of different rules are never added or compared without `convert_flops`."""

    SIX_ND_ACTIVE = "6nd:params_active"
    SIX_ND_TOTAL = "6nd:params_total"
    SIX_ND_NON_EMBEDDING = "6nd:params_non_embedding"
    SIX_ND_ACTIVE_NON_EMBEDDING = "6nd:params_active_non_embedding"
    EXACT = "exact"
    KAPLAN = "kaplan"
    DEEPSEEK = "deepseek"
    PALM = "palm"


class Recomputation(StrEnum):
    """What the backward pass computes again (Korthikanti et al., arXiv 2205.05198, section 5)."""

    NONE = "none"
    SELECTIVE = "selective"  # attention scores
    FULL = "full"  # every layer's forward pass; the head is kept


RULE_6ND_ACTIVE = FlopsRule.SIX_ND_ACTIVE.value


def training_flops(params: float, tokens: float) -> float:
    """6 x params x tokens (Kaplan et al., arXiv 2001.08361, section 2.1), attention scores left out.

    Both counts are raw; the product is a float because it overflows 64-bit integers.
    """
    return 6.0 * float(params) * float(tokens)


@dataclass(frozen=True)
class ForwardFlops:
    """FLOPs of one token's forward pass by part: matrix products only, norms and activations left out.

    `attention` is the projections, `scores` queries times keys and weights times values, `prediction` the
    multi-token-prediction modules with their pass through the head.
    """

    attention: float
    scores: float
    mlp: float
    head: float
    prediction: float

    @property
    def layers(self) -> float:
        """All but the head: what full recomputation runs again."""
        return self.attention + self.scores + self.mlp

    @property
    def total(self) -> float:
        """Every part."""
        return self.layers + self.head + self.prediction

    def training(self, recomputation: Recomputation = Recomputation.NONE) -> float:
        """Forward and backward, the backward at twice the forward, and what is computed again."""
        again = {Recomputation.NONE: 0.0, Recomputation.SELECTIVE: self.scores, Recomputation.FULL: self.layers}
        return 3.0 * self.total + again[recomputation]


def forward_flops(model: Architecture, context_length: int) -> ForwardFlops:
    """Exact matrix products of one token, averaged over a context of `context_length` tokens.

    Attention is causal: a token sees (context_length + 1) / 2 keys on average, fewer in a layer with a window. Raises
    InputError for a context of no tokens.
    """
    if context_length < 1:
        raise InputError(f"context_length = {context_length} is not a positive count", "give the tokens of a sequence")
    weights = count_parameters(_matrices(model))
    per_layer = 2.0 * _score_width(model)
    windowed = min(model.window.n_layers, model.n_layers) if model.window else 0
    everywhere = (model.n_layers - windowed) * _mean_keys(context_length, context_length)
    keys = everywhere + (windowed * _mean_keys(context_length, model.window.size) if model.window else 0.0)
    table = 2.0 * model.vocab_size * model.d_model
    module_scores = per_layer * _mean_keys(context_length, context_length)
    return ForwardFlops(
        attention=2.0 * (weights.attention - model.n_layers * _latent_norms(model)),
        scores=per_layer * keys,
        mlp=2.0 * weights.mlp_active,
        head=table,
        prediction=2.0 * (weights.prediction_active - model.prediction_modules * _latent_norms(model))
        + model.prediction_modules * (module_scores + table),
    )


def flops_per_token(model: Architecture, rule: FlopsRule, context_length: int) -> float:
    """Training FLOPs of one token by `rule`, nothing computed again.

    - `6nd:<count>`: 6 x that count (Kaplan et al., arXiv 2001.08361, section 2.1).
    - `exact`: three times the forward matrix products, attention causal (`forward_flops`).
    - `kaplan`: 6 N + 6 n_layers context d_attn, N without embeddings (arXiv 2001.08361, table 1 and eq. 2.2).
    - `deepseek`: M = 6 N + 12 n_layers d_attn context, N without embeddings (arXiv 2401.02954, eq. 2, where
      72 n_layers d_model^2 stands for 6 N).
    - `palm`: 6 N + 12 n_layers d_attn context, N with embeddings: what reported MFU counts (arXiv 2204.02311,
      appendix B; llm-foundry).
    """
    if context_length < 1:
        raise InputError(f"context_length = {context_length} is not a positive count", "give the tokens of a sequence")
    count = count_parameters(model)
    attended = float(model.n_layers) * context_length * _score_width(model) / 2.0
    match rule:
        case FlopsRule.SIX_ND_ACTIVE:
            return 6.0 * count.active
        case FlopsRule.SIX_ND_TOTAL:
            return 6.0 * count.total
        case FlopsRule.SIX_ND_NON_EMBEDDING:
            return 6.0 * count.non_embedding
        case FlopsRule.SIX_ND_ACTIVE_NON_EMBEDDING:
            return 6.0 * count.active_non_embedding
        case FlopsRule.EXACT:
            return forward_flops(model, context_length).training()
        case FlopsRule.KAPLAN:
            return 6.0 * count.active_non_embedding + 6.0 * attended
        case FlopsRule.DEEPSEEK:
            return 6.0 * count.active_non_embedding + 12.0 * attended
        case FlopsRule.PALM:
            return 6.0 * count.active + 12.0 * attended


def convert_flops(
    flops: float, model: Architecture, context_length: int, *, given: FlopsRule, wanted: FlopsRule
) -> float:
    """FLOPs counted by the rule `given` as the rule `wanted` would count the same run."""
    return flops * flops_per_token(model, wanted, context_length) / flops_per_token(model, given, context_length)


def _mean_keys(context_length: int, size: int) -> float:
    """Keys that a token sees on average, its own included, the last `size` at most."""
    seen = min(size, context_length)
    return seen - seen * (seen - 1) / (2.0 * context_length)


def _score_width(model: Architecture) -> int:
    """Channels of all heads: of queries and of values together, twice n_heads x head_dim unless attention is latent."""
    if model.latent is None:
        return 2 * model.n_heads * model.head_dim
    latent = model.latent
    return model.n_heads * (latent.qk_nope_head_dim + latent.qk_rope_head_dim + latent.v_head_dim)


def _matrices(model: Architecture) -> Architecture:
    """`model` without the parameters that are added or multiplied channel by channel."""
    experts = model.experts and replace(model.experts, routing_bias=False)
    return replace(
        model,
        norm=Norm.NON_PARAMETRIC,
        qk_norm=QKNorm.NONE,
        qkv_bias=False,
        output_bias=False,
        mlp_bias=False,
        attention_sinks=False,
        experts=experts,
    )


def _latent_norms(model: Architecture) -> int:
    """Norm weights inside one latent attention."""
    return model.latent.q_lora_rank + model.latent.kv_lora_rank if model.latent else 0
