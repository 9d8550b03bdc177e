"""Closing the gates of an ideas study, stage by stage, from the runs that came back."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from planner.decisions.gains import IdeaGain, compare
from planner.decisions.gates import Closed, Remaining, closed_after
from planner.decisions.pairs import pairs_of
from planner.laws.law import Law
from planner.runs.columns import BASELINE, Count
from planner.runs.read import RunTable
from planner.sweep.file.studies import IdeasStudy
from planner.sweep.setting import Setting
from planner.sweep.studies.ideas import rungs_of


def idea_gains(setting: Setting, runs: RunTable, law: Law) -> tuple[list[IdeaGain], list[str]]:
    """Gains at the final run of the ideas with finished pairs, best first, and the names of those without."""
    file = setting.sweep.file
    paired = pairs_of(runs, Count.ACTIVE, {idea.name: idea.expected_gain for idea in file.idea})
    return compare(paired.pairs, law, target_flops=setting.final.flops), list(paired.untested)


def close_stage(
    setting: Setting,
    study: IdeasStudy,
    planned: pd.DataFrame,
    runs: RunTable,
    law: Law,
    closed: Sequence[Closed],
    stage: int,
) -> list[Closed]:
    """The ideas that stop after `stage`, beside those `closed` before, given the study's `runs` up to that stage.

    `planned` is the whole plan. Without gates nothing stops.
    """
    if not study.gates:
        return []
    budget = setting.budget_of(study)
    thresholds = {number: rung.threshold for number, rung in enumerate(rungs_of(setting, study, budget), 1)}
    gone = {one.variant for one in closed}
    gains = [gain for gain in idea_gains(setting, runs, law)[0] if gain.variant not in gone]
    spent = float(runs.frame["gpu_hours"].sum())
    return closed_after(gains, stage, thresholds, remaining(planned, stage, budget - spent))


def remaining(planned: pd.DataFrame, stage: int, gpu_hours: float) -> Remaining:
    """What the stages after `stage` take of what is left: the baseline's runs, and an idea that goes on, on average."""
    later = planned[(planned["kind"] == "ideas") & (planned["stage"] > stage)]
    baseline = later["variant"] == BASELINE
    idea = later[~baseline]
    reached = idea.loc[idea["stage"] == stage + 1, "chance"].iloc[0]
    expected = float((idea["gpu_hours"] * idea["chance"]).sum() / reached) / idea["variant"].nunique()
    return Remaining(gpu_hours, float(later.loc[baseline, "gpu_hours"].sum()), expected)
