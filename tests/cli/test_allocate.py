"""`planner allocate` as a user meets it: budgets, serving, data, limits, the price of being wrong."""

import pytest
from truths import TRUTHS, noisy

from planner.encode import to_json
from planner.fitting.fit import fit
from planner.fitting.saved import fit_to_record
from planner.runs.columns import Count
from planner.runs.sample import Sample

HOURS = ("--accelerator", "h100", "--utilisation", "0.4")


@pytest.fixture(scope="module")
def saved():
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.002, 0)
    return to_json(fit_to_record(fit(Sample(params, tokens, loss, Count.PARAMS, "", "nats_per_token", {}, ()))))


@pytest.fixture
def allocate(planner, tmp_path, saved):
    (tmp_path / "fit.json").write_text(saved)
    return lambda *arguments: planner("allocate", "fit.json", *arguments)


def refused(done, *says):
    assert done.code == 2, done.err
    assert done.err.startswith("planner: ")
    assert len(done.err.strip().splitlines()) <= 2
    for text in says:
        assert text in done.err


def test_a_budget_has_a_split_and_the_price_of_being_wrong(allocate):
    done = allocate("--flops", "1e22")
    assert done.code == 0, done.err
    for text in ("best split of 1.00e22 FLOPs", "1.25x too small", "2x too large", "wasted on average"):
        assert text in done.out
    found = allocate("--flops", "1e22", "--json").json
    keys = {
        "flops",
        "count",
        "params",
        "tokens",
        "tokens_per_param",
        "loss",
        "intervals",
        "level",
        "supported",
        "reason",
    }
    keys |= {"total_flops", "served_share", "wrong", "expected_waste", "waste_seldom_above", "gpu_hours", "usd"}
    assert keys <= set(found)
    assert [row["factor"] for row in found["wrong"]] == [1.25, 1.5, 2.0]
    assert found["gpu_hours"] is found["usd"] is None


def test_hours_dollars_and_flops_are_the_same_budget(allocate):
    hours = allocate("--gpu-hours", "10K", *HOURS, "--json").json
    assert hours["flops"] == pytest.approx(1e4 * 3600 * 989.4e12 * 0.4, rel=1e-3)
    dollars = allocate("--usd", "25K", "--price", "2.5", *HOURS, "--json").json
    flops = allocate("--flops", f"{hours['flops']:.17g}", *HOURS, "--price", "2.5", "--json").json
    for found in (dollars, flops):
        assert found["params"] == pytest.approx(hours["params"], rel=1e-9)
        assert found["gpu_hours"] == pytest.approx(1e4)
        assert found["usd"] == pytest.approx(25_000)
    assert hours["budget_spread"] == dollars["budget_spread"] == 0
    assert allocate("--usd", "25K", *HOURS, "--json").json["budget_spread"] > 0  # the catalog's price has a range
    assert "USD" in allocate("--usd", "25K", *HOURS).out


def test_utilisation_can_be_modelled_and_widens_the_intervals(allocate):
    found = allocate("--gpu-hours", "20K", "--accelerator", "h100", "--like", "llama-3-8b", "--json").json
    assert 0.2 < found["utilisation"] < 0.5
    assert "modelled for the shape of llama-3-8b" in found["utilisation_source"]
    assert found["budget_spread"] == pytest.approx(0.29)
    given = allocate(
        "--gpu-hours", "20K", "--accelerator", "h100", "--utilisation", str(found["utilisation"]), "--json"
    )
    assert given.json["params"] == pytest.approx(found["params"], rel=1e-6)
    for name in ("params", "tokens"):
        assert found["intervals"][name][0] < given.json["intervals"][name][0]
        assert found["intervals"][name][1] > given.json["intervals"][name][1]


def test_serving_makes_the_model_smaller_and_a_price_counts(allocate):
    alone = allocate("--loss", "2.05", "--json").json
    served = allocate("--loss", "2.05", "--serve", "1T", "--json").json
    dear = allocate("--loss", "2.05", "--serve", "1T", "--serve-price", "1@8B", *HOURS, "--price", "2", "--json").json
    assert dear["params"] < served["params"] < alone["params"]
    assert served["training_alone"]["params"] == pytest.approx(alone["params"])
    assert 0 < served["training_alone_waste"] < 1
    # A dollar per million tokens of an 8B model, over 2 dollars per 3600 x 989.4e12 x 0.4 FLOPs.
    assert dear["terms"]["served"]["flop_price"] == pytest.approx(1e-6 / 16e9 / (2 / (3600 * 989.4e12 * 0.4)), rel=1e-3)
    low, high = served["flops_interval"]
    assert low < served["total_flops"] < high
    assert served["total_flops"] == pytest.approx(served["flops"] + 2 * 1e12 * served["params"])
    assert "serving included" in allocate("--loss", "2.05", "--serve", "1T").out


