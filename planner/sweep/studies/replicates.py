"""Replicates: seeds of one run, where the noise between seeds is measured."""

from __future__ import annotations

from planner.sweep.file.studies import ReplicateStudy
from planner.sweep.request import Cell, Request
from planner.sweep.setting import Setting
from planner.sweep.studies.listed import placed
from planner.sweep.studies.patterned import patterned


def replicate_requests(setting: Setting, study: ReplicateStudy, budget: float) -> list[Request]:
    """`seeds` of up to `cells` runs with least data, the smallest and the largest size first.

    The noise falls with size, so both ends must be seen; more seeds with what is left.
    """
    groups = [[cell] for cell in placed(setting, study.name or study.kind, study.at)] or _spread(setting, study)
    return patterned(
        setting, study.name or study.kind, groups, budget, purpose="noise between seeds", least_seeds=study.seeds,
        every=bool(study.at),
    )  # fmt: skip


def _spread(setting: Setting, study: ReplicateStudy) -> list[list[Cell]]:
    last = len(setting.sizes) - 1
    places = sorted({round(index * last / max(1, study.cells - 1)) for index in range(study.cells)})
    return [
        setting.allowed([setting.cell(setting.sizes[place], setting.tokens_between(setting.sizes[place])[0])])
        for place in places
    ]
