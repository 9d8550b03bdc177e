"""The plan: complete, priced, stable, within its budget."""

import math
from dataclasses import replace

import numpy as np
import pytest
from truths import REPOSITORY

from planner.errors import InputError
from planner.sweep.optimal import seed_noise
from planner.sweep.plan import propose
from planner.sweep.prescription import step_law
from planner.sweep.spec import Study, Sweep, read_sweep

SWEEPS = sorted((REPOSITORY / "sweeps").glob("*.toml"))


@pytest.fixture(scope="module")
def sweep() -> Sweep:
    return read_sweep(REPOSITORY / "sweeps/deepseek_v3.toml")


@pytest.fixture(scope="module")
def plan(sweep):
    return propose(sweep)


def changed(sweep: Sweep, **updates) -> Sweep:
    return replace(sweep, file=sweep.file.model_copy(update=updates))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda p: p.stem)
def test_every_sweep_of_ours_can_be_planned(path):
    assert len(propose(read_sweep(path)).runs) >= 10


def test_deepseek_v3_plans_thousands_of_runs_at_two_to_four_times_the_final_run(plan):
    assert len(plan.runs) >= 1000
    for mine, final in ((plan.flops, plan.setting.final.flops), (plan.gpu_hours, plan.setting.final.gpu_hours)):
        assert 2 <= mine / final <= 4
    assert 0 <= plan.design.gap <= 0.01
    assert plan.usd / plan.setting.final.usd == pytest.approx(plan.gpu_hours / plan.setting.final.gpu_hours)


def test_each_study_stays_within_its_share(plan):
    for study in plan.setting.sweep.file.study:
        spent = plan.by_study[study.kind]["gpu_hours"]
        assert 0.97 <= spent / (study.share * plan.setting.budget_gpu_hours) <= 1.001  # whole steps round tokens


def test_sizes_and_data_lie_where_the_question_asks(plan):
    runs = plan.runs
    assert runs["params_active"].between(0.98e9, 7.14e9).all()
    assert runs["tokens_per_param"].min() >= 20 * 0.995
    assert runs["tokens"].max() <= 1e12 * 1.005


def test_small_models_are_of_the_same_family_at_matched_sparsity(plan):
    runs = plan.runs
    assert (runs["n_experts"] == 256).all()
    assert (runs["experts_per_token"] == 8).all()
    assert (runs["n_shared_experts"] == 1).all()
    assert (runs["params_total"] > 9 * runs["params_active"]).all()


def test_every_run_is_complete_and_whole(plan):
    runs = plan.runs
    assert not runs.isna().any().any()
    assert (runs["steps"] * runs["batch_tokens"] == runs["tokens"]).all()
    assert (runs["batch_tokens"] % runs["context_length"] == 0).all()
    assert (runs["n_accelerators"] % 8 == 0).all()
    assert (runs["n_accelerators"] <= 2048).all()
    assert (runs["gpu_hours"] / runs["n_accelerators"] / 24 <= 7).all()
    np.testing.assert_allclose(runs["flops"], 6.0 * runs["params_active"] * runs["tokens"], rtol=1e-12)


def test_ids_are_unique_and_do_not_change_when_ideas_or_studies_are_added(sweep, plan):
    assert plan.runs["run_id"].is_unique
    fewer = propose(changed(sweep, study=sweep.file.study[:2], idea=()))
    kept = plan.runs[plan.runs["study"] != "ideas"]
    assert set(fewer.runs["run_id"]) == set(kept["run_id"])


def test_no_two_planned_runs_are_the_same_training(plan):
    trained = plan.runs.drop(columns=["run_id", "study", "stage", "purpose", "status", "group"])
    assert not trained.duplicated().any()


def test_the_same_file_gives_the_same_plan(sweep, plan):
    assert propose(sweep).runs.equals(plan.runs)


def test_a_plan_over_the_limit_is_refused_with_both_numbers(sweep):
    with pytest.raises(InputError, match=r"deepseek_v3 needs 9\.57e\+24 FLOPs, over the limit of 1\.00e\+24"):
        propose(sweep, max_flops=1e24)


def test_a_budget_for_fewer_than_six_cells_is_refused(sweep):
    from planner.quantities import parse_budget

    exploration = sweep.file.exploration.model_copy(update={"budget": parse_budget("500 GPU-hours")})
    with pytest.raises(InputError, match="a law needs 6"):
        propose(changed(sweep, exploration=exploration))


def test_every_idea_has_a_baseline_run_of_the_same_size_data_and_seed(plan):
    ideas = plan.runs[plan.runs["study"] == "ideas"]
    key = ["params_active", "tokens", "seed"]
    baseline = {tuple(row) for row in ideas.loc[ideas["variant"] == "baseline", key].to_numpy()}
    for _, rows in ideas.groupby("variant"):
        assert {tuple(row) for row in rows[key].to_numpy()} == baseline


def test_the_hyperparameter_grid_encloses_the_prescription(plan):
    runs = plan.runs[plan.runs["study"] == "hyperparameters"]
    for _, cell in runs.groupby("params_active"):
        prescribed = step_law(cell["params_active_non_embedding"].iloc[0], cell["tokens"].min()).lr_peak
        assert cell["lr_peak"].min() < prescribed < cell["lr_peak"].max()


def test_step_law_against_published():
    # Li et al., arXiv 2503.04715: lr = 1.79 N^-.713 D^.307, batch = .58 D^.571 tokens; written out by logarithms.
    rule = step_law(1e9, 1e11)
    assert math.log10(rule.lr_peak) == pytest.approx(math.log10(1.79) - 0.713 * 9 + 0.307 * 11)
    assert math.log10(rule.batch_tokens) == pytest.approx(math.log10(0.58) + 0.571 * 11)
    assert not rule.extrapolated
    assert step_law(7e9, 1e12).extrapolated


@pytest.mark.parametrize("design", ["optimal", "ladder"])
def test_both_designs_spread_tokens_per_parameter_eightfold(sweep, design):
    plan = propose(changed(sweep, study=(Study(kind="scaling", share=0.5, design=design),), idea=()))
    ratio = plan.runs["tokens_per_param"]
    assert ratio.max() / ratio.min() >= 8


def test_seed_noise_falls_with_size():
    assert seed_noise(np.array([1e9]))[0] == pytest.approx(0.003)
    assert (np.diff(seed_noise(np.geomspace(1e8, 1e11, 10))) < 0).all()
