"""The mixture study: shares of domains on a simplex lattice."""

from __future__ import annotations

import itertools
from dataclasses import replace

from planner.errors import InputError
from planner.sweep.file.studies import MixtureStudy
from planner.sweep.request import Cell, Request
from planner.sweep.setting import Setting
from planner.sweep.studies.patterned import patterned

MOST_MIXTURES = 2000


def mixture_requests(setting: Setting, study: MixtureStudy, budget: float) -> list[Request]:
    """Every mixture of the lattice at one size and amount of data, then again with other seeds."""
    mixtures = lattice(len(study.domains), study.steps, study.least)
    if len(mixtures) > MOST_MIXTURES:
        raise InputError(
            f"{len(study.domains)} domains in {study.steps} steps are {len(mixtures):,} mixtures, more than {MOST_MIXTURES:,}",
            "lower steps, or merge domains",
        )
    cell = _cell(setting, study)
    group = [replace(cell, mixture=tuple(zip(study.domains, shares, strict=True))) for shares in mixtures]
    return patterned(
        setting, study.name or study.kind, [setting.allowed(group)], budget, purpose="best mixture of domains"
    )


def lattice(domains: int, steps: int, least: float = 0.0) -> list[tuple[float, ...]]:
    """The {q, m} simplex-lattice design, m = `steps` (Scheffe 1958): every share a multiple of 1/m, summing to one.

    With `least` above zero the same points are shrunk towards the middle (pseudo-components). The even mixture is added
    where the lattice lacks it: C(q + m - 1, m) points, or one more.
    """
    bars = itertools.combinations(range(domains + steps - 1), domains - 1)
    counts = [[high - low - 1 for low, high in itertools.pairwise((-1, *bar, domains + steps - 1))] for bar in bars]
    if steps % domains:
        counts.append([steps / domains] * domains)  # type: ignore[list-item]
    room = 1 - domains * least
    return [tuple(round(least + room * count / steps, 12) for count in point) for point in counts]


def _cell(setting: Setting, study: MixtureStudy) -> Cell:
    size = setting.size_of(study.params_active) if study.params_active else setting.sizes[0]
    tokens = study.tokens.tokens(size.active) if study.tokens else setting.tokens_between(size)[0]
    return setting.cell(size, tokens)
