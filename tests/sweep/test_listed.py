"""Sweeps whose shapes, cells and runs are named one by one, under a prescription of their own."""

import pytest
from truths import REPOSITORY

from planner.errors import InputError
from planner.models.catalog import find_model
from planner.models.parameters import count_parameters
from planner.models.shape import shape_of
from planner.sweep.plan import propose
from planner.sweep.spec import read_sweep

TINY = (REPOSITORY / "sweeps/tiny_lm.toml").read_text()


@pytest.fixture
def planned(tmp_path):
    def make(*changes: tuple[str, str]):
        text = TINY.replace("tiny_lm/", str(REPOSITORY / "sweeps/tiny_lm") + "/")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        (tmp_path / "sweep.toml").write_text(text)
        return propose(read_sweep(tmp_path / "sweep.toml"))

    return make


@pytest.fixture(scope="module")
def tiny():
    return propose(read_sweep(REPOSITORY / "sweeps/tiny_lm.toml"))


def test_the_recorded_study_has_what_its_issue_asks_for(tiny):
    runs = tiny.runs
    assert len(runs) >= 120
    scaling, held = runs[runs["kind"] == "scaling"], runs[runs["kind"] == "holdout"]
    assert scaling["params_active"].nunique() >= 6
    assert (scaling.groupby("params_active")["tokens"].nunique() >= 6).all()
    assert scaling["tokens_per_param"].max() > 900
    assert (runs["steps"][runs["kind"] != "hyperparameters"] >= 500).all()
    assert len(held) >= 8
    fitted = runs[runs["kind"] != "holdout"]["flops"].max()
    assert (held["flops"] >= 9.5 * fitted).sum() >= 3
    assert runs[runs["kind"] == "ideas"]["variant"].nunique() == 4
    assert runs[runs["kind"] == "hyperparameters"].groupby(["params_active", "d_model"])["lr_peak"].nunique().min() >= 3
    assert (runs[runs["kind"] == "replicates"].groupby("params_active")["seed"].nunique() >= 4).all()


