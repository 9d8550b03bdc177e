"""Learning rate and batch: published rules at known points, ranges, and the user's own fit."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from planner.models.catalog import find_model
from planner.models.shape import shape_for
from planner.sweep.file.tables import Hyperparameters
from planner.sweep.prescription import rule_of, step_law
from planner.sweep.size import Size

SMALL = Size(shape_for(find_model("llama-3-8b"), 1.5e9))
LARGE = Size(shape_for(find_model("llama-3-8b"), 3e9))


def rule(**settings):
    return rule_of(Hyperparameters(**settings), None)


def test_deepseek_against_published():
    # arXiv 2401.02954: at 1e20 FLOPs 1.02M tokens and 9.9e-4; fitted up to there.
    size, context = SMALL, 4096
    per_token = 6 * size.active_non_embedding + 12 * size.model.n_layers * size.model.d_model * context
    found = rule(rule="deepseek")(size, 1e20 / per_token, context)
    assert found.batch_tokens == pytest.approx(1.02e6, rel=0.01)
    assert found.lr_peak == pytest.approx(0.00099, rel=0.01)
    assert not found.extrapolated
    assert rule(rule="deepseek")(size, 2e20 / per_token, context).extrapolated


def test_porian_against_published():
    # arXiv 2406.19146: 0.0047 and about 160 sequences of 2048 at 108M parameters, the head counted.
    found = rule(rule="porian")(SMALL, 3e10, 4096)
    assert found.lr_peak == pytest.approx(0.0047 * (SMALL.active_with_head / 108e6) ** -0.36, rel=0.01)
    assert found.batch_tokens == pytest.approx(160 * 2048 * (SMALL.active_with_head / 108e6) ** 0.703, rel=0.05)
    assert found.extrapolated


def test_three_term_against_published():
    found = rule(rule="three-term")(SMALL, 1e11, 4096)
    assert math.log10(found.batch_tokens) == pytest.approx(math.log10(0.667) + 0.566 * 11)
    assert found.lr_peak == step_law(SMALL.active_non_embedding, 1e11).lr_peak


def test_mup_transfers_over_width_only():
    found = [
        rule(rule="mup", base_lr=0.01, base_width=256)(size, tokens, 4096)
        for size in (SMALL, LARGE)
        for tokens in (1e10, 1e11)
    ]
    assert found[0].lr_peak == found[1].lr_peak == 0.01 * 256 / SMALL.model.d_model
    assert found[2].lr_peak / found[0].lr_peak == pytest.approx(SMALL.model.d_model / LARGE.model.d_model)
    transfer = rule(rule="mup", base_lr=0.01, base_width=SMALL.model.d_model)
    assert [transfer(SMALL, tokens, 4096).extrapolated for tokens in (1e9, 1e10, 1e12)] == [True, False, True]


def test_power_lines_keep_the_timescale():
    found = rule(rule="power-lines", base_lr=0.01, base_width=256)(SMALL, 1e11, 4096)
    timescale = found.batch_tokens / (found.lr_peak * found.weight_decay * 1e11)
    assert timescale == pytest.approx(1.084 * (1e11 / SMALL.active) ** -0.527)


def test_a_fitted_rule_finds_the_optimum_of_the_users_own_grid():
    steps = (0.4, 0.63, 1, 1.6, 2.5)
    rows = []
    for params, tokens, x, y in itertools.product((1e8, 4e8, 1.6e9), (4e9, 1.6e10, 6.4e10), steps, steps):
        best = step_law(params, tokens)
        excess = 0.006 * math.log(x) ** 2 + 0.006 * math.log(y) ** 2
        loss = 3 * (params / 1e8) ** -0.05 * math.exp(excess)
        rows.append((params, tokens, best.lr_peak * 0.8 * x, best.batch_tokens * y, loss))
    columns = ["params_active_non_embedding", "tokens", "lr_peak", "batch_tokens", "loss"]
    grid = pd.DataFrame(rows, columns=columns)
    rule = rule_of(Hyperparameters(rule="fitted", runs="grid.csv"), grid)
    found = rule(SMALL, 3e10, 4096)
    wanted = step_law(SMALL.active_non_embedding, 3e10)
    assert found.lr_peak == pytest.approx(0.8 * wanted.lr_peak, rel=0.01)
    assert found.batch_tokens == pytest.approx(wanted.batch_tokens, rel=0.01)
    assert not found.extrapolated
    assert rule(Size(shape_for(find_model("llama-3-8b"), 7e9)), 3e10, 4096).extrapolated


@pytest.mark.parametrize("name", ["step-law", "deepseek", "three-term"])
def test_a_rule_depends_on_size_and_data(name):
    found = {size: [rule(rule=name)(size, tokens, 4096) for tokens in (1e10, 1e12)] for size in (SMALL, LARGE)}
    assert found[SMALL][0].batch_tokens < found[SMALL][1].batch_tokens
    assert found[SMALL][0].lr_peak > found[LARGE][0].lr_peak
    assert np.isfinite([one.lr_peak for pair in found.values() for one in pair]).all()
