"""Published laws and the user's own, from a table of runs to a forecast."""

import numpy as np
import pandas as pd
import pytest
from test_commands import refused, runs

from planner.laws.published import PUBLISHED

CHINCHILLA = "E + A/params^alpha + B/tokens^beta"


def with_rates(seed=0) -> pd.DataFrame:
    """The usual runs at four learning rates each, with a parabola of ln rate about 3e-4."""
    frame = pd.concat([runs().assign(lr_peak=rate) for rate in (1e-4, 2e-4, 5e-4, 1e-3)], ignore_index=True)
    excess = 0.03 * np.log(frame["lr_peak"] / 3e-4) ** 2
    noise = 0.002 * np.random.default_rng(seed).normal(size=len(frame))
    return frame.assign(loss=(frame["loss"] + excess) * np.exp(noise))


@pytest.fixture
def csv(tmp_path):
    def write(frame, name="runs.csv"):
        frame.to_csv(tmp_path / name, index=False)
        return name

    return write


def test_a_formula_fits_like_the_law_of_that_form(planner, csv):
    path = csv(runs())
    mine = planner("fit", path, "--law", CHINCHILLA, "--huber-delta", "1e-3", "--json").json
    built_in = planner("fit", path, "--law", "chinchilla", "--huber-delta", "1e-3", "-o", "other", "--json").json
    assert mine["formula"] == CHINCHILLA
    assert mine["objective"]["value"] == pytest.approx(built_in["objective"]["value"], rel=1e-8)
    assert mine["parameters"] == pytest.approx(built_in["parameters"], rel=1e-4)
    split = [
        planner("allocate", folder, "--flops", "1e22", "--json").json["params"]
        for folder in ("results/runs-fit", "other")
    ]
    assert split[0] == pytest.approx(split[1], rel=1e-4)


def test_a_formula_may_speak_of_any_column_and_is_asked_at_its_value(planner, csv, tmp_path):
    done = planner("fit", csv(with_rates()), "--pool", "--law", f"{CHINCHILLA} + G*log(lr_peak/best)^2", "--json")
    assert done.json["parameters"]["G"] == pytest.approx(0.03, rel=0.15)
    assert done.json["parameters"]["best"] == pytest.approx(3e-4, rel=0.1)
    assert {file.name for file in (tmp_path / "results/runs-fit").iterdir()} == {
        "fit.json", "provenance.json", "law.svg", "letters.svg", "backtest.svg",
    }  # fmt: skip
    at = ("predict", "results/runs-fit", "--params", "3B", "--tokens", "60B")
    here, off = (planner(*at, "--at", f"lr_peak={rate}", "--json").json["loss"] for rate in ("3e-4", "1e-3"))
    assert off - here == pytest.approx(0.03 * np.log(10 / 3) ** 2, rel=0.2)
    refused(planner(*at), "also needs lr_peak", "--at lr_peak=")
    refused(planner(*at, "--at", "lr_peak=3e-4", "--at", "batch=1"), "knows no 'batch'")
    refused(planner(*at, "--at", "lr_peak"), "is not NAME=VALUE")
    refused(planner("allocate", "results/runs-fit", "--flops", "1e22"), "it has no best size and tokens")


def test_a_letter_of_negative_sign_survives_saving(planner, csv):
    text = f"{CHINCHILLA} + G*log(lr_peak/3e-4)"
    frame = with_rates().assign(loss=lambda t: runs()["loss"].tolist() * 4 - 0.02 * np.log(t["lr_peak"] / 3e-4))
    made = planner("fit", csv(frame), "--pool", "--law", text, "--json").json
    assert made["parameters"]["G"] == pytest.approx(-0.02, rel=0.2)
    low, high = made["intervals"]["G"]
    assert low <= made["parameters"]["G"] <= high < 0
    at = ("predict", "results/runs-fit", "--params", "3B", "--tokens", "60B", "--at", "lr_peak=3e-4", "--json")
    assert planner(*at).json["loss"] > 0


@pytest.mark.parametrize(
    "law",
    [law for law in PUBLISHED if set(law.variables) <= {"params", "tokens"} and law.target == "loss"],
    ids=lambda law: law.name,
)
def test_every_published_law_of_size_or_data_fits_a_plain_table(planner, csv, law):
    done = planner("fit", csv(runs().iloc[::2]), "--law", law.name, "--plots", "none", "--json")  # 15 runs: quick
    assert done.code == 0, done.err
    assert set(done.json["parameters"]) == set(law.letters)
    sizes = {"params": ("--params", "10B"), "tokens": ("--tokens", "1T")}
    asked = [part for name in law.variables for part in sizes[name]]
    assert planner("predict", "results/runs-fit", *asked, "--json").json["loss"] > 0


