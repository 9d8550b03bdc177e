"""Formulas with letters from which data are made, and a fit of them from nothing, for tests and benchmarks."""

from dataclasses import dataclass

import numpy as np

from planner.fitting.descend import Box, Local, descend
from planner.laws.formula import make_law

CHINCHILLA = {"E": 1.7, "A": 400.0, "B": 2000.0, "alpha": 0.34, "beta": 0.37}


@dataclass(frozen=True)
class World:
    """A formula, letters that make sense, what is fitted, and letters said to be positive."""

    formula: str
    letters: dict[str, float]
    link: str = "log"
    positive: tuple[str, ...] = ()

    def near(self, seed):
        """Letters within some 20 % of these."""
        rng = np.random.default_rng(seed)
        return {name: value * float(np.exp(rng.uniform(-0.2, 0.2))) for name, value in self.letters.items()}


WORLDS = {
    "chinchilla": World("E + A/params^alpha + B/tokens^beta", CHINCHILLA),
    "coupled": World("E + (A/params^alpha + B/tokens^beta)^k", {**CHINCHILLA, "k": 0.7}),
    "broken": World(
        "E + A/params^alpha*(1 + (params/d)^(1/f))^(-c*f)",
        {"E": 0.5, "A": 30.0, "alpha": 0.2, "d": 3e8, "f": 0.3, "c": 0.25},
    ),
    "rate": World("E + A/params^alpha + B/tokens^beta + G*log(lr/l0)^2", {**CHINCHILLA, "G": 0.02, "l0": 2e-3}),
    "negative": World("E + B/tokens^beta + a*lr^2 + b*lr", {"E": 1.7, "B": 2000.0, "beta": 0.37, "a": 4e3, "b": -30.0}),
    "quadratic": World(
        "c + a*log(lr)^2 + b*log(lr) + d*log(batch)*log(lr) + e*log(batch)^2",
        {"c": 6.0, "a": 0.02, "b": 0.25, "d": -0.004, "e": 0.002},
    ),
    "kaplan": World("((Nc/params)^(an/ad) + Dc/tokens)^ad", {"Nc": 8.8e13, "an": 0.076, "ad": 0.095, "Dc": 5.4e13}),
    "repeats": World(
        "E + A/params^alpha + B/(tokens/epochs*(1 + R*(1 - exp(-(epochs - 1)/R))))^beta", {**CHINCHILLA, "R": 15.0}
    ),
    "mixture": World("c + k*exp(t*share)", {"c": 2.0, "k": 0.5, "t": -2.3}),
    "sigmoid": World("a/(1 + exp(k*(loss - l0))) + b", {"a": 0.7, "k": 4.0, "l0": 2.9, "b": 0.25}, "identity", ("k",)),
    "rising": World("E + A*params^alpha", {"E": 2.0, "A": 400.0, "alpha": -0.3}),
    "crossed": World("E + A/params^alpha + B/tokens^beta + C/(params^alpha*tokens^beta)", {**CHINCHILLA, "C": 3e5}),
    "batch": World(
        "E + A*tokens^(-a)*params^b/(1 + (batch/(b0*tokens^g))^2)",
        {"A": 20.0, "a": 0.2, "b": 0.05, "b0": 0.5, "g": 0.55, "E": 1.0},
    ),
    "exponential": World("exp(a + b*log(params) + c*log(params)^2)", {"a": 3.0, "b": -0.2, "c": 0.003}),
    "precision": World("A/(params*(1 - exp(-bits/g)))^alpha + B/tokens^beta + E", {**CHINCHILLA, "g": 2.5}),
    "experts": World(
        "exp(a*log(params) + b*log(experts) + c*log(params)*log(experts) + d)",
        {"a": -0.08, "b": -0.12, "c": 0.004, "d": 2.8},
    ),
}


def columns(rows, seed=0):
    rng = np.random.default_rng(seed)
    spans = {
        "params": (1e7, 1e10), "tokens": (1e9, 1e12), "lr": (1e-4, 1e-2), "batch": (1e4, 1e7), "epochs": (1, 64),
        "bits": (2, 16), "experts": (1, 256),
    }  # fmt: skip
    found = {name: np.exp(rng.uniform(*np.log(span), rows)) for name, span in spans.items()}
    return found | {"share": rng.uniform(0, 1, rows), "loss": rng.uniform(2, 4, rows)}


def fitted(world, truth, rows=500, seed=0, noise=0.0):
    """Letters and least squares of a fit from nothing to data that the letters `truth` make."""
    table = columns(rows, seed)
    law = make_law(world.formula, table, link=world.link, positive=world.positive)
    used = [table[name] for name in law.variables]
    x, y = law.inputs(None, *used), law(**truth)(*used)
    y = np.log(y) if world.link == "log" else y
    y = y + noise * np.random.default_rng(seed).normal(size=rows)
    weight = np.ones(rows)
    law = law.signed(x, y, weight)
    starts = law.search_starts(x, y, weight, 3)
    end = descend(squares(law, x, y), starts, Box(law.lower, law.upper))
    best = int(np.argmin(end.value))
    return vars(law.from_theta(end.theta[best])), float(end.value[best])


def squares(law, x, y):
    def expand(points, rows, newton):
        at = law.expand(points, x)
        residual, one = y - at.f, np.ones_like(at.f)
        pulled = residual if newton else np.zeros_like(residual)
        return Local(0.5 * (residual**2).sum(1), -at.pull(residual), at.hessian(one, pulled), at.square(one))

    return expand


def recovered(found, truth):
    return all(abs(found[name] / value - 1) < 1e-6 for name, value in truth.items())
