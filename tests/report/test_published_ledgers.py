"""Published cases: their ratios, against what the sources say."""

from __future__ import annotations

import pytest

from planner.errors import InputError
from planner.report.published import Scope, cases, find_case

TRUE = {  # as published or computed in the sources named in the catalog
    "smollm3": 0.58, "olmo": 0.51, "openai-2024": 9.4, "zai-2024-2025": 7.1, "minimax-2024-2025": 3.4, "bloom": 1.68,
    "llama-3": 0.0028, "deepseek-llm": 0.0055, "olmo-ladder": 0.013, "chinchilla": 0.18,
}  # fmt: skip


@pytest.mark.parametrize(("name", "ratio"), TRUE.items())
def test_the_ratios_against_published(name, ratio):
    found = find_case(name).ratio
    assert float(f"{found:.{len(str(ratio).lstrip('0.').replace('.', ''))}g}") == pytest.approx(ratio, rel=0.005)


def test_deepseek_v3_against_published():
    # arXiv 2412.19437, table 1: 2664K + 119K + 5K = 2788K hours, $5.576M at $2.
    case = find_case("deepseek-v3")
    final = case.table[case.table["side"] == "final"]
    assert final["amount"].sum() == 2_788_000
    assert final["usd"].sum() == 5_576_000
    assert case.judgement
    assert (case.low, case.high) == (2, 4)


def test_every_case_has_scope_source_and_its_own_words():
    for case in cases():
        assert case.source
        assert case.note
        assert case.scope in Scope
        assert case.ratio > 0
    with pytest.raises(InputError, match="no published case 'smolm3'"):
        find_case("smolm3")
