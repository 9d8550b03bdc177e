"""A plan in simulated worlds."""

from truths import REPOSITORY

from planner.assess.worlds import assess_plan
from planner.sweep.spec import read_sweep


def test_a_plan_is_scored_beside_its_rival_and_the_scores_repeat():
    sweep = read_sweep(REPOSITORY / "sweeps/deepseek_v3.toml")
    one, two = (assess_plan(sweep, worlds=4, seed=0) for _ in range(2))
    assert one == two
    assert [score.name for score in one] == ["optimal", "ladder"]
    assert abs(one[0].gpu_hours / one[1].gpu_hours - 1) < 0.02
    for score in one:
        assert 0 < score.median_error <= score.p90_error < 0.05
        assert 0 <= score.coverage <= 1
        assert 0 <= score.waste < 0.5
