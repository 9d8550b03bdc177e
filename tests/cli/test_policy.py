"""`planner policy` and `planner compare` as a user meets them."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from truths import TRUTHS, noisy

from planner.decisions.policies import default_policy, operating_curve, rivals
from planner.decisions.policy import IdeaWorld, simulate
from planner.report.fit_figures import picture
from planner.report.policy_figures import policy_figure

QUICK = ("--repeats", "20", "--ideas", "20")
LAW = TRUTHS["coupled"]


def refused(done, says):
    assert done.code == 2, done.err
    assert says in done.err
    assert "Traceback" not in done.err


def test_policy_prints_its_gates_its_rivals_and_what_it_assumes(planner):
    done = planner("policy", *QUICK)
    assert done.code == 0, done.err
    for text in (
        "gates",
        "all at 7B, 1 pair",
        "top third",
        "what more compute would keep",
        "1. 100M: 24 pairs",
        "Assumed",
    ):
        assert text in done.out


def test_policy_as_json_is_the_functions_own_answer(planner):
    told = planner("policy", *QUICK, "--seed", "3", "--json").json
    expected = simulate(default_policy(), IdeaWorld(ideas=20), reference=7e9, repeats=20, seed=3)
    assert told["policy"]["gain_kept"] == expected.gain_kept
    assert [row["policy"]["name"] for row in told["rivals"]] == [policy.name for policy in rivals()]
    assert told["world"]["ideas"] == 20
    assert set(told) == {"world", "policy", "rivals", "curve"}


def test_a_budget_picks_what_it_can_pay(planner):
    told = planner("policy", *QUICK, "--budget", "0.004x final", "--max-false", "0.2", "--json").json
    affordable = [row for row in told["curve"] if row["of_final"] <= 0.004]
    assert told["policy"]["policy"] == affordable[-1]["policy"]
    same = planner("policy", *QUICK, "--budget", "2.52e22", "--max-false", "0.2", "--json").json
    assert same["policy"] == told["policy"]


def test_your_own_gates_world_and_law_are_used(planner, csv_fit):
    told = planner("policy", *QUICK, "--gates", "1B:3:.4,7B:2:.8", "--noise", ".002", "--fit", csv_fit, "--json").json
    assert [gate["pairs"] for gate in told["policy"]["policy"]["gates"]] == [3, 2]
    assert told["world"]["noise"] == 0.002
    assert told["world"]["law"] == "coupled"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--ideas", "0"), "ideas = 0 is not possible"),
        (("--noise", "nan"), "noise = nan"),
        (("--correlation", "1"), "correlation = 1"),
        (("--gates", "1B:3"), "gate '1B:3' is not params:pairs:probability"),
        (("--budget", "$5M"), "in dollars, and no price of compute is known here"),
        (("--budget", "5 GPU-hours"), "in GPU-hours, and no price"),
        (("--budget", "1e15"), "pay for none of the policies"),
        (("--budget", "-1"), "is not above zero"),
        (("--max-false", "0"), "--max-false 0"),
        (("--largest", "0"), "--largest 0 is not above zero"),
        (("--final-params", "big"), "--final-params"),
        (("--repeats", "1e9"), "repeats"),
        (("--fit", "gone"), "gone: no such file"),
        (("--plot", "x.gif"), "ends in .svg or .png"),
    ],
)
def test_a_bad_option_of_policy_is_refused(planner, arguments, says):
    refused(planner("policy", *QUICK, *arguments), says)


def test_the_picture_shows_the_curve_the_rivals_and_the_choice(planner, tmp_path):
    assert planner("policy", *QUICK, "--plot", "p.svg").code == 0
    text = (tmp_path / "p.svg").read_text()
    assert "gain kept" in text
    assert "all at 7B, 3 pairs" in text
    world = IdeaWorld(ideas=10)
    curve = operating_curve(world, repeats=5, most_false=1.0)
    rival, chosen = (simulate(policy, world, repeats=5) for policy in (rivals()[0], default_policy()))
    figure = policy_figure(curve, [rival], chosen)
    line = figure.axes[0].get_lines()[0]
    np.testing.assert_allclose(np.asarray(line.get_xdata(), float), [outcome.of_final for outcome in curve])
    np.testing.assert_allclose(np.asarray(line.get_ydata(), float), [outcome.gain_kept for outcome in curve])
    assert picture("policy", lambda: policy_figure([], [rival], chosen), "png")


@pytest.fixture
def csv_fit(planner, tmp_path):
    params, tokens, loss = noisy(LAW, 0.002, seed=0)
    pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}).to_csv(tmp_path / "sweep.csv", index=False)
    return planner("fit", "sweep.csv", "--plots", "none", "--json").json["fit"]


@pytest.fixture
def ideas(tmp_path):
    def write(change=lambda frame: frame):
        rng = np.random.default_rng(0)
        gains = {"baseline": 1.0, "good": 1.25, "fine": 1.15, "good+fine": 1.25 * 1.15 * 0.95, "even": 1.01, "bad": 0.8}
        rows = [(name, size, seed) for name in gains for size in (1e9, 3e9, 7e9) for seed in range(4)]
        frame = pd.DataFrame(rows, columns=["variant", "params", "seed"])
        boost = frame["variant"].map(gains) ** 0.5
        loss = LAW(frame["params"] * boost, 20 * frame["params"] * boost) * np.exp(1e-3 * rng.normal(size=len(frame)))
        change(frame.assign(tokens=20 * frame["params"], loss=loss)).to_csv(tmp_path / "ideas.csv", index=False)
        return "ideas.csv"

    return write


def test_compare_tells_gains_attribution_and_what_more_would_settle(planner, csv_fit, ideas):
    path = ideas(lambda f: f.assign(loss=f["loss"].where(f.index != 5, f["loss"] * 1.1)))
    done = planner("compare", path, "--fit", csv_fit, "--flops", "3e24")
    assert done.code == 0, done.err
    for text in (
        "face value",
        "1 of 72 runs look broken",
        "the promoted together",
        "good+fine",
        "beyond its parts",
        "idea on hold",
        "pairs of one idea that show a gain of 1.05",
    ):
        assert text in done.out
    told = planner("compare", path, "--fit", csv_fit, "--flops", "3e24", "--json").json
    assert {row["variant"]: row["decision"] for row in told["ideas"]} | {"even": "hold"} == {
        "good": "promote", "fine": "promote", "good+fine": "promote", "even": "hold", "bad": "drop",
    }  # fmt: skip
    assert {row["variant"] for row in told["attribution"]["bought"]} >= {"good", "fine"}
    assert told["attribution"]["interactions"][0]["factor"] == pytest.approx(0.95, abs=0.06)
    assert math.prod(row["gain"] for row in told["attribution"]["bought"]) > 1.2


def test_compare_with_nothing_promoted_has_no_attribution(planner, csv_fit, ideas):
    path = ideas(lambda f: f[f["variant"].isin(("baseline", "bad"))])
    told = planner("compare", path, "--fit", csv_fit, "--flops", "3e24", "--json")
    assert json.loads(told.out)["attribution"] is None
    assert "together" not in planner("compare", path, "--fit", csv_fit, "--flops", "3e24").out


def test_an_idea_without_a_pair_is_refused_and_measured_against_the_law_when_asked(planner, csv_fit, ideas):
    path = ideas(lambda f: f.assign(seed=f["seed"].where(f["variant"] != "good", f["seed"] + 100)))
    done = planner("compare", path, "--fit", csv_fit, "--flops", "3e24")
    refused(done, "idea 'good' has no run beside a baseline run")
    assert "--joint" in done.err
    told = planner("compare", path, "--fit", csv_fit, "--flops", "3e24", "--joint", "--json").json
    good = next(row for row in told["ideas"] if row["variant"] == "good")
    assert good["interval"][0] < 1.25 < good["interval"][1]


@pytest.mark.parametrize(
    ("change", "arguments", "says"),
    [
        (
            lambda f: f.assign(variant=f["variant"].replace("fine", "baseline-2")),
            (),
            "two baselines: 'baseline' and 'baseline-2'",
        ),
        (lambda f: f, ("--no-drift",), "its gain needs the drift term"),
        (lambda f: f[f["seed"] == 0], (), "no idea has two pairs at one size"),
        (lambda f: f, ("--wanted-gain", "1"), "a gain of 1 cannot be looked for"),
        (lambda f: f, ("--level", "1"), "--level 1.0 is not between 0 and 1"),
    ],
)
def test_what_compare_cannot_answer_is_refused(planner, csv_fit, ideas, change, arguments, says):
    refused(planner("compare", ideas(change), "--fit", csv_fit, "--flops", "3e24", *arguments), says)


def test_without_drift_a_tested_size_is_answered(planner, csv_fit, ideas):
    told = planner("compare", ideas(), "--fit", csv_fit, "--flops", "5.88e21", "--no-drift", "--json").json
    assert all(row["gain"] == pytest.approx(row["gain_tested"]) for row in told["ideas"])
