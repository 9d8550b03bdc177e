"""Every kind of study: what it asks for, within its budget, complete rows, and refusals."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.sweep.plan import propose
from planner.sweep.spec import read_sweep
from planner.sweep.studies.mixture import lattice

HEAD = """
schema = 1
name = "small"
question = "What?"
[final]
model = "llama-3-8b"
tokens = "2T"
accelerator = "h100"
count = 512
[exploration]
budget = "0.5x final"
params_active = ["0.5B", "3B"]
tokens = ["20 per param", "300B"]
count = 64
[[study]]
kind = "scaling"
share = 0.4
"""


@pytest.fixture
def planned(tmp_path):
    def make(tail: str, head: str = HEAD):
        path = tmp_path / "sweep.toml"
        path.write_text(head + tail)
        return propose(read_sweep(path))

    return make


def study(plan, name):
    return plan.runs[plan.runs["study"] == name]


@pytest.mark.parametrize(
    ("tail", "name", "column", "levels"),
    [
        ('[[study]]\nkind = "vocabulary"\nshare = 0.2\nvocab_sizes = [32000, 64000, 128000]', "vocabulary", "vocab_size", 3),
        ('[[study]]\nkind = "context"\nshare = 0.2\ncontext_lengths = [2048, 8192]', "context", "context_length", 2),
        (
            '[[study]]\nkind = "hyperparameters"\nshare = 0.2\nlearning_rate = [0.5, 1, 2]\nbatch = [1.0]\n'
            "weight_decay = [0.3, 1, 3]",
            "hyperparameters", "weight_decay", 3,
        ),
        ('[[study]]\nkind = "replicates"\nshare = 0.1\nseeds = 4', "replicates", "params_active", 3),
    ],
)  # fmt: skip
def test_a_study_varies_what_it_is_for_within_its_budget(planned, tail, name, column, levels):
    plan = planned(tail)
    runs = study(plan, name)
    assert runs[column].nunique() == levels
    share = float(tail.split("share = ")[1].split()[0])
    assert 0 < runs["gpu_hours"].sum() <= share * plan.setting.budget_gpu_hours * 1.005
    assert runs["run_id"].is_unique
    assert not plan.runs[runs.columns.drop("trunk_id")].isna().any().any()


def test_vocabularies_are_never_one_group(planned):
    runs = study(
        planned('[[study]]\nkind = "vocabulary"\nshare = 0.2\nvocab_sizes = [32000, 64000, 128000]'), "vocabulary"
    )
    assert (runs.groupby("group")["vocab_size"].nunique() == 1).all()
    assert runs["group"].nunique() == 3


def test_a_mixture_study_covers_the_lattice_and_names_its_columns(planned):
    plan = planned(
        '[[study]]\nkind = "mixture"\nshare = 0.3\ndomains = ["web", "code", "books"]\nsteps = 4\nleast = 0.05\n'
        'params_active = "0.5B"'
    )
    runs = study(plan, "mixture")
    shares = runs[["share_web", "share_code", "share_books"]].to_numpy()
    np.testing.assert_allclose(shares.sum(1), 1)
    assert shares.min() == pytest.approx(0.05)
    assert len(np.unique(shares.round(9), axis=0)) == comb(3 + 4 - 1, 4) + 1
    assert plan.runs.loc[plan.runs["study"] != "mixture", "share_web"].isna().all()


@given(st.integers(2, 6), st.integers(1, 5), st.floats(0, 0.15))
def test_a_lattice_is_on_the_simplex_and_has_the_known_number_of_points_against_scheffe(domains, steps, least):
    points = lattice(domains, steps, least)
    np.testing.assert_allclose(np.sum(points, axis=1), 1, atol=1e-9)
    assert np.min(points) >= least - 1e-9
    assert len(points) == comb(domains + steps - 1, steps) + (steps % domains > 0)
    assert len(set(points)) == len(points)


def test_sparsity_keeps_active_parameters(planned):
    head = (
        HEAD.replace("llama-3-8b", "deepseek-v3")
        .replace("count = 512", "count = 2048")
        .replace('"0.5B", "3B"', '"1B", "7B"')
    )
    plan = planned('[[study]]\nkind = "sparsity"\nshare = 0.3\nsparsities = [8, 16, 32]', head)
    runs = study(plan, "sparsity")
    assert (runs["n_experts"] / runs["experts_per_token"]).nunique() == 3
    smallest = runs[runs["params_active"] < 1.1e9]
    assert smallest["params_active"].max() / smallest["params_active"].min() < 1.05
    assert smallest["params_total"].max() / smallest["params_total"].min() > 2


def test_ids_do_not_change_when_a_named_study_is_added(planned):
    before = planned('[[study]]\nkind = "replicates"\nshare = 0.1')
    after = planned(
        '[[study]]\nkind = "replicates"\nshare = 0.1\n[[study]]\nkind = "replicates"\nname = "late"\nshare = 0.1'
    )
    assert set(before.runs["run_id"]) < set(after.runs["run_id"])
    assert not set(study(after, "late")["seed"]) & set(study(after, "replicates")["seed"])


def test_a_study_may_have_a_budget_of_its_own(planned):
    plan = planned('[[study]]\nkind = "replicates"\nbudget = "$20K"')
    assert 10_000 < study(plan, "replicates")["usd"].sum() <= 20_000 * 1.005


def test_priority_orders_answers_and_can_be_set(planned):
    plan = planned('[[study]]\nkind = "replicates"\nshare = 0.1\n[[study]]\nkind = "context"\nshare = 0.1\npriority = 9\n'
                   "context_lengths = [2048, 8192]")  # fmt: skip
    first = plan.runs.groupby("study")["priority"].first()
    assert first["replicates"] < first["scaling"] < first["context"] == 9


def test_every_run_fits_memory_and_its_batch_divides_over_its_ranks(planned):
    runs = planned('[[study]]\nkind = "hyperparameters"\nshare = 0.3').runs
    sequences = runs["batch_tokens"] / runs["context_length"]
    assert (sequences % (runs["data_parallel"] * runs["micro_batch_sequences"]) == 0).all()
    assert (runs["memory_fraction"] <= 1).all()
    degrees = runs["tensor_parallel"] * runs["pipeline_parallel"] * runs["context_parallel"] * runs["data_parallel"]
    assert (degrees == runs["n_accelerators"]).all()


IDEAS = '[[study]]\nkind = "ideas"\nshare = 0.6\n' + "".join(f'[[idea]]\nname = "idea {i}"\n' for i in range(10))


def test_ideas_meet_gates_and_the_expected_cost_is_the_budget(planned):
    plan = planned(IDEAS, HEAD.replace("0.5x final", "5x final"))
    runs = study(plan, "ideas")
    assert runs["stage"].max() >= 3
    variants = runs[runs["variant"] != "baseline"]
    chance = variants.groupby("stage")["chance"].first()
    assert chance.iloc[0] == 1
    assert (np.diff(chance) < 0).all()
    assert (runs.loc[runs["variant"] == "baseline", "chance"] == 1).all()
    expected = (runs["gpu_hours"] * runs["chance"]).sum()
    assert 0.9 <= expected / (0.6 * plan.setting.budget_gpu_hours) <= 1.005
    assert runs["gpu_hours"].sum() > expected


def test_without_gates_every_idea_runs_on_every_rung(planned):
    plan = planned(IDEAS.replace("share = 0.6", "share = 0.6\ngates = false"))
    assert (study(plan, "ideas")["chance"] == 1).all()
    assert plan.most_gpu_hours == pytest.approx(plan.gpu_hours)


def test_more_ideas_than_the_budget_can_test_are_refused_with_how_many_it_can(planned):
    tail = IDEAS.replace("share = 0.6", 'budget = "8000 GPU-hours"\nwanted_gain = 1.05')
    with pytest.raises(InputError, match=r"10 ideas on 8000 GPU-hours: a gain of .* 1\.05 is wanted") as caught:
        planned(tail)
    assert "test " in caught.value.hint
    number = int(caught.value.hint.split("test ")[1].split(" ")[0])
    assert 1 <= number < 10
    fewer = tail.split("[[idea]]")[0] + "".join(f'[[idea]]\nname = "idea {i}"\n' for i in range(number))
    assert len(study(planned(fewer), "ideas"))


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        ('[[study]]\nkind = "sparsity"\nshare = 0.3\nsparsities = [8, 16, 32]', "needs a mixture of experts"),
        ('[[study]]\nkind = "replicates"\nbudget = "$1"', "does not pay 5 seed"),
        ('[[study]]\nkind = "mixture"\nshare = 0.3\ndomains = ["a", "a"]', "one is there twice"),
        ('[[study]]\nkind = "mixture"\nshare = 0.3\ndomains = ["a", "b"]\nleast = 0.5', "should be less than 0.5"),
        ('[[study]]\nkind = "hyperparameters"\nshare = 0.3\nbatch = [1, 2]', "two factors show no optimum"),
        ('[[study]]\nkind = "colour"\nshare = 0.3', "kind = 'colour' is unknown"),
        ("[[study]]\nshare = 0.3", "kind is missing"),
        ('[[study]]\nkind = "context"\nshare = 0.3\nbudget = "$5"\ncontext_lengths = [1, 2]', "one of them"),
        ('[[study]]\nkind = "replicates"\nshare = 0.1\n[[study]]\nkind = "replicates"\nshare = 0.1', "two of one name"),
    ],
)
def test_bad_studies_are_refused(planned, tail, says):
    with pytest.raises(InputError) as caught:
        planned(tail)
    assert says in caught.value.message
    assert caught.value.hint


def test_excluded_and_too_long_runs_are_not_planned(planned):
    whole = planned("").runs
    some = planned(
        "", HEAD.replace("count = 64", 'count = 64\nexclude = ["tokens_per_param>200", "params_active<0.6B"]')
    ).runs
    assert whole["tokens_per_param"].max() > 200
    assert some["tokens_per_param"].max() <= 201
    assert some["params_active"].min() >= 0.6e9
    short = planned("", HEAD.replace("count = 64", "count = 64\nmax_days_per_run = 2")).runs
    assert short["days"].max() <= 2.02


def test_a_dense_sweep_for_a_mixture_of_experts_names_its_assumption(planned):
    head = (
        HEAD.replace("llama-3-8b", "deepseek-v3")
        .replace("count = 512", "count = 2048")
        .replace('"0.5B", "3B"', '"1B", "7B"')
    )
    with pytest.raises(InputError, match="dense runs say nothing of deepseek-v3"):
        planned("", head.replace("count = 64", 'count = 64\nfamily = "dense"'))
    with pytest.raises(InputError, match="dense_equivalent_params") as caught:
        planned("", head.replace("count = 64", 'count = 64\nfamily = "dense-equivalent"'))
    assert "159B" in caught.value.hint  # root of 671B x 37B
    plan = planned("", head.replace("count = 64", 'count = 64\nfamily = "dense-equivalent"').replace(
        "count = 2048", 'count = 2048\ndense_equivalent_params = "158B"'))  # fmt: skip
    assert (plan.runs["n_experts"] == 0).all()
    assert plan.setting.target == (158e9, 2e12)


PRIOR = "params_active,tokens,loss\n" + "".join(
    f"{size:.0f},{size * ratio:.0f},{1.8 + 482 * size**-0.348 + 2085 * (size * ratio) ** -0.366:.5f}\n"
    for size in (6e8, 9e8, 1.4e9)
    for ratio in (20, 60, 180)
)


def test_prior_runs_are_information_that_the_design_need_not_buy(planned, tmp_path):
    (tmp_path / "prior.csv").write_text(PRIOR)
    from planner.sweep.expectation import expected_sd

    alone = planned("")
    helped = planned("", HEAD.replace("count = 64", 'count = 64\nprior_runs = ["prior.csv"]'))
    assert helped.design.expected_sd < alone.design.expected_sd
    assert expected_sd(helped) == pytest.approx(helped.design.expected_sd, rel=0.02)
    assert helped.setting.sweep.sha256 != alone.setting.sweep.sha256
    assert helped.gpu_hours <= alone.setting.budget_gpu_hours * 1.005


@pytest.mark.parametrize(
    ("table", "says"),
    [("params_active,tokens\n1e9,2e10\n", "no column 'loss'"), ("", "the file is empty")],
)
def test_bad_prior_runs_are_refused(planned, tmp_path, table, says):
    (tmp_path / "prior.csv").write_text(table)
    with pytest.raises(InputError, match=says):
        planned("", HEAD.replace("count = 64", 'count = 64\nprior_runs = ["prior.csv"]'))


def test_prior_runs_of_another_loss_are_never_pooled():
    import pandas as pd

    from planner.runs.read import RunTable
    from planner.sweep.prior import with_prior

    mine = RunTable(pd.DataFrame({"loss": [2.0], "loss_name": ["c4"], "line": [2]}), "runs.csv", "", {})
    same = with_prior(mine, pd.DataFrame({"loss": [2.1]}))
    assert same.frame["loss_name"].tolist() == ["c4", "c4"]
    with pytest.raises(InputError, match="loss_name is 'pile', the sweep's runs have 'c4'"):
        with_prior(mine, pd.DataFrame({"loss": [2.1], "loss_name": ["pile"]}))


def test_evaluations_on_the_way_of_a_prior_run_are_neither_fitted_nor_paid_twice():
    import pandas as pd

    from planner.sweep.prior import finished

    table = pd.DataFrame(
        [
            ("a", 1e10, 2.9, "completed", "false"), ("a", 2e10, 2.7, "completed", "TRUE"),  # annealed at its end only
            ("b", 1e10, 2.8, "completed", "false"), ("b", 3e10, 2.5, "completed", "false"),  # never annealed
            ("c", 1e9, None, "diverged", "false"), ("c", 1e9, None, "failed", "false"), ("d", 2e10, 2.6, None, None),
            (None, 1e10, 2.8, "completed", "false"),
        ],
        columns=["run_id", "tokens", "loss", "status", "is_final"],
    )  # fmt: skip
    done, paid = finished(table)
    assert done[["run_id", "tokens"]].values.tolist() == [["a", 2e10], ["d", 2e10]]
    assert paid[["run_id", "tokens"]].values.tolist() == [["b", 3e10], ["c", 1e9], ["c", 1e9]]
    assert finished(table[["tokens", "loss"]])[1] is None
    assert finished(None) == (None, None)


@pytest.mark.parametrize("design", ["isoflop", "ladder", "overtrain", "ray", "random"])
def test_a_design_by_habit_spends_the_share_on_the_sweeps_sizes(planned, design):
    plan = planned("", HEAD.replace("share = 0.4", f'share = 0.9\ndesign = "{design}"'))
    assert 0.5 <= plan.gpu_hours / (0.9 * plan.setting.budget_gpu_hours) <= 1.005
    assert plan.design is None
    ratio = plan.runs["tokens_per_param"]
    assert (ratio.max() / ratio.min() < 1.05) == (design == "ray")


def test_listed_runs_are_planned_as_they_are_and_refused_beyond_the_share(planned):
    runs = 'design = "list"\nruns = [["0.5B", "20 per param", 4], ["1B", "40B", 4], ["2B", "100B", 4]]'
    plan = planned("", HEAD.replace("share = 0.4", f"share = 0.9\n{runs}"))
    assert plan.runs.groupby("params_active")["seed"].nunique().tolist() == [4, 4, 4]
    assert sorted(plan.runs["tokens"].unique()) == pytest.approx([1e10, 4e10, 1e11], rel=0.01)
    with pytest.raises(InputError, match="the listed runs cost"):
        planned("", HEAD.replace("share = 0.4", f"share = 0.001\n{runs}"))


def test_goals_and_targets_change_where_runs_lie(planned):
    loss = planned("")
    size = planned("", HEAD.replace("share = 0.4", 'share = 0.4\ngoals = ["loss"]'))
    more = planned('[[target]]\nparams_active = "70B"\ntokens = "15T"\nweight = 4\n')
    band = planned("", HEAD.replace("share = 0.4", "share = 0.4\nband = 10"))
    ids = [frozenset(plan.runs["run_id"]) for plan in (loss, size, more, band)]
    assert len(set(ids)) == 4
    with pytest.raises(InputError, match="is smaller than the sweep's"):
        planned('[[target]]\nparams_active = "1B"\ntokens = "15T"\n')


WSD = HEAD.replace("[[study]]", '[hyperparameters]\nschedule = "wsd"\n[[study]]', 1)


def test_trunks_are_priced_once_and_branches_pay_their_cooldown(planned):
    plan = planned("", WSD.replace("share = 0.4", 'share = 0.9\ntrunks = "always"'))
    runs = plan.runs.set_index("run_id")
    trunks, branches = runs[runs["schedule"] == "constant"], runs[runs["trunk_id"] != ""]
    assert len(branches) > len(trunks) > 0
    assert set(branches["trunk_id"]) == set(trunks.index)
    trunk = trunks.loc[branches["trunk_id"]]
    for name in ("lr_peak", "batch_tokens", "seed", "params_active", "n_accelerators"):
        assert (branches[name].to_numpy() == trunk[name].to_numpy()).all(), name
    assert (branches["resumed_tokens"].to_numpy() <= trunk["tokens"].to_numpy()).all()
    np.testing.assert_allclose(
        branches["flops"], 6.0 * branches["params_active"] * (branches["tokens"] - branches["resumed_tokens"])
    )
    assert branches["cooldown_fraction"].between(0.14, 0.16).all()
    alone = planned("", WSD.replace("share = 0.4", 'share = 0.9\ntrunks = "never"'))
    assert (alone.runs["trunk_id"] == "").all()
    either = planned("", WSD.replace("share = 0.4", "share = 0.9"))
    assert either.design.expected_sd <= min(plan.design.expected_sd, alone.design.expected_sd) * (1 + 1e-9)


def test_contradicting_constraints_are_named_with_what_would_do(planned):
    head = HEAD.replace("count = 64", "count = 64\nmax_runs = 4")
    with pytest.raises(InputError, match="constraints contradict each other") as caught:
        planned("", head)
    assert "at most 4 runs" in caught.value.message
    assert "together they need" in caught.value.hint
    with pytest.raises(InputError, match="tokens per parameter spread over 500x"):
        planned("", HEAD.replace("count = 64", "count = 64\nmin_tokens_per_param_spread = 500"))


def test_a_plan_that_no_schedule_ends_in_time_is_refused_with_what_would_fit(planned):
    head = HEAD.replace("share = 0.4", "share = 0.9")
    days = planned("", head).gpu_hours / 24 / 64
    planned("", head.replace("count = 64", f"count = 64\ndeadline_days = {days * 1.01:.2f}"))
    with pytest.raises(InputError, match="count = 64 chips always busy") as caught:
        planned("", head.replace("count = 64", f"count = 64\ndeadline_days = {days / 2:.2f}"))
    assert "lower exploration.budget to 0.50 of it" in caught.value.hint
    with pytest.raises(InputError, match="max_runs_at_once = 1 always busy"):
        planned("", head.replace("count = 64", f"count = 64\ndeadline_days = {days:.2f}\nmax_runs_at_once = 1"))
