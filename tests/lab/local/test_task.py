"""A plan's row as a task: the architecture whose counts are the plan's, the steps, what is refused; rates of a schedule."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_plans import BATCH, branch, row

from planner.errors import InputError
from planner.lab.local.rates import Schedule, rate_at
from planner.lab.local.task import task_of
from planner.models.architecture import Architecture, QKNorm
from planner.models.parameters import count_parameters


@given(
    n_layers=st.integers(1, 6), groups=st.integers(1, 3), n_kv_heads=st.integers(1, 3), head_dim=st.sampled_from([4, 8, 16]),
    d_model=st.integers(2, 80), d_ff=st.integers(1, 260), tied=st.booleans(), gated=st.booleans(), qk=st.sampled_from(QKNorm),
)  # fmt: skip
def test_the_decoder_built_has_the_counts_that_were_planned(
    n_layers, groups, n_kv_heads, head_dim, d_model, d_ff, tied, gated, qk
):
    heads = groups * n_kv_heads
    planned = Architecture(
        "m", "f", n_layers, d_model, heads, n_kv_heads, head_dim, d_ff, 256, tied, gated, qk_norm=qk
    )  # fmt: skip
    count = count_parameters(planned)
    cells = {
        name: str(getattr(planned, name))
        for name in ("n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim", "d_ff")
    }
    told = {"params_total": count.total, "params_non_embedding": count.non_embedding}
    built = task_of({**row("r"), **cells, **told}).model
    assert count_parameters(built) == count


def test_steps_come_from_tokens_and_branches_start_where_the_plan_says():
    task = task_of(branch("b", "t", steps=50, cooldown=10))
    assert (task.steps, task.resumed_steps, task.cooldown_steps) == (50, 40, 10)
    assert (task.tokens, task.warmup_steps, task.sequences) == (50 * BATCH, 5, 8)


def test_ideas_change_what_they_name():
    assert task_of(row("r", variant="QK-norm")).model.qk_norm is QKNorm.HEAD
    assert task_of(row("r", variant="tied embeddings")).model.tied_embeddings
    assert task_of(row("r", variant="no warm-up")).warmup_steps == 0
    assert task_of(row("r", variant="no warm-up")).variant == "no warm-up"


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"variant": "muon"}, "variant = 'muon': the local lab has no code"),
        ({"n_experts": 8}, "mixture of experts"),
        ({"vocab_size": 50_257}, "trains on bytes"),
        ({"batch_tokens": 100}, "whole number of sequences"),
        ({"lr_peak": "fast"}, "lr_peak = 'fast'"),
        ({"lr_peak": ""}, "lr_peak = ''"),
        ({"lr_peak": 0}, "lr_peak is zero"),
        ({"schedule": "triangle"}, "schedule = 'triangle'"),
        ({"optimizer": "muon"}, "optimizer = 'muon'"),
        ({"params_total": 99}, "params_total = 99 is not that of"),
        ({"share_web": 0.5}, "share_web: the local corpus has no domains"),
        ({"n_kv_heads": 3}, "heads that cannot be trained"),
        ({"resumed_tokens": 1e9}, "not fewer than tokens"),
        ({"run_id": ""}, "without run_id"),
    ],
)
def test_what_cannot_be_trained_here_is_refused_by_name(cells, words):
    with pytest.raises(InputError, match=words):
        task_of({**row("r"), **cells})


@given(steps=st.integers(2, 300), warmup=st.integers(0, 20), at=st.data())
def test_a_cosine_ends_at_a_tenth_and_never_rises_after_its_warm_up(steps, warmup, at):
    rates = [rate_at(s, peak=1.0, steps=steps, warmup=warmup, schedule=Schedule.COSINE) for s in range(steps)]
    after = rates[warmup:]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(after))
    if len(after) > 1:
        assert after[0] == 1.0 and after[-1] == pytest.approx(0.1)
    assert all(0 < rate <= 1 for rate in rates)


@given(steps=st.integers(20, 300), cooldown=st.integers(1, 19))
def test_a_branch_has_its_trunks_rates_until_it_leaves_it(steps, cooldown):
    trunk = [rate_at(s, peak=2.0, steps=500, warmup=5, schedule=Schedule.CONSTANT) for s in range(steps)]
    branch = [
        rate_at(s, peak=2.0, steps=steps, warmup=5, schedule=Schedule.WSD, cooldown=min(cooldown, steps - 10))
        for s in range(steps)
    ]
    left = steps - min(cooldown, steps - 10)
    assert branch[:left] == trunk[:left]
    assert all(0 < later < earlier for earlier, later in zip(branch[left - 1 :], branch[left:], strict=False))