@pytest.mark.parametrize(
    ("law", "says"),
    [
        ("E + A/parms^alpha", ("'parms' is not a column", "did you mean 'params'")),
        ("E + abs(params)", ("position 5", "only exp, log (natural) and sqrt")),
        ("E + params.real", ("position 11", "attribute")),
        ("E + A/params^alpha^beta", ("position 19", "power of a power")),
        ("E + (A/params", ("position 5", "never closed")),
        ("E+" * 6000 + "1", ("12,001 characters",)),
        ("E + A/x^alpha", ("no name in the formula is a column",)),
        ("params*tokens", ("no letters to fit",)),
        (f"{CHINCHILLA} + 0*Q", ("no run says anything about Q",)),
        ("three-term", ("needs batch_tokens, steps", "laws for the columns there: chinchilla")),
        ("sze-power", ("unknown law 'sze-power'", "did you mean 'size-power'")),
        ("best-rate", ("no column 'lr_peak'",)),
    ],
)  # fmt: skip
def test_a_law_that_cannot_be_fitted_gets_one_clear_line(planner, csv, tmp_path, law, says):
    path = csv(runs())
    refused(planner("fit", path, "--law", law), *says)
    assert not (tmp_path / "results").exists()


def test_a_variable_that_never_varies_is_named(planner, csv):
    frame = runs().assign(lr_peak=3e-4)
    refused(planner("fit", csv(frame), "--law", f"{CHINCHILLA} + G*log(lr_peak)^2"), "lr_peak has only 1 level")


def test_a_law_may_predict_another_column(planner, csv):
    truth = {"a": 0.75, "b": 0.25, "k": 3.0, "L_0": 2.6}
    frame = runs()
    accuracy = truth["b"] + truth["a"] / (1 + np.exp(truth["k"] * (frame["loss"] - truth["L_0"])))
    noise = 0.002 * np.random.default_rng(0).normal(size=len(frame))
    path = csv(frame.assign(accuracy=accuracy + noise))
    made = planner("fit", path, "--law", "sigmoid-accuracy", "--json").json
    assert made["parameters"]["k"] == pytest.approx(3.0, rel=0.3)
    at = ("predict", "results/runs-fit", "--at", "loss=2.6", "--json")
    found = planner(*at).json
    assert found["loss"] == pytest.approx(0.625, abs=0.01)
    assert found["interval_run"][0] < found["interval_mean"][0] < found["loss"] < found["interval_mean"][1]
    by_formula = ("fit", path, "--law", "c*tokens^a", "--target", "accuracy", "-o", "other", "--json")
    assert planner(*by_formula).json["loss_unit"] == "accuracy"


def test_a_law_of_a_family_is_named_with_its_members_and_survives_saving(planner, csv):
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([4, 3, 3], 40)
    frame = pd.DataFrame(
        {"params": 1e9, "tokens": 2e10 * rng.uniform(0.5, 2, 40), "share_web": shares[:, 0], "share_code": shares[:, 1]}
    )
    frame = frame.assign(
        loss=(2.0 + 0.9 * np.exp(-1.5 * shares[:, 0] + 0.4 * shares[:, 1])) * np.exp(0.001 * rng.normal(size=40))
    )
    made = planner("fit", csv(frame), "--law", "data-mixture:web,code,books", "--json")
    assert made.code == 0, made.err
    assert made.json["law"] == "data-mixture:web,code,books"
    at = (
        "predict",
        "results/runs-fit",
        "--at",
        "share_web=0.4",
        "--at",
        "share_code=0.3",
    )
    assert planner(*at, "--json").json["loss"] == pytest.approx(2.0 + 0.9 * np.exp(-0.6 + 0.12), rel=0.01)
    refused(planner("fit", "runs.csv", "--law", "multi-power:99"), "ask for 1 to 10")
    refused(planner("fit", "runs.csv", "--law", "data-mixture:web"), "is no mixture")


def test_text_in_a_column_that_the_law_speaks_of_is_named_with_its_line(planner, csv):
    frame = runs().assign(warm=np.tile(["100", "200", "300"], 10), note="x")
    frame.loc[4, "warm"] = "many"
    path = csv(frame)
    refused(planner("fit", path, "--law", f"{CHINCHILLA} + G*log(warm)^2"), "line 6: warm = 'many' is not a number")
    refused(planner("fit", path, "--law", "c*tokens^a", "--target", "note"), "line 2: note = x is not above zero")
    assert planner("fit", path).code == 0
