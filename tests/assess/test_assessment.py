"""A plan assessed: the numbers repeat on every engine, designs cost the same, and the verdict is what the numbers say."""

import math
from dataclasses import replace

import numpy as np
import pytest
from truths import REPOSITORY

from planner.assess.assessment import FRACTIONS, Assessment, assess_plan
from planner.assess.designs import own_runs, rival_runs
from planner.assess.gates import _believed, gate_errors
from planner.assess.scores import DesignScore, score
from planner.assess.trials import CHUNK, Outcomes, Rates, Runs, Task, play, trained
from planner.assess.truths import Kind, truth_of
from planner.assess.verdict import verdict
from planner.decisions.drift import MEAN, covariance, posterior
from planner.engines import processes
from planner.errors import InputError
from planner.fitting.estimate import estimate, t_quantile
from planner.fitting.recipe import default_recipe
from planner.lab.world import draw_world
from planner.runs.columns import Count
from planner.runs.sample import Sample
from planner.sweep.file.studies import IdeasStudy
from planner.sweep.patterns import PATTERNS
from planner.sweep.setting import setting_of
from planner.sweep.spec import read_sweep

SWEEP = read_sweep(REPOSITORY / "sweeps/deepseek_v3.toml")
SETTING = setting_of(SWEEP)
STUDY = SWEEP.file.study[0]
LAB = Rates(0.002, 0.03, 0.01, 0.03)
FINAL = (3.7e10, 1.48e13)


@pytest.fixture(scope="module")
def found() -> Assessment:
    return assess_plan(SWEEP, worlds=6, rivals=("ladder", "ray"))


@pytest.fixture(scope="module")
def small() -> Runs:
    return own_runs(SETTING, STUDY, 2e5)


def task(runs: Runs, kind=Kind.COUPLED, seed=0, count=4) -> Task:
    return Task(runs, kind, seed, 0, count, LAB, FINAL)


def test_the_scores_hold_what_they_promise(found):
    assert found.own == "optimal"
    assert [(one.kind, one.name) for one in found.designs] == [
        (kind, name) for kind in Kind for name in ("optimal", "ladder", "ray")
    ]
    assert sorted({one.fraction for one in found.curve}) == sorted({*FRACTIONS, 1.0})
    for one in (*found.designs, *found.curve):
        assert one.worlds == 6
        assert 0 < one.median_error <= one.p90_error
        assert one.rms_error >= abs(one.bias)
        assert 0 <= one.coverage <= 1
        assert 0 <= one.waste < 1
    assert found.gates.ideas == 24
    assert found.skipped == {}
    own = [one for one in found.designs if one.name == "optimal"]
    assert all(0.95 * own[0].gpu_hours < one.gpu_hours <= own[0].gpu_hours for one in found.designs)
    assert own == [one for one in found.curve if one.fraction == 1]
    assert all(one.ratio == 1 for one in own)


def test_every_engine_and_any_order_gives_the_same_numbers(found):
    def backwards(job, tasks):
        return reversed([job(task) for task in reversed(list(tasks))])

    assert assess_plan(SWEEP, worlds=6, rivals=("ladder", "ray"), engine=backwards) == found
    with processes(2) as engine:
        assert assess_plan(SWEEP, worlds=6, rivals=("ladder", "ray"), engine=engine) == found


def test_another_seed_is_other_worlds_and_more_worlds_begin_with_the_same(small):
    base, other, more = play(task(small)), play(task(small, seed=1)), play(task(small, count=7))
    assert not np.isclose(base.error, other.error).any()
    assert np.allclose(base.error, more.error[:4], atol=1e-7)
    assert CHUNK == 50  # the last digits depend on it


def test_a_world_is_fitted_and_judged_as_planner_run_does(small):
    outcome = play(task(small, count=3))
    for number in range(3):
        seed = int(np.random.SeedSequence([0, number]).generate_state(1)[0])
        world = draw_world(seed, [], noise=0.002, smallest_flops=1)
        rng = np.random.default_rng([0, number, *b"coupled"])
        truth = truth_of(Kind.COUPLED, [world], [rng])
        reached = math.log(float(world.law(*FINAL))) + world.noise_sd(FINAL[0]) * rng.normal()
        log_loss, done = (part[0] for part in trained(small, [world], truth, LAB, [rng]))
        assert 0 < (~done).sum() < 40
        sample = Sample(small.params[done], small.tokens[done], np.exp(log_loss[done]), Count.ACTIVE, "", "", {}, ())
        fitted = estimate(sample, default_recipe())
        predicted, sd = fitted.predict(np.array([FINAL[0]]), np.array([FINAL[1]]))
        half = t_quantile(0.9, fitted.df) * math.hypot(sd[0], fitted.noise)
        assert outcome.error[number] == pytest.approx(predicted[0] - reached, abs=1e-6)
        assert outcome.width[number] == pytest.approx(2 * half, rel=1e-4)
        assert outcome.covered[number] == (abs(outcome.error[number]) <= half)


