"""Where and how a model is computed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

# Tokens x d_model of one pass: on a CPU they should stay in the caches.
CHANNELS_AT_ONCE = {"cpu": 2**18, "cuda": 2**27}
LEAST_AT_ONCE = 1_024  # tokens of one pass: fewer make slow matrix products


@dataclass(frozen=True)
class Numerics:
    """A kind of device ("cpu", "cuda"), whether matrix products are in bfloat16 (weights and optimizer stay in float32), and the
    backend of torch.compile, None for none.
    """

    device: str = "cpu"
    bf16: bool = False
    compiler: str | Callable[..., Any] | None = None

    @property
    def precision(self) -> str:
        """The precision as a ledger names it."""
        return "bf16" if self.bf16 else "fp32"

    def compiled(self, model: nn.Module) -> Callable[..., Tensor]:
        """The model's forward pass.

        What was compiled for models before it is forgotten: after eight of them PyTorch compiles no more, without a word.
        """
        if self.compiler is None:
            return model
        torch.compiler.reset()
        forward: Callable[..., Tensor] = torch.compile(model, backend=self.compiler)
        return forward

    def cast(self) -> AbstractContextManager[object]:
        """Around a forward pass: matrix products in the precision."""
        return torch.autocast(self.device, torch.bfloat16) if self.bf16 else contextlib.nullcontext()

    def sequences_at_once(self, d_model: int, context_length: int) -> int:
        """Sequences of one pass."""
        return max(1, max(LEAST_AT_ONCE, CHANNELS_AT_ONCE[self.device] // d_model) // context_length)


def found() -> Numerics:
    """A CUDA device, in bfloat16 and compiled, where there is one; else the CPU in float32."""
    return Numerics("cuda", bf16=True, compiler="inductor") if torch.cuda.is_available() else Numerics()


__all__ = ["Numerics", "found"]
