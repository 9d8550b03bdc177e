"""Colours that stand for different things tell apart for the colour-blind, on paper and on the dark page."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from truths import REPOSITORY

from planner.report.look import OTHERS, STUDY_LOOK, VERDICT_COLOUR, VERDICT_MARK
from planner.report.svg import BLUE, GREY, ORANGE, RED

# Machado, Oliveira and Fernandes 2009 (IEEE TVCG 15, table 1), severity 1, on linear RGB.
SEEN = {
    "everybody": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
}  # fmt: skip
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
APART = 15.0  # CIE 1976: 2.3 is just noticeable; marks of a few pixels need several times that
TOGETHER = [  # colours that stand beside each other in one picture without another mark to tell them apart
    (BLUE, RED, GREY),  # the ledger's bars: kept, lost, the final run
    (BLUE, ORANGE),  # the tornado: low and high
]


def lab(colour: str, eyes: str) -> np.ndarray:
    rgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(SEEN[eyes] @ linear, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def dark(colour: str) -> str:
    """The colour that the page's dark scheme puts in its place."""
    css = (REPOSITORY / "planner/report/templates/page.css").read_text()
    found = re.search(rf'\[fill="{colour.lower()}"\] {{ fill: (#\w{{6}})', css)
    return found.group(1) if found else colour


def test_the_measure_knows_red_from_green_and_who_does_not():
    assert np.linalg.norm(lab("#ff0000", "everybody") - lab("#00a000", "everybody")) > 100
    reds = [np.linalg.norm(lab("#a06000", eyes) - lab("#607800", eyes)) for eyes in ("everybody", "deuteranopia")]
    assert reds[1] < reds[0] / 2


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("colours", TOGETHER)
def test_bars_beside_each_other_tell_apart(eyes, scheme, colours):
    for one, other in combinations(colours, 2):
        pair = (one, other) if scheme == "light" else (dark(one), dark(other))
        assert np.linalg.norm(lab(pair[0], eyes) - lab(pair[1], eyes)) > APART, (pair, eyes)


@pytest.mark.parametrize("eyes", SEEN)
def test_studies_and_decisions_tell_apart_by_colour_or_by_mark(eyes):
    looks = [*STUDY_LOOK.values(), *OTHERS]
    verdicts = [(VERDICT_COLOUR[name], VERDICT_MARK[name]) for name in VERDICT_COLOUR]
    for group in (looks, verdicts):
        for (one, mark), (other, its) in combinations(group, 2):
            assert mark != its or np.linalg.norm(lab(one, eyes) - lab(other, eyes)) > APART, (one, other)
    assert len({mark for _, mark in looks}) == len(looks)