def test_a_world_with_too_few_finished_runs_is_counted_out_not_made_up(small):
    few = Runs(*(column[::12][:7] for column in small[:3]), 1.0)
    outcome = play(Task(few, Kind.CURVED, 0, 0, 12, LAB._replace(failure=0.3), FINAL))
    missing = np.isnan(outcome.error)
    assert 0 < missing.sum() < 12
    assert all((np.isnan(column) == missing).all() for column in outcome)
    assert score("few", Kind.CURVED, 1.0, few, outcome, outcome).worlds == 12 - missing.sum()


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_rivals_cost_what_the_own_design_costs_priced_by_the_planned_hours(name):
    budget = 4e5
    runs = rival_runs(SETTING, name, budget, seed=0)
    assert 0.85 * budget < runs.gpu_hours <= budget * (1 + 1e-9)
    size = {one.active: one for one in SETTING.sizes}
    priced = sum(
        SETTING.gpu_hours(SETTING.cell(size[N], float(D))) for N, D in zip(runs.params, runs.tokens, strict=True)
    )
    assert priced == pytest.approx(runs.gpu_hours)
    rules = {one.active: one.active_non_embedding for one in SETTING.sizes}
    assert runs.params_non_embedding.tolist() == [rules[N] for N in runs.params]


def test_isoflop_profiles_get_sizes_between_the_sweeps_own_where_those_are_far_apart(tmp_path):
    wide = tmp_path / "wide.toml"
    wide.write_text((REPOSITORY / "sweeps/deepseek_v3.toml").read_text().replace('["1B", "7B"]', '["300M", "7B"]', 1))
    runs = rival_runs(setting_of(read_sweep(wide)), "isoflop", 2e5, seed=0)
    flops = 6 * runs.params * runs.tokens
    per_level = [np.unique(runs.params[np.isclose(flops, level)]).size for level in flops]
    assert max(per_level) >= 6


def test_an_unknown_rival_or_a_single_world_is_refused():
    with pytest.raises(InputError, match="no design 'isoflops'"):
        assess_plan(SWEEP, rivals=("isoflops",))
    with pytest.raises(InputError, match="1 worlds show no spread"):
        assess_plan(SWEEP, worlds=1)


def outcomes(error: float, worlds: int = 400) -> Outcomes:
    values = error * (1 + np.random.default_rng(3).normal(size=worlds))
    return Outcomes(values, 1.0 * (np.abs(values) < 2 * error), np.full(worlds, 0.02), np.abs(values))


def test_a_score_is_the_plain_statistics_of_its_worlds(small):
    one, own = outcomes(0.01), outcomes(0.005)
    made = score("x", Kind.ADDITIVE, 0.5, small, one, own)
    assert made.rms_error == pytest.approx(np.sqrt((one.error**2).mean()))
    assert made.median_error == np.median(np.abs(one.error))
    assert made.p90_error == np.quantile(np.abs(one.error), 0.9)
    assert made.coverage == np.mean(one.covered)
    assert made.ratio == pytest.approx(2)
    assert made.ratio_error == pytest.approx(0, abs=1e-9)  # the same worlds, twice the error in each
    assert (made.gpu_hours, made.n_runs) == (small.gpu_hours, small.params.size)


def test_standard_errors_are_what_repeats_show(small):
    rng = np.random.default_rng(0)
    made = []
    for _ in range(300):
        errors = rng.normal(size=(2, 100)) * [[0.02], [0.01]]
        one, own = (outcomes(0.01, 100)._replace(error=row) for row in errors)
        made.append(score("x", Kind.ADDITIVE, 1.0, small, one, own))
    assert np.std([one.ratio for one in made]) == pytest.approx(np.mean([one.ratio_error for one in made]), rel=0.15)
    assert np.std([one.rms_error for one in made]) == pytest.approx(np.mean([one.rms_se for one in made]), rel=0.15)


def scored(kind: Kind, name: str, ratio: float, ratio_error: float, coverage: float = 0.9) -> DesignScore:
    return DesignScore(
        kind=kind, name=name, fraction=1.0, n_runs=100, gpu_hours=1e5, worlds=100, median_error=0.01, p90_error=0.02,
        rms_error=0.01 * ratio, rms_se=0.001, bias=0.0, coverage=coverage, median_width=0.03, waste=0.1, mean_waste=0.1,
        ratio=ratio, ratio_error=ratio_error,
    )  # fmt: skip


