"""A decoder-only transformer in PyTorch whose parameters are those that `planner.models` counts."""

from __future__ import annotations

import math
import zlib

import torch
from torch import Tensor, nn
from torch.nn import functional

from planner.models.architecture import Architecture, QKNorm

ROTARY_BASE = 10_000.0  # RoFormer, arXiv 2104.09864, section 3.3


class Attention(nn.Module):
    """Causal attention with grouped queries and rotary positions; queries, keys and values in one product."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.width = shape.n_heads, shape.n_kv_heads, shape.head_dim
        rows = (self.heads + 2 * self.kv_heads) * self.width
        self.qkv = nn.Linear(shape.d_model, rows, bias=False)
        self.out = nn.Linear(self.heads * self.width, shape.d_model, bias=False)
        self.full = shape.qk_norm is QKNorm.FULL
        if shape.qk_norm is not QKNorm.NONE:
            self.q_norm = nn.Parameter(torch.ones(self.width * (self.heads if self.full else 1)))
            self.k_norm = nn.Parameter(torch.ones(self.width * (self.kv_heads if self.full else 1)))
        else:
            self.q_norm = self.k_norm = None  # type: ignore[assignment]

    def forward(self, x: Tensor, turn: Tensor) -> Tensor:
        """`(batch, context, d_model)` to the same."""
        batch, context, _ = x.shape
        heads = self.qkv(x).view(batch, context, -1, self.width)
        both, v = heads.split((self.heads + self.kv_heads, self.kv_heads), dim=2)
        if self.q_norm is not None:
            q, k = both.split((self.heads, self.kv_heads), dim=2)
            both = torch.cat((self._normed(q, self.q_norm), self._normed(k, self.k_norm)), dim=2)
        q, k = rotated(both, turn).split((self.heads, self.kv_heads), dim=2)
        if self.kv_heads != self.heads:
            k, v = (part.repeat_interleave(self.heads // self.kv_heads, dim=2) for part in (k, v))
        y = functional.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True
        )
        out: Tensor = self.out(y.transpose(1, 2).reshape(batch, context, -1))
        return out

    def _normed(self, heads: Tensor, weight: Tensor) -> Tensor:
        flat = heads.flatten(2) if self.full else heads
        return functional.rms_norm(flat, (flat.shape[-1],), weight).view(heads.shape)


def rotated(x: Tensor, turn: Tensor) -> Tensor:
    """Heads `(batch, context, heads, width)` turned by their positions; `turn` `(context, 1, width / 2, 2)` are cosines and sines.

    Neighbouring channels are the two parts of a complex number, as in Llama's own code: one product, a third of the time of
    sines and cosines on a CPU. PyTorch's compiler writes no code for complex numbers, so it sees the four real products.
    """
    pairs = x.float().unflatten(-1, (-1, 2))
    if torch.compiler.is_compiling():
        (a, b), (cos, sin) = pairs.unbind(-1), turn.unbind(-1)
        turned = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1)
    else:
        turned = torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(turn))
    return turned.flatten(-2).to(x.dtype)


class Mlp(nn.Module):
    """Gated (SwiGLU, arXiv 2002.05202) or plain (GELU) layer of width d_ff; gate and up in one product."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.gated = shape.gated_mlp
        self.up = nn.Linear(shape.d_model, (2 if self.gated else 1) * shape.d_ff, bias=False)
        self.down = nn.Linear(shape.d_ff, shape.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, context, d_model)` to the same."""
        hidden = self.up(x)
        if self.gated:
            gate, up = hidden.chunk(2, dim=-1)
            hidden = functional.silu(gate) * up
        else:
            hidden = functional.gelu(hidden)
        out: Tensor = self.down(hidden)
        return out


class Layer(nn.Module):
    """Attention and MLP, each behind a norm and beside the residual stream."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.RMSNorm(shape.d_model), nn.RMSNorm(shape.d_model)
        self.attention, self.mlp = Attention(shape), Mlp(shape)

    def forward(self, x: Tensor, turn: Tensor) -> Tensor:
        """`(batch, context, d_model)` to the same."""
        x = x + self.attention(self.attention_norm(x), turn)
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class Decoder(nn.Module):
    """Embedding, layers, norm, head; `shape` has RMS norms and no biases (`task` refuses others)."""

    def __init__(self, shape: Architecture, *, context_length: int, seed: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.vocab_size, shape.d_model)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.n_layers))
        self.norm = nn.RMSNorm(shape.d_model)
        self.head = None if shape.tied_embeddings else nn.Linear(shape.d_model, shape.vocab_size, bias=False)
        half = shape.head_dim // 2
        angles = torch.outer(torch.arange(context_length), ROTARY_BASE ** (-torch.arange(half) / half))[:, None, :]
        self.register_buffer("turn", torch.stack((angles.cos(), angles.sin()), dim=-1), persistent=False)
        initialize(self, seed)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean loss in nats per token of `(batch, context)` tokens and what follows each."""
        x = self.embedding(tokens)
        turn = self.turn[: tokens.shape[1]]  # type: ignore[index]
        for layer in self.layers:
            x = layer(x, turn)
        table = self.embedding.weight if self.head is None else self.head.weight
        logits = functional.linear(self.norm(x), table)
        return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def initialize(model: Decoder, seed: int) -> None:
    """Normal weights of sd 1 / sqrt(inputs), 1 / d_model for the head; what feeds the residual stream is divided by
    sqrt(2 n_layers) (GPT-2). Norms start at one.

    Each parameter is drawn from a generator of its own, by its name and the seed: two variants with one seed share every
    weight that both have.
    """
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2:
                continue
            sd = 1 / math.sqrt(weight.shape[1])
            if name == "head.weight":
                sd = 1 / weight.shape[1]
            elif name.endswith(("out.weight", "down.weight")):
                sd /= math.sqrt(2 * len(model.layers))
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{name}".encode()))
            weight.normal_(0, sd, generator=generator)
