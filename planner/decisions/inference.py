"""What a model costs over its life: training, and serving tokens until it is retired."""

from __future__ import annotations

from dataclasses import dataclass

from planner.errors import InputError
from planner.laws.centre import Array

TRAIN = 6.0  # FLOPs per parameter and training token (arXiv 2001.08361, section 2.1)
SERVE = 2.0  # FLOPs per parameter and served token, one forward pass (arXiv 2401.00448)


@dataclass(frozen=True)
class Served:
    """Tokens served over a model's life, prompts and answers; `flop_price` is what a FLOP of serving costs over one of
    training.

    Sardana et al. (arXiv 2401.00448) minimise 6 N D + 2 N D_inf at a loss; here the second term is times `flop_price`:
    1 counts FLOPs alike, above 1 says that serving gets less out of its chips, or pays more for them.
    """

    tokens: float = 0.0
    flop_price: float = 1.0

    def flops(self, params: Array) -> Array:
        """Serving in FLOPs of training at equal cost, for sizes `(m,)`."""
        return SERVE * self.flop_price * self.tokens * params

    def trained(self, params: Array, total: float) -> Array:
        """Training tokens that a total budget (training FLOPs) leaves after serving; negative where nothing is left."""
        return (total - self.flops(params)) / (TRAIN * params)

    def total(self, params: Array, tokens: Array) -> Array:
        """Training and serving together, in training FLOPs."""
        return TRAIN * params * tokens + self.flops(params)


NEVER = Served()


def price_of_serving(usd_per_token: float, params: float, usd_per_flop: float) -> float:
    """`flop_price` when serving a token of a model with `params` costs `usd_per_token`, and a training FLOP `usd_per_flop`.

    A served token is taken to cost in proportion to size.
    """
    for name, value in (("price per served token", usd_per_token), ("its params", params)):
        if not value > 0:
            raise InputError(
                f"the {name} = {value:g} is not above zero", "0.30@8B: dollars per million tokens, at a size"
            )
    return usd_per_token / (SERVE * params) / usd_per_flop