def test_a_shape_keeps_the_familys_proportions():
    llama = find_model("llama-3-8b")
    half = shape_of(llama, 16, 2048)
    assert (half.n_heads, half.n_kv_heads, half.head_dim, half.d_ff) == (16, 4, llama.head_dim, llama.d_ff // 2)
    assert shape_of(llama, llama.n_layers, llama.d_model).n_heads == llama.n_heads
    same = shape_of(llama, llama.n_layers, llama.d_model)
    assert count_parameters(same).total == count_parameters(llama).total
    two = shape_of(llama, 16, 2048, 2)
    assert (two.n_heads, two.head_dim) == (2, 1024)


@pytest.mark.parametrize(("width", "heads"), [(100, None), (2048, 3), (130, 2)])
def test_a_width_that_its_heads_do_not_divide_is_refused(width, heads):
    with pytest.raises(InputError, match="heads of"):
        shape_of(find_model("llama-3-8b"), 4, width, heads)


def test_the_prescription_is_the_one_written_down(tiny):
    for row in tiny.runs[tiny.runs["kind"] == "scaling"].itertuples():
        body = row.params_active_non_embedding
        assert row.lr_peak == pytest.approx(0.6 * body**-0.6 * row.tokens**0.15, rel=2e-3)
        assert row.batch_tokens == pytest.approx(0.28 * row.tokens**0.571, rel=0.13)  # whole sequences of 128
        assert row.hyperparameters_extrapolated == (not (9.2e3 <= body <= 148e3 and 0.999e6 <= row.tokens <= 4.001e6))
    assert set(tiny.runs["precision"]) == {"fp32"}


def test_a_listed_study_costs_what_its_runs_cost_and_the_whole_stays_within_the_budget(tiny, planned):
    assert tiny.gpu_hours <= tiny.setting.budget_gpu_hours * 1.005
    with pytest.raises(
        InputError, match=r"the listed runs cost 1\.4\d* GPU-hours; with 0\.\d+ of the other"
    ) as refused:
        planned(('budget = "2.1 GPU-hours"', 'budget = "1.8 GPU-hours"'))
    assert "raise exploration.budget" in refused.value.hint


def test_held_out_runs_are_planned_last_with_seeds_of_their_own(tiny):
    runs = tiny.runs
    held = runs[runs["kind"] == "holdout"]
    assert (held["priority"] == 9).all()
    assert not set(held["seed"]) & set(runs[runs["kind"] != "holdout"]["seed"])
    assert held["purpose"].str.startswith("held out").all()


def test_named_cells_are_used_as_named(tiny):
    runs = tiny.runs
    tuned = runs[runs["kind"] == "hyperparameters"]
    assert {(row.params_active, round(row.tokens, -6)) for row in tuned.itertuples()} == {
        (17520, 1e6), (17520, 4e6), (53472, 2e6), (78360, 1e6)
    }  # fmt: skip
    rungs = runs[runs["kind"] == "ideas"].drop_duplicates("stage")
    assert rungs["params_active"].tolist() == [17520, 33192, 78360]
    assert set(runs[runs["kind"] == "replicates"]["params_active"]) == {17520, 33192, 53472, 107856}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('["17520", "500K", 2]', '["17520", "100K", 2]'), r"100000 tokens have 2\d\d steps|1e\+05 tokens have \d+ steps"),
        (('["17520", "500K", 2]', '["20000", "500K", 2]'), "20,000 active parameters are none of the sweep's shapes"),
        (("shapes = [[3, 16, 2], ", "params_active = ['1K', '2K']\nshapes = [[3, 16, 2], "), "give the range of sizes or their"),
        (("shapes = [[3, 16, 2], ", "sizes = 4\nshapes = [[3, 16, 2], "), "sizes: the shapes are the sizes"),
        (("[3, 24, 2], ", "[3, 16, 2], "), "one is there twice"),
        (("[3, 24, 2], ", "[3, 25, 2], "), "2 heads of 12.5 channels"),
        (('rule = "own"', 'rule = "step-law"'), r'own: rule = "own" and \[hyperparameters.own\] go together'),
        (('kind = "local"', 'kind = "local"\nnoise = 0.01'), 'noise: a lab of kind = "local" has no such thing'),
        (('tokens = ["500K", "60M"]', 'tokens = ["500K", "600K"]\nexclude = []'), None),
        (('tokens = ["500K", "60M"]', 'tokens = ["9 per param", "600K"]'), "is empty at 78,360 active parameters"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_one_line(planned, change, says):
    if says is None:
        assert len(planned(change).runs)
        return
    with pytest.raises(InputError, match=says):
        planned(change)


def test_cells_with_fewer_steps_than_asked_are_left_out_of_a_design(planned):
    start, end = TINY.index('kind = "scaling"'), TINY.index('[[study]]\nkind = "replicates"')
    listed, habit = TINY[start:end], 'kind = "scaling"\nshare = 0.24\ndesign = "overtrain"\n'
    free = planned((listed, habit), ("min_steps = 500", ""))
    assert free.runs[free.runs["kind"] == "scaling"]["steps"].min() < 1100
    named = '["17520", "1.4M"], ["33192", "1.2M"], ["53472", "1M"], ["107856", "1M"]]'
    plan = planned(
        (listed, habit),
        ("min_steps = 500", "min_steps = 1200"),
        (named, '["17520", "8M"]]'),
        ('at = [["17520", "1M"], ["17520", "4M"], ["53472", "2M"], ["78360", "1M"]]', 'at = [["17520", "8M"]]'),
        ('at = [["17520", "2M"], ["33192", "2M"], ["78360", "2M"]]', 'at = [["17520", "4M"], ["33192", "4M"]]'),
    )
    assert plan.runs[plan.runs["kind"] == "scaling"]["steps"].min() >= 1200


def test_named_cells_are_bought_all_or_the_share_is_refused(planned):
    with pytest.raises(InputError, match=r"hyperparameters study of .* does not pay all that it names"):
        planned(("share = 0.1028\n", "share = 0.06\n"))
