"""The promises made of the default recipe's intervals: on public sweeps left out, and where the law is right."""

from functools import cache

import pytest
from benchmarks import intervals, worlds
from truths import REPOSITORY, needs_shared

from planner.fitting.recipe import LEFT_OUT_COVERAGE
from planner.laws import Coupled


@pytest.fixture(scope="module", params=[False, True], ids=["all rows", "well trained"])
def scored(request):
    return left_out(request.param)


@cache
def left_out(strict: bool):
    """How intervals did on sources left out: half a minute."""
    return intervals.summary(intervals.left_out(strict=strict))


@needs_shared
def test_coverage_and_interval_score_hold_on_sources_left_out(scored):
    mine = scored.loc["default, learned elsewhere"]
    assert (mine[["coverage", "coverage_folds"]] >= 0.85).all(axis=None)
    for rival in intervals.RIVALS:
        assert (mine["interval_score"] < scored.loc[rival, "interval_score"]).all()
        assert (mine["error"] < scored.loc[rival, "error"]).all()


@needs_shared
def test_the_coverage_that_the_report_quotes_is_the_measured_one():
    mine = left_out(False).loc["default, learned elsewhere", "coverage"]
    assert {kappa: round(float(share), 2) for kappa, share in mine.items()} == LEFT_OUT_COVERAGE


@needs_shared
def test_the_shipped_prior_is_the_learned_one():
    learned = intervals.learn(intervals.all_series())
    shipped = Coupled.prior(intervals.np.zeros(3))
    for index, (mean, sd) in zip((0, 3, 4, 5), learned, strict=True):
        assert shipped.mean[index] == pytest.approx(-mean if index == 0 else mean, abs=0.006)
        assert shipped.sd[index] == pytest.approx(sd, abs=0.006)


@needs_shared
def test_the_olmo_targets_lie_inside_their_intervals_within_two_per_cent():
    table = intervals.olmo().set_index(["recipe", "runs"])
    for recipe in ("default as shipped", "default, learned elsewhere"):
        own = table.loc[recipe]
        assert own["inside"].all()
        assert (own[["7B-4T error %", "13B-5T error %"]].abs() <= 2).all(axis=None)


@pytest.mark.parametrize("name", ["A", "D", "G"])
def test_intervals_hold_where_the_law_is_right(name):
    far = worlds.in_world((name, "default", 5000), sets=100)
    near = worlds.one_run((name, 3.0), sets=100)
    assert 0.82 <= far["coverage"] <= 1.0  # nominal .9, three standard errors of 100 sets below
    assert 0.82 <= near["coverage"] <= 1.0


@needs_shared
def test_the_documents_tables_are_what_the_benchmark_gives(scored, request):
    label = "well-trained rows" if "well trained" in request.node.callspec.id else "all rows"
    shown_as_measured(label, scored, {"default, learned elsewhere": "default, prior learned elsewhere"})


def test_the_recorded_study_is_shown_as_measured_and_rivals_do_worse():
    scored = intervals.summary(intervals.recorded())
    shown_as_measured("recorded study", scored, {"default as shipped": "default as shipped"})
    for rival in intervals.RIVALS:
        assert (scored.loc["default as shipped", "interval_score"] < scored.loc[rival, "interval_score"] / 2).all()


def shown_as_measured(label, scored, own):
    """Every figure of a table of docs/fitting.md; `own` says how it calls the default recipe."""
    text = (REPOSITORY / "docs/fitting.md").read_text()
    table = text[text.index(f"| {label} | kappa |") :]
    for recipe, words in (own | {"additive, textbook": "additive, textbook"}).items():
        row = next(line for line in table.splitlines() if words in line)
        for figure, scale, digits in (
            ("coverage", 1, 2),
            ("error", 100, 2),
            ("width", 100, 1),
            ("interval_score", 1, 3),
        ):
            values = scored.loc[recipe, figure]
            shown = " / ".join(f"{scale * value:.{digits}f}".removeprefix("0") for value in values)
            assert shown in row, (recipe, figure, shown)
