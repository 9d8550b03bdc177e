"""Gates: who goes on, and whom the budget does not pay."""

from dataclasses import replace

from planner.decisions.gains import IdeaGain, Verdict
from planner.decisions.gates import Remaining, Why, closed_after

GAIN = IdeaGain("a", 3, 0, 1.1, (1.0, 1.2), 1.1, (1.0, 1.2), 1.1, 1e20, 0.9, "target", 0.7, Verdict.HOLD)
GAINS = [replace(GAIN, variant=name, probability=p) for name, p in (("a", 0.7), ("b", 0.5), ("c", 0.95), ("d", 0.2))]


def test_ideas_not_above_the_threshold_stop():
    closed = closed_after(GAINS, 1, {1: 0.5}, Remaining(1e9, 0, 1))
    assert {one.variant: one.why for one in closed} == {"b": Why.UNLIKELY, "d": Why.UNLIKELY}
    assert all(one.stage == 1 and one.threshold == 0.5 for one in closed)


def test_the_budget_pays_for_the_most_promising_first():
    closed = closed_after(GAINS, 2, {2: 0.1}, Remaining(gpu_hours=25, baseline=5, idea=10))
    assert {one.variant for one in closed if one.why is Why.UNPAID} == {"b", "d"}


def test_an_unseen_idea_is_not_closed():
    assert closed_after([], 1, {1: 0.9}, Remaining(0, 0, 1)) == []
