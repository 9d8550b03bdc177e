"""AdamW as small models are trained with it, and one step of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.95)  # GPT-3, arXiv 2005.14165, appendix B
CLIP = 1.0  # norm of the gradient, ibid.


def adamw(model: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """Decoupled weight decay (arXiv 1711.05101) on matrices; none on norms and on the embedding."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, weight in model.named_parameters():
        (decayed if weight.ndim >= 2 and not name.startswith("embedding") else free).append(weight)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=BETAS, fused=True)


def step(
    forward: Callable[..., Tensor], optimizer: torch.optim.AdamW, text: Tensor, *, rate: float, at_once: int,
    cast: AbstractContextManager[object],
) -> Tensor:  # fmt: skip
    """One step on sequences `(n, context + 1)`, `at_once` of them in one pass; the mean loss before it, in nats per token."""
    optimizer.zero_grad(set_to_none=True)
    total = torch.zeros((), device=text.device)
    for part in text.split(at_once):
        with cast:
            loss = forward(part[:, :-1], part[:, 1:])
        loss = loss * (len(part) / len(text))
        loss.backward()
        total += loss.detach()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    nn.utils.clip_grad_norm_(weights, CLIP)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return total
