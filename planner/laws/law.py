"""What the fitter, the decisions and the report need of a law."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from planner.laws.centre import Array, Centre

LARGEST_LOG = 700.0  # whose exponential is still a number


class Optimum(NamedTuple):
    """The compute-optimal split of a budget: raw counts, 6 x params x tokens = flops."""

    params: float
    tokens: float


def split_at(log_params: float, flops: float) -> Optimum:
    """The split with this ln params; laws of hardly identified letters ask for counts that no float holds."""
    within = min(max(log_params, -LARGEST_LOG), LARGEST_LOG)
    return Optimum(math.exp(within), math.exp(min(max(math.log(flops / 6) - within, -LARGEST_LOG), LARGEST_LOG)))


class Published(NamedTuple):
    """Coefficients from a paper, with their source."""

    source: str
    values: dict[str, float]


class Prior(NamedTuple):
    """Independent normal priors on theta; shapes `(p,)`; an infinite sd leaves a parameter free."""

    mean: Array
    sd: Array


class Expansion(Protocol):
    """Predicted ln loss `f` `(S, m)` of S thetas, and sums over runs of its derivatives, from one evaluation.

    Weights have shape `(S, m)`.
    """

    @property
    def f(self) -> Array:
        """Predicted ln loss `(S, m)`."""
        ...

    def jacobian(self) -> Array:
        """Derivative of f in theta, `(S, p, m)`."""
        ...

    def pull(self, weight: Array) -> Array:
        """Sum of weight x df, `(S, p)`."""
        ...

    def square(self, weight: Array) -> Array:
        """Sum of weight x df^2, `(S, p)`."""
        ...

    def hessian(self, outer: Array, inner: Array) -> Array:
        """Sum of outer x df df' - inner x d2f, `(S, p, p)`."""
        ...


class Law(Protocol):
    """A law of loss (nats per token) in its `variables`, as a frozen value of its paper's letters.

    `target` names the column that is predicted, and `link` what is fitted of it: "log" the logarithm of the loss,
    "identity" the value itself (an accuracy). `theta`, shape `(p,)` or `(S, p)` for S problems at once, holds the
    same law in the coordinates it is fitted in; there the methods below take `x`, shape `(v, m)`, what `inputs` makes
    of the runs' columns, and return predicted ln loss `f` of shape `(S, m)` (the predicted value for link
    "identity").
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    source: ClassVar[str]
    link: ClassVar[str]
    target: ClassVar[str]
    variables: ClassVar[tuple[str, ...]]
    theta_names: ClassVar[tuple[str, ...]]
    letters: ClassVar[tuple[str, ...]]
    lower: ClassVar[Array]
    upper: ClassVar[Array]
    published: ClassVar[tuple[Published, ...]]

    def __call__(self, *columns: Any, **named: Any) -> Array:  # noqa: ANN401 - each law names its own
        """Loss at raw values, one column per variable."""
        ...

    def optimum(self, flops: float) -> Optimum:
        """Params and tokens of lowest loss with 6 x params x tokens = flops."""
        ...

    def theta(self, centre: Centre) -> Array:
        """This law in centred coordinates, shape `(p,)`."""
        ...

    @classmethod
    def from_theta(cls, theta: Array, centre: Centre) -> Self:
        """The law whose centred coordinates are `theta`, shape `(p,)`."""
        ...

    @classmethod
    def inputs(cls, centre: Centre, *columns: ArrayLike) -> Array:
        """What the methods below take, `(v, m)`, from raw columns `(m,)`, one per variable."""
        ...

    @classmethod
    def signed(cls, x: Array, y: Array, weight: Array) -> type[Self]:
        """The law with the signs of free letters settled where the runs `(m,)` leave no doubt; see `search_starts`."""
        ...

    @classmethod
    def letter_forms(cls, centre: Centre) -> Array:
        """Rows `(p, p)` that take theta to the letters: alpha, beta themselves, the logs of the others."""
        ...

    @classmethod
    def expand(cls, theta: Array, x: Array) -> Expansion:
        """What a Newton step needs at thetas `(S, p)`."""
        ...

    @classmethod
    def gradient(cls, theta: Array, x: Array) -> tuple[Array, Array]:
        """Predicted ln loss `(S, m)` and its derivative in theta `(S, p, m)`."""
        ...

    @classmethod
    def curvature(cls, theta: Array, x: Array, weight: Array) -> Array:
        """Sum over runs of weight x second derivative of ln loss in theta, shape `(S, p, p)`."""
        ...

    @classmethod
    def search_starts(
        cls, x: Array, y: Array, weight: Array, keep: int = 3, *, grids: Mapping[str, Array] | None = None
    ) -> Array:
        """Starting points `(K, p)`, best first, for y `(m,)` (ln loss, or the value for link "identity").

        `grids` says which values of a letter may be tried, where constraints leave only some.
        """
        ...

    @classmethod
    def prior(cls, log_loss: Array) -> Prior:
        """The weak prior of the default recipe, given the observed ln losses `(m,)`."""
        ...


def amplitude_forms(p: int, centre: Centre) -> Array:
    """Letter forms of a theta that starts (ln E, a, b, alpha, beta): ln A = a + alpha x mean ln params, B likewise."""
    forms = np.eye(p)
    forms[1, 3], forms[2, 4] = centre.logs[0], centre.logs[1]
    return forms


def rows(theta: Array) -> Array:
    """Theta with a leading axis of problems, shape `(S, p)`."""
    return np.atleast_2d(np.asarray(theta, float))


def of_size_and_data(law: type[Law]) -> bool:
    """Whether params and tokens, in this order, are all that a law speaks of: best splits and sweeps are for those."""
    return law.variables == ("params", "tokens")
