"""The best size under terms: serving, limited data, sizes that may be had; by search, for any law of params and tokens."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from planner.decisions.inference import NEVER, Served
from planner.decisions.repeats import Repeats
from planner.errors import InputError
from planner.laws import Chinchilla, Coupled
from planner.laws.centre import Array
from planner.laws.law import Law

LEAST, MOST = 1e3, 1e18  # params or tokens of a choice that anybody could mean
POINTS, ZOOMS = 121, 3  # of ln params, each time over the two cells beside the lowest; then a parabola
LONGEST = math.log(1e30)  # ln tokens that a loss is looked for at
HALVINGS = 56  # of that range: to the last digit of a double
CLOSED_FORM = (Chinchilla, Coupled)


@dataclass(frozen=True)
class Terms:
    """What binds a choice of size beside its budget. `sizes`, if any, are the only ones to be had."""

    served: Served = NEVER
    repeats: Repeats | None = None
    most_params: float = math.inf
    sizes: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse numbers that are none, and constraints that no size meets."""
        given = {"served tokens": self.served.tokens or 1.0, "price of a served FLOP": self.served.flop_price,
                 "most params": self.most_params, **{f"size {size:g}": size for size in self.sizes}}  # fmt: skip
        if self.repeats is not None:
            given |= {"unique tokens": self.repeats.unique_tokens, "R_D": self.repeats.R_D, "R_N": self.repeats.R_N}
        for name, value in given.items():
            if not value > 0:
                raise InputError(f"{name} = {value:g} is not above zero", "give a plain count: 7B, 10T")
        if self.most_params < LEAST:
            raise InputError(f"most params = {self.most_params:g} is below {LEAST:g}", "give a plain count: 7B")
        if self.sizes and min(self.sizes) > self.most_params:
            raise InputError(
                f"no listed size is within {self.most_params:.4g} params: the smallest is {min(self.sizes):.4g}",
                "raise the limit, or list smaller sizes",
            )

    @property
    def free(self) -> Terms:
        """The same without limits of size."""
        return replace(self, most_params=math.inf, sizes=())

    @property
    def allowed(self) -> tuple[float, ...]:
        """The listed sizes within the limit, smallest first."""
        return tuple(sorted(size for size in self.sizes if size <= self.most_params))


PLAIN = Terms()


@dataclass(frozen=True)
class Choice:
    """A size and its training tokens (raw counts), the loss, and the whole cost in training FLOPs, serving included."""

    params: float
    tokens: float
    loss: float
    total: float


@dataclass(frozen=True)
class Worth:
    """A law with repeats and starved params counted for what they are worth."""

    law: Law
    repeats: Repeats | None = None
    fed: float = math.inf

    @classmethod
    def of(cls, law: Law, terms: Terms) -> Worth:
        """The law under these terms."""
        return cls(law) if terms.repeats is None else cls(law, terms.repeats, terms.repeats.fed(law))

    def loss(self, params: Array, tokens: Array) -> Array:
        """Loss at raw counts `(m,)`."""
        return np.asarray(self.law(*self.effective(params, tokens)))

    def effective(self, params: Array, tokens: Array) -> tuple[Array, Array]:
        """Params and tokens for what they are worth."""
        if self.repeats is None:
            return params, tokens
        return self.repeats.effective_params(params, self.fed), self.repeats.effective_tokens(tokens)

    def tokens_for(self, params: Array, loss: float) -> Array:
        """Training tokens with which each size `(m,)` reaches `loss`; infinite where none do."""
        sizes = self.effective(params, params)[0]
        if isinstance(self.law, CLOSED_FORM):
            tokens = tokens_by_formula(self.law, sizes, loss)
        else:
            tokens = tokens_by_halving(self.law, sizes, loss)
        return tokens if self.repeats is None else self.repeats.tokens_for(tokens)


def tokens_by_formula(law: Chinchilla | Coupled, params: Array, loss: float) -> Array:
    """(B / ((L - E)^(1/k) - (A / params^alpha)^(1/k))^k)^(1 / beta); infinite where no tokens suffice."""
    k = coupling(law)
    left = max(loss - law.E, 0.0) ** (1 / k) - (law.A / params**law.alpha) ** (1 / k)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray((law.B / np.maximum(left, 0.0) ** k) ** (1 / law.beta))


def tokens_by_halving(law: Law, params: Array, loss: float) -> Array:
    """The same for any law whose loss falls with tokens."""
    low, high = np.zeros(params.shape), np.full(params.shape, LONGEST)
    never = np.asarray(law(params, np.exp(high))) > loss
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = np.asarray(law(params, np.exp(middle))) > loss
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray(np.where(never, math.inf, np.exp((low + high) / 2)))


def coupling(law: Chinchilla | Coupled) -> float:
    """k; 1 for the additive law."""
    return law.k if isinstance(law, Coupled) else 1.0


def best_for_budget(law: Law, total: float, terms: Terms = PLAIN) -> Choice | None:
    """The size of lowest loss whose training and serving cost `total` training FLOPs; None where none can be had."""
    worth, served = Worth.of(law, terms), terms.served

    def loss(params: Array) -> Array:
        tokens = served.trained(params, total)
        with np.errstate(all="ignore"):
            found = worth.loss(params, np.maximum(tokens, 1.0))
        return np.where(tokens >= 1.0, found, math.inf)

    found = _lowest(loss, terms)
    if found is None:
        return None
    params, value = found
    return Choice(params, float(served.trained(np.array(params), total)), value, total)


def best_for_loss(law: Law, loss: float, terms: Terms = PLAIN) -> Choice | None:
    """The size whose training and serving cost least at `loss`; None where no size reaches it."""
    worth, served = Worth.of(law, terms), terms.served

    def total(params: Array) -> Array:
        return served.total(params, worth.tokens_for(params, loss))

    found = _lowest(total, terms)
    if found is None:
        return None
    params, value = found
    tokens = float(worth.tokens_for(np.array([params]), loss)[0])
    return Choice(params, tokens, loss, value)


def _lowest(value: Callable[[Array], Array], terms: Terms) -> tuple[float, float] | None:
    """The size of lowest value and that value, among the sizes the terms allow; None where all are infinite."""
    if terms.sizes:
        sizes = np.array(terms.allowed)
        values = value(sizes)
        at = int(np.argmin(values))
        return (float(sizes[at]), float(values[at])) if math.isfinite(values[at]) else None
    low, high = math.log(LEAST), math.log(min(MOST, terms.most_params))
    for _ in range(ZOOMS):
        logs = np.linspace(low, high, POINTS)
        values = value(np.exp(logs))
        values = np.where(np.isnan(values), math.inf, values)
        at = int(np.argmin(values))
        if not math.isfinite(values[at]):
            return None
        low, high = float(logs[max(at - 1, 0)]), float(logs[min(at + 1, POINTS - 1)])
    log_params = float(logs[at]) + _vertex(values[at - 1 : at + 2], float(logs[1] - logs[0]))
    at_limit = log_params > math.log(terms.most_params) - 1e-12
    params = terms.most_params if at_limit else math.exp(log_params)
    return params, float(value(np.array([params]))[0])


def _vertex(around: Array, step: float) -> float:
    """Where a parabola through three values `step` apart is lowest, from the middle one; zero at an end or a kink."""
    if around.size < 3 or not np.isfinite(around).all():
        return 0.0
    bend = float(around[0] - 2 * around[1] + around[2])
    return step * float(around[0] - around[2]) / (2 * bend) if bend > 0 else 0.0
