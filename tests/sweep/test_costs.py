"""The [[cost]] tables of a sweep file: what becomes of them in the ledger, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from truths import REPOSITORY

from planner.errors import InputError
from planner.report.costs import costs_of
from planner.sweep.plan import propose
from planner.sweep.spec import read_sweep

BASE = (REPOSITORY / "sweeps/deepseek_v3.toml").read_text()


def rows(tmp_path: Path, cost: str, base: str = BASE):
    (tmp_path / "s.toml").write_text(f"{base}\n[[cost]]\n{cost}\n")
    table = costs_of(propose(read_sweep(tmp_path / "s.toml")))
    return table[table["source"] != "the sweep file's [final]"]


def test_sampled_and_trained_tokens_become_flops_and_hours(tmp_path):
    # 800k sampled reasoning traces of 8k tokens, trained on once: 2 FLOPs a sampled token and active parameter, 6 a trained one.
    row = rows(tmp_path, 'name = "traces"\nkind = "post_training"\nsampled_tokens = "6.4B"\ntrained_tokens = "6.4B"\n'
               "sampling_utilisation = 0.1\nparams_active = \"37B\"").iloc[0]  # fmt: skip
    assert row["flops"] == pytest.approx(37e9 * 6.4e9 * 8)
    sampled = 2 * 37e9 * 6.4e9 / (0.1 * 989e12 * 3600)
    assert row["gpu_hours"] > sampled
    assert row["gpu_hours_source"] == "modelled"
    assert row["side"] == "final"


def test_staff_stands_beside(tmp_path):
    row = rows(tmp_path, 'name = "team"\nkind = "staff"\nusd = "3M"\nmonth = "2025-03"\nowner = "lab"').iloc[0]
    assert (row["side"], row["usd"], row["month"], row["owner"]) == ("beside", 3e6, "2025-03", "lab")


@pytest.mark.parametrize(("cost", "says"), [
    ('name = "a"\nkind = "staff"', "usd: staff without dollars"),
    ('name = "a"\nkind = "credit"\nusd = -5', "not above zero"),
    ('name = "a"\nkind = "evaluation"', "a cost without an amount"),
    ('name = "a"\nkind = "evaluation"\nusd = 5\nrun_id = "ghost"', "run 'ghost', which does not exist"),
    ('name = "a"\nkind = "staff"\nusd = 5\ncurrency = "EUR"', "'EUR' beside USD"),
    ('name = "a"\nkind = "staff"\nusd = 5\nmonth = "2999-01"', "is in the future"),
    ('name = "a"\nkind = "post_training"\nsampled_tokens = "1B"', "hours of sampled tokens are not known"),
])  # fmt: skip
def test_bad_costs_are_refused_in_one_line(tmp_path, cost, says):
    with pytest.raises(InputError, match=says):
        rows(tmp_path, cost)


def test_a_price_from_the_future_is_refused(tmp_path):
    with pytest.raises(InputError, match="date: 2999-01 is in the future"):
        rows(tmp_path, 'name = "a"\nkind = "staff"\nusd = 5', BASE.replace("[price]", '[price]\ndate = "2999-01"'))
