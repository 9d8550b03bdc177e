"""What the residuals tell of a fit: outliers, noise that differs, bends that the law misses."""

from __future__ import annotations

import numpy as np
from scipy.special import fdtrc

from planner.fitting.configurations import SAME
from planner.fitting.finding import Finding, Fitted, note, warning
from planner.fitting.objective import majorising_weight
from planner.fitting.ranks import spearman
from planner.laws.centre import Array
from planner.laws.law import of_size_and_data

FAR = 5.0  # robust sd: one normal run in two million
NAMED = 3  # outliers told one by one
SCATTER = 0.05  # of ln loss: public sweeps scatter by 0.2-1.4 %
UNLIKELY = 0.002  # p value of a test that should stay silent on healthy sweeps
MANY = 5000  # runs that a test of residuals needs at most
REPEATED = 3  # spare runs before replicates tell the noise


def outliers(fitted: Fitted) -> Finding | None:
    """Runs far from the law, by name, and how far each moves the forecast (one Newton step: Cook, Weisberg 1982)."""
    scale = fitted.scale
    far = np.abs(fitted.residual) > FAR * scale
    if not far.any():
        return None
    worst = np.argsort(-np.abs(fitted.residual))[: min(NAMED, int(far.sum()))]
    told = "; ".join(_told(fitted, int(run)) for run in worst)
    sentence = f"{int(far.sum())} of {far.size} runs lie beyond {FAR:g} robust sd ({scale:.2%}): {told}"
    return warning("outliers", sentence, "look for unfinished, mistuned or mislabelled ones")


def _told(fitted: Fitted, run: int) -> str:
    scale = fitted.scale
    what = fitted.kept.told(run, type(fitted.estimate.solution.law).variables)
    far = f"{what} {fitted.residual[run] / scale:+.1f} sd"
    if not of_size_and_data(type(fitted.estimate.solution.law)):
        return far
    return f"{far}, moves the forecast at 10x by {influence(fitted)[run]:+.2%}"


def influence(fitted: Fitted) -> Array:
    """Change of ln loss forecast at ten times the compute for having each run in the fit `(n_runs,)`."""
    solution, J = fitted.estimate.solution, fitted.jacobian
    g = solution.gradient(*fitted.further)[1][0, :, 0]
    weight = majorising_weight(fitted.residual, solution.delta)
    bread = np.linalg.pinv(np.einsum("pm,m,qm->pq", J, weight, J), hermitian=True, rcond=1e-12)
    return np.asarray(g @ bread @ J * np.clip(fitted.residual, -solution.delta, solution.delta))


def scatter(fitted: Fitted) -> Finding | None:
    """Residuals too wide for runs of one kind."""
    scale = fitted.scale
    if scale <= SCATTER:
        return None
    sentence = f"the law misses the runs by {scale:.1%} (robust sd of ln loss)"
    return warning("scatter", sentence, "well-run sweeps stay below 1.5 %: look for mixed set-ups, units or metrics")


def heteroscedasticity(fitted: Fitted) -> Finding | None:
    """Noise that grows or falls with size or compute (rank correlation of |residual|)."""
    (n, d), size = fitted.logs, np.abs(fitted.residual)
    found = []
    for what, x in (("parameters", n), ("tokens", d), ("compute", n + d)):
        if np.ptp(x) > 0:
            test = spearman(x, size)
            found.append((test.p, what, x))
    if fitted.kept.noise is not None or not found or min(found)[0] > UNLIKELY / 3:
        return None
    _, what, x = min(found, key=lambda item: item[0])
    low, high = np.quantile(x, [1 / 3, 2 / 3])
    small, large = np.sqrt(np.mean(size[x <= low] ** 2)), np.sqrt(np.mean(size[x >= high] ** 2))
    sentence = f"residuals are {small:.2%} (rms) in the third of least {what} and {large:.2%} in that of most"
    return note(
        "uneven-noise", sentence, "give each run's sd in a column (--noise), or read --interval sandwich beside it"
    )


def bends(fitted: Fitted) -> Finding | None:
    """Curvature in size and data that the law leaves in its residuals (F test of a quadratic surface beside the law)."""
    pick = np.arange(fitted.kept.loss.size)
    if pick.size > MANY:
        pick = np.random.default_rng(0).choice(pick, MANY, replace=False)
    n, d = (x[pick] for x in fitted.logs)
    root = np.sqrt(majorising_weight(fitted.residual[pick], fitted.estimate.solution.delta))
    J, r = (fitted.jacobian[:, pick] * root).T, fitted.residual[pick] * root
    Z = np.stack([n, d, n * n, n * d, d * d], axis=1) * root[:, None]
    p, q = np.linalg.matrix_rank(J), Z.shape[1]
    rank = np.linalg.matrix_rank(np.hstack([J, Z]))
    spare = pick.size - int(rank)
    if rank == p or spare < q:
        return None
    alone, beside = (float(np.sum((r - A @ np.linalg.lstsq(A, r, rcond=None)[0]) ** 2)) for A in (J, np.hstack([J, Z])))
    F = (alone - beside) / (rank - p) / max(beside / spare, 1e-300)
    if fdtrc(rank - p, spare, F) > UNLIKELY:
        return None
    share = 1 - beside / max(alone, 1e-300)
    sentence = f"a curved surface explains {share:.0%} of what the law leaves over ({_strongest(n, d, r)})"
    return warning("bends", sentence, "the form misses something here: compare laws, leave out runs of another regime")


def _strongest(n: Array, d: Array, r: Array) -> str:
    names = {"parameters": n, "tokens": d, "compute": n + d, "tokens per parameter": d - n}
    best = max(names, key=lambda name: abs(np.corrcoef(_curve(names[name], r), r)[0, 1]))
    return f"most clearly against {best}"


def _curve(x: Array, r: Array) -> Array:
    return np.asarray(np.polyval(np.polyfit(x, r, 2), x) + 1e-12 * x)


def replicates(fitted: Fitted) -> Finding | None:
    """Misfit beyond what seeds differ by (pure-error F test), or that nothing can be said of it."""
    cell = np.stack([np.round(np.log(x) / SAME) for x in (fitted.kept.params, fitted.kept.tokens)])
    _, index = np.unique(cell, axis=1, return_inverse=True)
    index = index.ravel()
    cells, r = int(index.max()) + 1, fitted.residual
    spare, p = r.size - cells, fitted.estimate.solution.theta.size
    if fitted.kept.cluster is not None:
        return None
    if spare == 0:
        return note("no-replicates", "no configuration was run twice: seed noise and misfit cannot be told apart",
                    "run a second seed of two cheap configurations")  # fmt: skip
    if spare < REPEATED or cells <= p:
        return None
    mean = np.bincount(index, r) / np.bincount(index)
    pure = float(np.sum((r - mean[index]) ** 2)) / spare
    misfit = float(np.sum(mean[index] ** 2)) / (cells - p)
    if fdtrc(cells - p, spare, misfit / max(pure, 1e-300)) > UNLIKELY:
        return None
    sentence = (
        f"the law misses configurations by more than seeds differ ({misfit**0.5:.2%} against {pure**0.5:.2%} of loss)"
    )
    return warning("lack-of-fit", sentence, "the form or the runs' tuning is off: look at residuals by configuration")


RESIDUAL_CHECKS = (outliers, scatter, heteroscedasticity, bends, replicates)
