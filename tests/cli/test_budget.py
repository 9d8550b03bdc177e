"""`planner budget` as a user meets it."""

import pytest
from truths import TRUTHS, noisy

from planner.encode import to_json
from planner.fitting.fit import fit
from planner.fitting.saved import fit_to_record
from planner.runs.columns import Count
from planner.runs.sample import Sample


@pytest.fixture(scope="module")
def saved():
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.002, 0)
    return to_json(fit_to_record(fit(Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ()))))


@pytest.fixture
def budget(planner, tmp_path, saved):
    (tmp_path / "fit.json").write_text(saved)
    return lambda *arguments: planner("budget", "fit.json", *arguments)


def test_the_value_of_loss_the_best_share_and_what_a_multiple_implies_are_printed(budget):
    done = budget("--flops", "1e24", "--spent", "1e22", "--multiple", "3", "--reuse", "2", "--accelerator", "h100",
                  "--utilisation", "0.4", "--price", "2")  # fmt: skip
    assert done.code == 0, done.err
    for text in ("the value of loss", "0.1%", "USD", "what is worth learning", "this fit's draws", "elasticity x reuse = 3",
                 "most effective compute of a fixed total", "how the forecast narrows"):  # fmt: skip
        assert text in done.out
    assert done.out.strip().splitlines()[-1].startswith(("stop: ", "go on: "))


def test_the_json_holds_the_same(budget):
    found = budget("--flops", "1e24", "--spent", "1e22", "--multiple", "3", "--json").json
    assert {"final", "elasticity", "value_of_loss", "learning", "best_share", "best_share_by_power", "ideas", "implied",
            "stop_rule", "confidence", "level", "supported", "reason"} <= set(found)  # fmt: skip
    assert found["final"] == {"flops": 1e24, "gpu_hours": None, "usd": None}
    assert found["implied"]["elasticity"] == 3
    assert found["stop_rule"]["spent"] == pytest.approx(0.01)
    assert isinstance(found["stop_rule"]["stop"], bool)
    assert found["best_share"] == pytest.approx(sum(each["best"] for each in found["learning"]))


def test_without_what_was_spent_there_is_no_stop_rule_and_it_is_said(budget):
    found = budget("--flops", "1e24", "--json").json
    assert found["stop_rule"] is found["implied"] is None
    assert found["learning"][0]["source"].startswith("assumed")
    assert "no stop rule: --spent" in budget("--flops", "1e24").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Missing option '--flops'"),
        (("--flops", "0"), "--flops 0 is not above zero"),
        (("--flops", "1e24", "--spent", "-1"), "--spent -1 is not above zero"),
        (("--flops", "1e24", "--multiple", "nan"), "--multiple nan is not above zero"),
        (("--flops", "1e24", "--reuse", "0"), "--reuse 0 is not above zero"),
        (("--flops", "1e24", "--idea-cost", "0"), "ideas: cost = 0 is out of range"),
        (("--flops", "1e24", "--price", "2"), "--price needs an accelerator"),
        (("--flops", "1e24", "--accelerator", "h100"), "what an hour of h100 yields"),
    ],
)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(budget, tmp_path, arguments, says):
    done = budget(*arguments)
    assert done.code == 2
    assert says in done.err
    assert len(done.err.strip().splitlines()) <= 2
    assert [path.name for path in tmp_path.iterdir()] == ["fit.json"]
