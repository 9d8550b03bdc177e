"""Gains of all variants at once: every run of every arm in one model, with shared seeds and broken runs allowed for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from planner.decisions.belief import Belief, Noise
from planner.decisions.drift import GainPrior
from planner.decisions.pairs import Arms, Ints
from planner.laws.centre import Array

BROKEN_SHARE, BROKEN_SPREAD = 0.04, 12.0  # assumed: one run in 25 has a mistake, its noise is 12 times that of others
HEAVY = 3.0  # degrees of freedom of the t weights that the search starts with
STEPS, TOLERANCE = 120, 1e-9
PLAIN_STEPS, HEAVY_STEPS = 10, 12  # of least squares, then of t weights, before runs are told broken
LARGEST_STEP = 1.0  # in units of the prior's sd
DIFFERENCE = 1e-4  # in ln compute


@dataclass(frozen=True)
class JointGains:
    """ln gain of each variant at computes: `mean` `(n_variants, n_points)`, `covariance` `(n_variants, n_points)` twice.

    `log_flops` `(n_points,)` are the computes asked for. `broken` `(n_runs,)` is the probability that a run has a mistake
    in it; `theta` the law's, after these runs. `from_prior`, shaped like `covariance`, is the part of it that no estimate of
    the noise can be wrong about.
    """

    names: tuple[str, ...]
    log_flops: Array
    mean: Array
    covariance: Array
    from_prior: Array
    theta: Array
    broken: Array

    def freedom(self, weight: Array, point: int, df: float) -> float:
        """Degrees of freedom of a sum of ln gains with `weight` `(n_variants,)`, for noise known with `df` (Satterthwaite).

        The variance V of whitened unknowns (I + A / noise^2)^-1 moves with ln noise^2 as V - V V: that share is uncertain.
        """
        whole = float(weight @ self.covariance[:, point, :, point] @ weight)
        kept = float(weight @ self.from_prior[:, point, :, point] @ weight)
        return df / max(1 - kept / whole, 1e-3) ** 2 if whole > 0 else df

    @property
    def sd(self) -> Array:
        """Sd of ln gain `(n_variants, n_points)`."""
        return np.asarray(np.sqrt(np.einsum("ijij->ij", self.covariance)))


def joint_gains(
    arms: Arms, belief: Belief, noise: Noise, prior: GainPrior, *, at: Array, broken_share: float = BROKEN_SHARE
) -> JointGains:
    """ln gain h of every variant at ln FLOPs `at`, from all runs in one model.

    ln loss = f(theta; ln params + h/2, ln tokens + h/2) + level of the pair + noise, h = 0 for the baseline; a
    combination has the sum of its parts' h and an interaction. Solved for theta, h and the levels by Gauss-Newton steps;
    a run is a normal one or, with probability `broken_share`, a broken one, which its weight follows (EM).

    With free levels (`Noise.shared` infinite) and an exact law this is the difference of pairs, generalised: the law
    only gives the slope, a broken baseline run is seen across ideas, ideas that share it are correlated. It is what `compare` uses.
    A law with levels tied to it adds to a pair's difference what a pair's sum says: at most a factor sqrt((1 + rho) / 2)
    of the sd (.87 at rho = .5), for trusting the law below seed noise at every size, which public sweeps (misfit of .2 %
    and more) do not bear out. It is needed where a variant's runs have no baseline beside them.
    """
    if belief.covariance is None:
        return _by_component(arms, belief, noise, prior, at, broken_share)
    return _Problem(arms, belief, noise, prior, at, broken_share).solved()


def _by_component(
    arms: Arms, belief: Belief, noise: Noise, prior: GainPrior, at: Array, broken_share: float
) -> JointGains:
    """Groups of arms that share no pair and no law do not speak to one another: each is solved alone."""
    variants = len(arms.names) - 1
    mean, covariance = np.zeros((variants, at.size)), np.zeros((variants, at.size, variants, at.size))
    from_prior = np.zeros_like(covariance)
    broken = np.zeros(arms.arm.size)
    group_of_run, group_of_arm = _components(arms)
    for group in np.unique(group_of_arm[1:]):
        runs = group_of_run == group
        found = _Problem(arms.at(runs), belief, noise.at(runs), prior, at, broken_share).solved()
        mine = np.array([arms.names.index(name) - 1 for name in found.names])
        block = np.ix_(mine, np.arange(at.size), mine, np.arange(at.size))
        mean[mine], covariance[block], from_prior[block] = found.mean, found.covariance, found.from_prior
        broken[runs] = found.broken
    return JointGains(arms.names[1:], at, mean, covariance, from_prior, belief.theta, broken)


def _components(arms: Arms) -> tuple[Ints, Ints]:
    """Component of every run and of every arm, where runs of a pair and runs of a variant hang together."""
    n_arms = len(arms.names)
    own = arms.arm > 0
    links = [(a, n_arms + p) for a, p in zip(arms.arm[own].tolist(), arms.pair[own].tolist(), strict=True)]
    links += [(arm, part) for arm, parts in enumerate(arms.parts) for part in parts]
    size = n_arms + int(arms.pair.max()) + 1
    graph = coo_array((np.ones(len(links)), np.array(links).T), shape=(size, size))
    label = connected_components(graph, directed=False)[1].astype(np.int64)
    return label[n_arms + arms.pair], label[:n_arms]


@dataclass(frozen=True)
class _Problem:
    """One joint model; the unknowns are theta (where it is not exact) and whitened gains, `(q,)`, levels eliminated."""

    arms: Arms
    belief: Belief
    noise: Noise
    prior: GainPrior
    at: Array
    broken_share: float

    @cached_property
    def tested(self) -> Array:
        """The distinct ln FLOPs of the runs."""
        return np.unique(self.arms.log_flops)

    @cached_property
    def present(self) -> list[int]:
        """Arms with runs here, and the parts of those."""
        there = set(self.arms.arm[self.arms.arm > 0].tolist())
        return sorted(there | {part for arm in there for part in self.arms.parts[arm]})

    @cached_property
    def forms(self) -> dict[int, Array]:
        """For every arm the rows `(n_points, n_gains)` that take the whitened unknowns to ln gain, less its mean."""
        points = np.concatenate([self.tested, self.at])
        roots = {
            single: _root(self.prior.covariance(points, self.prior.sd if single else self.prior.interaction))
            for single in (True, False)
        }
        widths = [roots[not self.arms.parts[arm]].shape[1] for arm in self.present]
        starts = np.concatenate([[0], np.cumsum(widths)])
        rows = {}
        for arm, start in zip(self.present, starts, strict=False):
            own = roots[not self.arms.parts[arm]]
            rows[arm] = np.zeros((points.size, starts[-1]))
            rows[arm][:, start : start + own.shape[1]] = own
        return {
            arm: own + sum((rows[part] for part in self.arms.parts[arm]), np.zeros_like(own))
            for arm, own in rows.items()
        }

    def level(self, arm: int) -> float:
        """Prior mean of an arm's ln gain: its author's, its parts', or the pool's."""
        told = self.arms.expected[arm]
        if told is not None:
            return math.log(told)
        return sum(map(self.level, self.arms.parts[arm])) if self.arms.parts[arm] else self.prior.mean

    @cached_property
    def gain_of_run(self) -> tuple[Array, Array]:
        """Rows `(n_runs, n_gains)` and means `(n_runs,)` of the runs' ln gains."""
        place = np.searchsorted(self.tested, self.arms.log_flops)
        width = next(iter(self.forms.values())).shape[1]
        zero = np.zeros(width)
        rows = [self.forms[a][p] if a else zero for a, p in zip(self.arms.arm.tolist(), place.tolist(), strict=True)]
        means = [self.level(arm) if arm else 0.0 for arm in self.arms.arm.tolist()]
        return np.array(rows), np.array(means)

    @cached_property
    def n_theta(self) -> int:
        """Free parameters of the law."""
        return 0 if self.belief.covariance is None else self.belief.theta.size

    @cached_property
    def root(self) -> Array:
        """Rows `(p, n_theta)` that take whitened unknowns to theta."""
        if self.belief.covariance is None:
            return np.zeros((self.belief.theta.size, 0))
        return _root(self.belief.covariance)

    @cached_property
    def x(self) -> Array:
        """The law's inputs `(2, n_runs)` before gains."""
        return self.belief.law.inputs(self.belief.centre, self.arms.params, self.arms.tokens)

    @cached_property
    def pairs(self) -> Ints:
        """Pair numbers without gaps."""
        return np.unique(self.arms.pair, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def tie(self) -> Array:
        """Precision of each pair's level: zero where levels are free."""
        shared = np.full(int(self.pairs.max()) + 1, np.inf)
        shared[self.pairs] = self.noise.shared
        return np.asarray(1 / shared**2)

    def predicted(self, unknown: Array) -> tuple[Array, Array]:
        """ln loss `(n_runs,)` less the pairs' levels, and its derivative `(n_runs, q)`."""
        rows, means = self.gain_of_run
        theta = self.belief.theta + self.root @ unknown[: self.root.shape[1]]
        h = means + rows @ unknown[self.root.shape[1] :]
        f, slope = self.belief.law.gradient(theta, self.x + h / 2)
        above = self.belief.law.gradient(theta, self.x + (h + DIFFERENCE) / 2)[0][0]
        below = self.belief.law.gradient(theta, self.x + (h - DIFFERENCE) / 2)[0][0]
        in_h = (above - below) / (2 * DIFFERENCE)
        return f[0], np.hstack([slope[0].T @ self.root, in_h[:, None] * rows])

    @cached_property
    def members(self) -> csr_array:
        """Which runs `(n_pairs, n_runs)` are of which pair."""
        runs = np.arange(self.pairs.size)
        return csr_array((np.ones(runs.size), (self.pairs, runs)), shape=(self.tie.size, runs.size))

    def sums(self, values: Array) -> Array:
        """Sums over the runs of each pair, `(n_pairs, ...)`."""
        return np.asarray(self.members @ values)

    def residual(self, apart: Array, weight: Array) -> Array:
        """What is left of `apart` after each pair's own level."""
        level = self.sums(weight * apart) / (self.sums(weight) + self.tie)
        return np.asarray(apart - level[self.pairs])

    def solved(self) -> JointGains:
        """The mode, by weighted Gauss-Newton steps, and the inverse curvature there."""
        y = np.log(self.arms.loss)
        unknown: Array = np.zeros(self.root.shape[1] + self.gain_of_run[0].shape[1])
        share, precision = np.ones(y.size), 1 / self.noise.own**2
        curvature = np.eye(unknown.size)
        for step in range(STEPS):
            f, J = self.predicted(unknown)
            z = self.residual(y - f, share * precision) / self.noise.own
            share = self.share(z, step)
            weight = share * precision
            curvature, pull = self.normal(J, y - f, weight)
            move = np.linalg.solve(curvature, pull - unknown)
            unknown = unknown + move * min(1.0, LARGEST_STEP / max(float(np.abs(move).max()), 1e-300))
            if step > PLAIN_STEPS + HEAVY_STEPS and np.abs(move).max() < TOLERANCE:
                break
        return self.told(unknown, np.asarray(np.linalg.inv(curvature)), z)

    def share(self, z: Array, step: int) -> Array:
        """What each run counts: all alike until the law is found, then by t weights, then as the sound run it may be."""
        if step < PLAIN_STEPS or self.broken_share == 0:
            return np.ones_like(z)
        if step < PLAIN_STEPS + HEAVY_STEPS:
            return np.asarray((HEAVY + 1) / (HEAVY + z**2))
        return _sound_weight(z, self.broken_share)

    def normal(self, J: Array, apart: Array, weight: Array) -> tuple[Array, Array]:
        """Curvature and gradient of the likelihood with the pairs' levels eliminated; the prior is the identity."""
        WJ = weight[:, None] * J
        of_pair, total = self.sums(WJ), self.sums(weight) + self.tie
        curvature = J.T @ WJ - of_pair.T @ (of_pair / total[:, None])
        pull = WJ.T @ apart - of_pair.T @ (self.sums(weight * apart) / total)
        return curvature + np.eye(J.shape[1]), pull

    def told(self, unknown: Array, covariance: Array, z: Array) -> JointGains:
        """The answer for the arms that are here, at the computes asked for."""
        p = self.root.shape[1]
        rows = np.array([self.forms[arm][self.tested.size :] for arm in self.present])
        spread, kept = (
            np.einsum("iaq,qr,jbr->iajb", rows, matrix[p:, p:], rows, optimize=True)
            for matrix in (covariance, covariance @ covariance)
        )
        return JointGains(
            names=tuple(self.arms.names[arm] for arm in self.present),
            log_flops=self.at,
            mean=np.array([self.level(arm) for arm in self.present])[:, None] + rows @ unknown[p:],
            covariance=spread,
            from_prior=kept,
            theta=self.belief.theta + self.root @ unknown[:p],
            broken=_broken(z, self.broken_share),
        )


def _root(covariance: Array) -> Array:
    """A matrix R with R R' = covariance, without its null directions."""
    value, vector = np.linalg.eigh(covariance)
    kept = value > 1e-12 * value.max()
    return np.asarray(vector[:, kept] * np.sqrt(value[kept]))


def _broken(z: Array, share: float) -> Array:
    """Probability that runs with residuals `z` (in sds) are broken."""
    if share == 0:
        return np.zeros_like(z)
    log_odds = math.log(share / (1 - share) / BROKEN_SPREAD) + 0.5 * z**2 * (1 - BROKEN_SPREAD**-2)
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -700, 700))))


def _sound_weight(z: Array, share: float) -> Array:
    broken: Any = _broken(z, share)
    return np.asarray(1 - broken * (1 - BROKEN_SPREAD**-2))