def test_limited_data_are_repeated(allocate):
    found = allocate("--flops", "1e22", "--unique-tokens", "20B", "--json").json
    assert found["epochs"] == pytest.approx(found["tokens"] / 20e9)
    assert found["epochs"] > 4
    assert found["terms"]["repeats"]["R_D"] == pytest.approx(15.387756)
    out = allocate("--flops", "1e22", "--unique-tokens", "20B").out
    assert "epochs" in out
    assert "2305.16264" in out


def test_sizes_can_be_limited_and_listed(allocate):
    found = allocate("--flops", "1e22", "--sizes", "1B,3B,7B,70B", "--max-params", "10B", "--json").json
    assert found["params"] == 7e9
    assert [row["params"] for row in found["sizes"]] == [1e9, 3e9, 7e9]
    assert sum(row["best_in"] for row in found["sizes"]) == pytest.approx(1)
    assert found["limit_waste"] == pytest.approx(found["sizes"][2]["waste"])
    assert "the listed sizes" in allocate("--flops", "1e22", "--sizes", "1B,3B,7B").out
    node = allocate("--gpu-hours", "100M", *HOURS, "--max-params", "one node", "--json").json
    assert node["params"] == pytest.approx(0.8 * 0.98 * 8 * 80e9 / 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give one of --flops and --loss"),
        (("--flops", "1e22", "--loss", "2"), "give one of"),
        (("--flops", "1e22", "--usd", "5M"), "give one of"),
        (("--flops", "-1"), "--flops -1 is not above zero"),
        (("--flops", "nan"), "'nan' is not a number"),
        (("--usd", "5M"), "--usd needs an accelerator"),
        (("--usd", "5M", "--accelerator", "v100", "--utilisation", "0.3"), "--usd: no rent is known for v100"),
        (("--usd", "€5M", *HOURS), "'€5M' is not a number"),
        (("--usd", "5M", *HOURS, "--price", "0"), "--price 0 is not above zero"),
        (("--gpu-hours", "5M", "--accelerator", "h100"), "what an hour of h100 yields"),
        (("--gpu-hours", "5M", "--accelerator", "h101", "--utilisation", "0.4"), "unknown accelerator 'h101'"),
        (("--gpu-hours", "5M", *HOURS, "--like", "llama-3-8b"), "--utilisation and --like both say"),
        (
            ("--gpu-hours", "5M", "--accelerator", "h100", "--utilisation", "4"),
            "utilisation = 4 is not between 0 and 1",
        ),
        (("--gpu-hours", "5M", "--accelerator", "h100", "--like", "gone"), "unknown model 'gone'"),
        (("--flops", "1e22", "--price", "2"), "--price needs an accelerator"),
        (("--flops", "1e22", "--serve", "0"), "--serve 0 is not above zero"),
        (("--flops", "1e22", "--serve", "1e20"), "cannot serve 1e+20 tokens of any model"),
        (("--flops", "1e22", "--serve-price", "1@8B", *HOURS), "--serve-price prices nothing without --serve"),
        (("--flops", "1e22", "--serve", "1T", "--serve-price", "1", *HOURS), "names no size"),
        (("--flops", "1e22", "--serve", "1T", "--serve-price", "0@8B", *HOURS), "not above zero"),
        (("--flops", "1e22", "--unique-tokens", "0"), "--unique-tokens 0 is not above zero"),
        (("--loss", "1.95", "--unique-tokens", "1B"), "however often they are repeated"),
        (("--flops", "1e22", "--max-params", "one node"), "needs an accelerator"),
        (("--flops", "1e22", "--max-params", "0"), "most params = 0 is not above zero"),
        (("--flops", "1e22", "--sizes", "7B,13B", "--max-params", "1B"), "no listed size is within 1e+09 params"),
        (("--loss", "2", "--max-params", "100M"), "no size among those allowed (up to 1e+08 params)"),
        (("--flops", "1e22", "--sizes", "7B,x"), "--sizes: 'x' is not a number"),
        (("--flops", "1e22", "--serve", "1T", "--plot", "x.svg"), "--plot draws the split of a budget alone"),
        (("--loss", "0.5"), "its floor E is"),
    ],
)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(allocate, tmp_path, arguments, says):
    refused(allocate(*arguments), says)
    assert [path.name for path in tmp_path.iterdir()] == ["fit.json"]
