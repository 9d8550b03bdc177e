"""Tables without params or tokens, from the command line: fit, predict, backtest, allocate, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from test_commands import refused


@pytest.fixture
def table(tmp_path):
    flops = np.geomspace(1e18, 1e22, 20)
    loss = (1.8 + 1600 * flops**-0.17) * np.exp(0.002 * np.random.default_rng(0).normal(size=20))
    pd.DataFrame({"C": flops, "loss": loss, "note": "x"}).to_csv(tmp_path / "runs.csv", index=False)
    return "runs.csv"


def test_compute_and_loss_alone_go_from_table_to_forecast(planner, table, tmp_path):
    made = planner("fit", table)
    assert made.code == 0, made.err
    assert "compute-power-floor: E + K/flops^gamma" in made.out
    assert "compute-power-floor foretold the 18 hidden runs best" in made.out
    assert {file.name for file in (tmp_path / "results/runs-fit").iterdir()} == {
        "fit.json", "provenance.json", "law.svg", "letters.svg", "extrapolation.svg", "backtest.svg",
    }  # fmt: skip
    at = planner("predict", "results/runs-fit", "--at", "flops=1e23", "--plot", "ahead.svg", "--json").json
    assert at["loss"] == pytest.approx(1.8 + 1600 * 1e23**-0.17, rel=0.005)
    assert (at["at"], at["params"], at["count"]) == ({"flops": 1e23}, None, None)
    assert at["compute_ratio"] == pytest.approx(10)
    assert (tmp_path / "ahead.svg").stat().st_size > 0
    told = planner("backtest", table, "--json").json
    assert (told["law"], told["scale"]) == ("compute-power-floor", "compute")
    refused(planner("predict", "results/runs-fit"), "needs flops", "--at flops=")
    refused(planner("predict", "results/runs-fit", "--at", "flops=1e23", "--params", "7B"), "knows no 'params'")
    refused(planner("predict", "results/runs-fit", "--at", "flops=1e23", "--at", "fit=3"), "knows no 'fit'")
    refused(planner("allocate", "results/runs-fit", "--flops", "1e23"), "it has no best size and tokens")
    refused(
        planner("forecast", "results/runs-fit", "--params", "7B", "--tokens", "1T", "--at", "lr=1"), "knows no 'lr'"
    )


def test_a_law_whose_columns_are_missing_names_them_and_the_laws_that_would_do(planner, table):
    refused(
        planner("fit", table, "--law", "chinchilla"),
        "the chinchilla law needs params, tokens",
        "laws for the columns there: compute-power, compute-power-floor",
    )


def test_a_formula_speaks_of_compute_as_logged(planner, table):
    made = planner("fit", table, "--law", "E + A/flops^alpha", "--json").json
    assert made["parameters"]["alpha"] == pytest.approx(0.17, abs=0.02)
    assert (made["variables"], made["scale"], made["count"]) == (["flops"], "compute", None)


def test_compute_is_worked_out_where_it_is_not_logged(planner, tmp_path):
    params, tokens = np.geomspace(1e8, 1e10, 20), np.geomspace(2e9, 2e11, 20)
    loss = 1.8 + 1600 * (6 * params * tokens) ** -0.17
    loss = loss * np.exp(0.002 * np.random.default_rng(0).normal(size=20))
    pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}).to_csv(tmp_path / "nd.csv", index=False)
    made = planner("fit", "nd.csv", "--law", "compute-power-floor", "--plots", "none", "--json").json
    assert made["parameters"]["gamma"] == pytest.approx(0.17, abs=0.02)


def test_nothing_is_asked_of_columns_that_the_law_does_not_speak_of(planner, table, tmp_path):
    frame = pd.read_csv(tmp_path / table).assign(params=[np.nan, *[1e9] * 19], tokens=0, params_total=1e9)
    frame.to_csv(tmp_path / "more.csv", index=False)
    assert planner("fit", "more.csv", "--law", "compute-power-floor", "--plots", "none").code == 0
    refused(planner("fit", "more.csv"), "several columns of parameters")
    refused(planner("fit", "more.csv", "--count", "params"), "line 2: column 'params' is missing or NaN")


def test_text_or_zero_in_the_laws_column_is_named_with_its_line(planner, table, tmp_path):
    frame = pd.read_csv(tmp_path / table).astype({"C": object})
    for value, says in (("many", "line 4: flops = 'many' is not a number"), (0, "line 4: column 'C' is 0")):
        frame.loc[2, "C"] = value
        frame.to_csv(tmp_path / "bad.csv", index=False)
        refused(planner("fit", "bad.csv", "--law", "compute-power-floor"), says)


def test_a_formula_that_speaks_of_a_column_that_is_not_there_is_refused_and_no_letter_is_made_of_it(planner, tmp_path):
    (tmp_path / "c.csv").write_text(
        "flops,loss\n" + "".join(f"{10.0 ** (18 + i / 4):.6g},{3.5 - i / 20}\n" for i in range(12))
    )
    done = planner("fit", "c.csv", "--law", "E + A/flops^a + G*log(lr_peak)^2")
    assert done.code == 2
    assert "the table has no column of numbers 'lr_peak'" in done.err
    assert "--column theirs=lr_peak" in done.err
    assert not (tmp_path / "results").exists()