def judged(*ratios: tuple[str, float, float], coverage: float = 0.9) -> str:
    designs = [
        one
        for kind in Kind
        for one in (scored(kind, "optimal", 1.0, 0.0, coverage), *(scored(kind, *ratio) for ratio in ratios))
    ]
    return verdict(Assessment("optimal", 0.9, tuple(designs), (), None, {}))


def test_the_verdict_says_when_the_own_design_leads_loses_or_neither():
    led = judged(("ladder", 1.5, 0.1), ("ray", 3, 0.1))
    assert "has the lowest error in additive (ladder, 1.50 ± 0.10), coupled" in led
    assert "has no clear lead or lag in additive (ladder, 1.15 ± 0.10)" in judged(("ladder", 1.15, 0.1))
    lost = judged(("ladder", 0.7, 0.1), ("ray", 3, 0.1))
    assert "has a higher error in additive (ladder, 0.70 ± 0.10)" in lost
    assert "Try design = ladder: it is clearly worse in no kind of world." in lost
    assert "Try design" not in led


def test_a_rival_that_is_better_here_and_worse_there_is_not_recommended():
    designs = [scored(kind, "optimal", 1.0, 0.0) for kind in Kind]
    designs += [scored(kind, "ray", 0.5 if kind is Kind.HOSTILE else 3.0, 0.1) for kind in Kind]
    said = verdict(Assessment("optimal", 0.9, tuple(designs), (), None, {}))
    assert "a higher error in hostile (ray, 0.50 ± 0.10) worlds" in said
    assert "No rival is better throughout" in said
    assert "Try design" not in said


def test_the_verdict_says_where_the_interval_holds_too_seldom():
    assert "too seldom in additive and coupled and curved and hostile worlds" in judged(("ray", 3, 0.1), coverage=0.6)
    assert "too seldom" not in judged(("ray", 3, 0.1), coverage=0.88)


def test_without_rivals_the_verdict_still_speaks_of_the_interval():
    assert judged().startswith("Its 90% interval")


def test_what_is_believed_of_a_gain_against_the_filter_of_compare():
    log_flops = np.log([1e20, 4e20, 2e21, 6e21, 3e24])
    seen, variance = np.array([0.05, 0.02, 0.1, 0.08]), np.array([1e-3, 2e-3, 1e-3, 4e-3])
    mean, sd = _believed(log_flops, seen[None, None], variance[None, None])
    expected = posterior(covariance(log_flops), MEAN, seen, variance)
    assert mean[0, 0] == pytest.approx(expected[0][-1])
    assert sd[0, 0] == pytest.approx(expected[1][-1])


def ideas_for(hours: float) -> IdeasStudy:
    """The ideas study with a budget of its own."""
    return IdeasStudy(kind="ideas", budget=f"{hours:.0f} GPU-hours")


def test_gates_keep_no_less_gain_for_the_same_hours_and_promote_no_more_harm():
    gated = ideas_for(3.3e6)
    with_gates = gate_errors(SETTING, gated, LAB, worlds=600, seed=0)
    every = gate_errors(SETTING, gated.model_copy(update={"gates": False}), LAB, worlds=600, seed=0)
    assert with_gates.gpu_hours <= 3.4e6
    assert with_gates.pairs > every.pairs  # the same hours pay for more pairs of fewer ideas
    assert with_gates.missed_gain < every.missed_gain + 0.005
    assert with_gates.false_promotion < every.false_promotion + 0.003


def test_more_money_and_less_noise_make_fewer_gate_errors():
    poor, rich = (gate_errors(SETTING, ideas_for(hours), LAB, worlds=300, seed=0) for hours in (1e5, 3e6))
    loud = gate_errors(SETTING, ideas_for(1e5), LAB._replace(noise=0.006), worlds=300, seed=0)
    assert loud.missed_gain > poor.missed_gain > rich.missed_gain
    assert loud.sd > poor.sd > rich.sd
    assert 0 < rich.false_promotion < 0.1
    assert rich.pairs > poor.pairs
    assert rich.gpu_hours <= 3e6


def test_an_expected_gain_is_what_its_idea_gains():
    sure = replace(SWEEP, file=SWEEP.file.model_copy(
        update={"idea": tuple(idea.model_copy(update={"expected_gain": 1.4}) for idea in SWEEP.file.idea[:4])}
    ))  # fmt: skip
    found = gate_errors(setting_of(sure), ideas_for(3e6), LAB, worlds=200, seed=0)
    assert found.promoted > 3.8
    assert found.missed_gain < 0.05
    assert found.false_promotion == 0 or math.isnan(found.false_promotion)


def test_a_sweep_without_ideas_has_no_gates():
    only = replace(SWEEP, file=SWEEP.file.model_copy(update={"study": (STUDY,), "idea": ()}))
    assert assess_plan(only, worlds=2, rivals=()).gates is None
