"""Commands as a user meets them: output, refusals, exit codes, nothing written."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from truths import REPOSITORY, SHARED, TRUTHS, needs_shared, noisy

SWEEP = REPOSITORY / "sweeps/deepseek_v3.toml"


def runs(**columns) -> pd.DataFrame:
    params, tokens, loss = noisy(TRUTHS["coupled"], 0.002, seed=0)
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}).assign(**columns)


@pytest.fixture
def csv(tmp_path):
    def write(frame: pd.DataFrame, name="runs.csv"):
        frame.to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return write


def refused(done, *says, code=2):
    assert done.code == code, done.err
    assert done.err.startswith("planner: ")
    assert "Traceback" not in done.err
    assert len(done.err.strip().splitlines()) <= 2
    for text in says:
        assert text in done.err


def spoil(row: int, column: str, value: object) -> pd.DataFrame:
    frame = runs().astype(object)
    frame.loc[row, column] = value
    return frame


BAD_TABLES = {
    "text in a number column": (spoil(3, "loss", "two"), ("line 5", "'loss'", "'two'")),
    "NaN loss": (spoil(3, "loss", "nan"), ("line 5", "'loss'", "missing or NaN")),
    "zero loss": (spoil(3, "loss", 0), ("line 5", "'loss' is 0")),
    "negative params": (spoil(0, "params", -1e9), ("line 2", "'params' is -1e+09")),
    "zero tokens": (spoil(1, "tokens", 0), ("line 3", "'tokens' is 0")),
    "infinite tokens": (spoil(1, "tokens", "inf"), ("line 3", "'tokens' is inf")),
    "a header without rows": (runs().iloc[:0], ("a header and no rows",)),
    "fewer runs than parameters": (runs().iloc[[0, 8, 16, 24]], ("4 runs are fewer than the 6 parameters",)),
    "one ratio": (runs().assign(tokens=lambda f: 20 * f["params"]), ("one tokens-per-parameter ratio only",)),
    "no loss": (runs().drop(columns="loss"), ("no column 'loss'",)),
    "no count at all": (
        runs()[["loss"]].assign(note="x"),
        ("the coupled law needs params, tokens", "no listed law suits"),
    ),
    "two counts": (runs(params_total=1e9), ("several columns of parameters: params, params_total",)),
}


@pytest.mark.parametrize(("frame", "says"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_table_is_refused_and_nothing_is_written(planner, csv, tmp_path, frame, says):
    path = csv(frame)
    refused(
        planner("fit", path), str(path) if "runs are fewer" not in says[0] and "ratio" not in says[0] else "", *says
    )
    error = planner("fit", path, "--json").json["error"]
    assert error["kind"] == "input"
    assert all(text in error["message"] for text in says)
    assert error["try"]
    assert [p.name for p in tmp_path.iterdir()] == ["runs.csv"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--where", "loss<2; import os"), "outside the grammar"),
        (("--where", "__import__('os').system('touch x')"), "outside the grammar"),
        (("--where", "nothing"), "no column 'nothing'"),
        (("--where", "loss>99"), "no row meets --where"),
        (("--law", "chinchila"), "unknown law 'chinchila'"),
        (("--count", "parms"), "--count 'parms' is unknown"),
        (("--count", "params_total"), "no column 'params_total'"),
        (("--huber-delta", "0"), "--huber-delta 0 is not above 1e-07"),
        (("--huber-delta", "nan"), "--huber-delta nan"),
        (("--window", "0.5"), "--window 0.5 leaves no run"),
        (("--level", "1.5"), "level 1.5 is not between 0 and 0.99"),
        (("--column", "loss"), "is not theirs=ours"),
        (("--column", "gone=loss"), "no column 'gone'"),
        (("--no-such-option",), "No such option"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_a_bad_option_is_refused_and_nothing_is_written(planner, csv, tmp_path, arguments, says):
    refused(planner("fit", csv(runs()), *arguments), says)
    assert [p.name for p in tmp_path.iterdir()] == ["runs.csv"]


def test_missing_and_empty_files_are_refused(planner, tmp_path):
    refused(planner("fit", "gone.csv"), "gone.csv: no such file")
    (tmp_path / "empty.csv").touch()
    refused(planner("fit", "empty.csv"), "empty.csv: the file is empty")
    refused(planner("run", "gone.toml"), "gone.toml: no such file")
    refused(planner("predict", "gone", "--params", "1B", "--tokens", "1T"), "gone: no such file")
    refused(planner("report", "gone"), "gone: no such folder")


def test_no_arguments_and_unknown_commands_exit_two(planner):
    assert planner().code == 2
    refused(planner("florp"), "florp")


def test_json_is_alone_on_stdout_also_when_the_usage_is_wrong(planner):
    done = planner("predict", "--json")
    assert done.code == 2
    assert set(done.json["error"]) == {"kind", "message", "try"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('budget = "3x final"', 'budget = "-3x final"', "exploration.budget: '-3x final' is not above zero"),
        ('tokens = "14.8T"', 'tokens = "14.8Q"', "unknown unit 'Q'"),
        ("[price]", "[prize]", "unknown key prize"),
        ('["1B", "7B"]', '["7B", "1B"]', "the size range 7e+09 to 1e+09 is empty"),
    ],
)
@pytest.mark.parametrize("command", ["run", "propose", "assess"])
def test_a_bad_sweep_is_refused_and_nothing_is_written(planner, tmp_path, command, old, new, says):
    (tmp_path / "bad.toml").write_text(SWEEP.read_text().replace(old, new, 1))
    refused(planner(command, "bad.toml"), "bad.toml", says)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.toml"]


@pytest.mark.parametrize("command", ["run", "propose"])
def test_a_plan_over_max_flops_is_refused_and_nothing_is_written(planner, tmp_path, command):
    refused(
        planner(command, SWEEP, "--max-flops", "1e24"), "deepseek_v3 needs 9.72e+24 FLOPs, over the limit of 1.00e+24"
    )
    assert not list(tmp_path.iterdir())


def test_a_dry_run_shows_the_plan_and_writes_nothing(planner, tmp_path):
    for command in ("run", "propose"):
        done = planner(command, SWEEP, "--dry-run")
        assert done.code == 0, done.err
        assert "scaling" in done.out
        assert "5.576M" in done.out
    assert planner("propose", SWEEP, "--dry-run", "--json").json["n_runs"] >= 1000
    assert not list(tmp_path.iterdir())


def test_a_folder_that_something_else_wrote_is_refused(planner, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("precious")
    refused(planner("run", SWEEP, "-o", "mine"), "mine: holds files but no provenance.json")
    (tmp_path / "file").write_text("precious")
    refused(planner("run", SWEEP, "-o", "file"), "file: is a file, not a folder")
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["file", "notes.txt"]


def test_a_disk_that_cannot_be_written_exits_three(planner, csv):
    refused(planner("fit", csv(runs()), "-o", "/proc/nowhere"), "/proc/nowhere", "cannot be written", code=3)
    assert planner("fit", csv(runs()), "-o", "/proc/nowhere", "--json").json["error"]["kind"] == "world"


def test_plans_in_three_formats_hold_the_same_runs(planner, tmp_path):
    done = planner("propose", SWEEP, "--format", "csv,jsonl,parquet", "-o", "plan", "--json")
    assert done.code == 0, done.err
    from planner.runs import read_runs

    frames = [read_runs(tmp_path / f"plan/plan.{kind}").frame for kind in ("csv", "jsonl", "parquet")]
    for other in frames[1:]:
        assert frames[0]["run_id"].tolist() == other["run_id"].tolist()
        np.testing.assert_array_equal(frames[0]["flops"], other["flops"])


def test_a_fit_prints_its_parameters_intervals_and_backtest(planner, csv):
    done = planner("fit", csv(runs()))
    assert done.code == 0, done.err
    for text in ("alpha", "90% from", "30 fitted", "[[Backtest]]", "residual sd", "fit: results/runs-fit/fit.json"):
        assert text in done.out


def test_the_json_of_a_fit_has_the_promised_keys(planner, csv):
    found = planner("fit", csv(runs()), "--json").json
    assert {"law", "count", "parameters", "intervals", "level", "objective", "status", "n_runs", "n_windowed_out", "dropped",
            "checks", "fit"} <= set(found)  # fmt: skip
    assert set(found["parameters"]) == set(found["intervals"]) == {"E", "A", "B", "alpha", "beta", "k"}
    assert set(found["objective"]) == {"name", "delta", "value"}
    assert found["n_runs"] + found["n_windowed_out"] == 30


def test_several_groups_get_one_fit_each(planner, csv, tmp_path):
    both = pd.concat([runs(group="web/a"), runs(group="web b")])
    found = planner("fit", csv(both), "--json").json["fits"]
    assert [fit["group"] for fit in found] == ["web/a", "web b"]
    assert all((tmp_path / fit["fit"]).is_file() for fit in found)
    refused(planner("predict", "results/runs-fit", "--params", "1B", "--tokens", "1T"), "one fit per group")
    assert planner("fit", csv(both), "--group", "web b", "--json").json["group"] == "web b"


def test_predictions_and_allocations_are_printed_with_their_support(planner, csv):
    assert planner("fit", csv(runs())).code == 0
    near = planner("predict", "results/runs-fit", "--params", "7B", "--tokens", "140B")
    assert re.search(r"interval of one new run: \d", near.out)
    far = planner("predict", "results/runs-fit", "--params", "1T", "--tokens", "1000T", "--json").json
    assert far["supported"] is False
    assert far["loss"] > 1
    assert {"loss", "interval_mean", "interval_run", "level", "supported", "reason", "compute_ratio"} <= set(far)
    split = planner("allocate", "results/runs-fit", "--flops", "1e22", "--json").json
    assert {"params", "tokens", "tokens_per_param", "loss", "intervals", "level"} <= set(split)
    assert set(split["intervals"]) == {"params", "tokens", "tokens_per_param", "loss"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--params", "0", "--tokens", "1T"), "params = 0 is not between 1 and 1e+30"),
        (("--params", "x", "--tokens", "1T"), "'x' is not a number"),
        (("--params", "1B", "--tokens", "-1"), "tokens = -1 is not between 1 and 1e+30"),
        (("--params", "1B"), "--tokens"),
    ],
)
def test_bad_predictions_are_refused(planner, csv, arguments, says):
    assert planner("fit", csv(runs())).code == 0
    refused(planner("predict", "results/runs-fit", *arguments), says)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema": 1, "theta": [1]}', '{"schema": 9, "theta": []}'])
def test_a_file_that_is_no_fit_is_refused(planner, tmp_path, content):
    (tmp_path / "fit.json").write_text(content)
    refused(planner("predict", "fit.json", "--params", "1B", "--tokens", "1T"), "fit.json")


@needs_shared
def test_epoch_on_the_command_line_against_published(planner):
    done = planner("fit", SHARED / "data/chinchilla_epoch.csv", "--where", "epoch_included", "--law", "chinchilla",
                   "--huber-delta", "1e-3", "--json")  # fmt: skip
    found = done.json
    law = found["parameters"]
    frame = pd.read_csv(SHARED / "data/chinchilla_epoch.csv").query("epoch_included")
    predicted = law["E"] + law["A"] * frame["params"] ** -law["alpha"] + law["B"] * frame["tokens"] ** -law["beta"]
    r = np.abs(np.log(frame["loss"]) - np.log(predicted))
    value = math.fsum(np.where(r <= 1e-3, r**2 / 2, 1e-3 * (r - 5e-4)))
    assert value <= 0.00101828
    assert found["objective"]["value"] == pytest.approx(value, rel=1e-9)
    assert (law["E"], law["alpha"], law["beta"]) == pytest.approx((1.8172, 0.3473, 0.3672), abs=5e-4)
    assert found["n_runs"] == 240
    assert found["count"] == "params"


def test_letters_can_be_held_tied_and_believed(planner, csv):
    held = planner("fit", csv(runs()), "--fix", "alpha=0.3", "--json").json
    assert held["parameters"]["alpha"] == pytest.approx(0.3)
    assert held["intervals"]["alpha"] == pytest.approx([0.3, 0.3])
    tied = planner("fit", csv(runs()), "--law", "chinchilla", "--tie", "alpha=beta", "--json").json["parameters"]
    assert tied["alpha"] == pytest.approx(tied["beta"])
    sure = planner("fit", csv(runs()), "--prior", "alpha=0.5+-0.0001", "--json").json["parameters"]
    assert sure["alpha"] == pytest.approx(0.5, abs=1e-3)
    bound = planner("fit", csv(runs()), "--law", "chinchilla", "--bound", "beta=0.1:0.2", "--json").json["parameters"]
    assert bound["beta"] == pytest.approx(0.2)


@pytest.mark.parametrize("options", [(), ("--law", "chinchilla", "--huber-delta", "1e-3")], ids=["default", "textbook"])
def test_a_fit_is_certified_and_cross_checked(planner, csv, options):
    done = planner("fit", csv(runs()), *options, "--certify", "--cross-check")
    assert done.code == 0, done.err
    for text in ("[[Certificate]]", "none lower", "[[Cross-check]]", "sandwich HC3", "profile likelihood"):
        assert text in done.out
    assert ("global optimum proven" in done.out) is bool(options)
    found = planner("fit", csv(runs()), *options, "--certify", "--cross-check", "--json").json
    assert found["certificate"]["reached"] >= 95
    assert len(found["cross_check"]) == 6
    assert all(road["low"] < road["loss"] < road["high"] for road in found["cross_check"])


def test_pictures_stand_beside_the_fit_and_where_they_are_wanted(planner, csv, tmp_path):
    folder = tmp_path / "results/runs-fit"
    assert planner("fit", csv(runs())).code == 0
    assert {"law.svg", "letters.svg", "extrapolation.svg", "backtest.svg"} <= {file.name for file in folder.iterdir()}
    assert planner("fit", csv(runs()), "--plots", "png").code == 0
    assert (folder / "law.png").read_bytes().startswith(b"\x89PNG")
    assert not (folder / "law.svg").exists()  # what an earlier fit left is gone
    assert planner("fit", csv(runs()), "--plots", "none").code == 0
    assert {file.name for file in folder.iterdir()} == {"fit.json", "provenance.json"}
    for arguments in (
        ("predict", "results/runs-fit", "--params", "10B", "--tokens", "1T"),
        ("allocate", "results/runs-fit", "--flops", "1e22"),
        ("backtest", csv(runs())),
    ):
        assert planner(*arguments, "--plot", f"{arguments[0]}.svg").code == 0
        assert "<svg" in (tmp_path / f"{arguments[0]}.svg").read_text()
        refused(planner(*arguments, "--plot", "picture.pdf"), "ends in .svg or .png")
    refused(planner("fit", csv(runs()), "--plots", "gif"), "--plots 'gif' is unknown")


def test_groups_are_pooled_when_asked(planner, csv):
    frame = runs().assign(group=["a", "b"] * 15)
    assert len(planner("fit", csv(frame), "--json").json["fits"]) == 2
    assert planner("fit", csv(frame), "--pool", "--json").json["n_runs"] == 30


def test_weights_and_noise_are_columns(planner, csv):
    frame = runs().assign(w=1.0, sd=0.003)
    plain = planner("fit", csv(frame), "--json").json["parameters"]
    assert planner("fit", csv(frame), "--weight", "w", "--noise", "sd", "--json").json["parameters"] == pytest.approx(
        plain
    )
    refused(planner("fit", csv(frame.assign(w=-1.0)), "--weight", "w"), "line 2: w = -1.0 is not zero or more")
    refused(planner("fit", csv(frame.assign(sd=0.0)), "--noise", "sd"), "line 2: sd = 0.0 is not above zero")
    refused(planner("fit", csv(frame), "--weight", "nope"), "no column 'nope'")


def test_allocate_finds_the_compute_for_a_loss(planner, csv):
    assert planner("fit", csv(runs())).code == 0
    best = planner("allocate", "results/runs-fit", "--flops", "1e22", "--json").json
    found = planner("allocate", "results/runs-fit", "--loss", str(best["loss"]), "--json").json
    assert found["flops"] == pytest.approx(1e22, rel=1e-6)
    assert found["flops_interval"][0] < 1e22 < found["flops_interval"][1]
    assert "takes 1e+22 FLOPs" in planner("allocate", "results/runs-fit", "--loss", str(best["loss"])).out
    refused(planner("allocate", "results/runs-fit"), "give one of --flops and --loss")
    refused(planner("allocate", "results/runs-fit", "--loss", "0.1"), "its floor E is")
    refused(planner("allocate", "results/runs-fit", "--loss", "-1"), "not above zero")


def test_backtest_prints_rows_by_compute(planner, csv):
    found = planner("backtest", csv(runs()), "--json").json
    assert {"kappa", "n", "median_error", "p90_error", "coverage", "median_width", "bias"} <= set(found["rows"][0])
    refused(planner("backtest", csv(runs().iloc[::4])), "too few runs to hide any")


def test_init_writes_a_sweep_that_plans_and_never_overwrites(planner, tmp_path):
    assert planner("init", "mine").code == 0
    assert planner("propose", "mine.toml", "--dry-run").code == 0
    before = (tmp_path / "mine.toml").read_bytes()
    refused(planner("init", "mine"), "mine.toml: is there already")
    refused(planner("init", "../mine"), "is not a name")
    assert (tmp_path / "mine.toml").read_bytes() == before


@pytest.mark.parametrize("catalog", ["models", "hardware", "prices", "laws"])
def test_catalogs_are_listed(planner, catalog):
    assert planner(catalog).code == 0
    assert len(planner(catalog, "--json").json[catalog]) >= 2


def test_a_column_of_another_name_is_mapped_and_told(planner, csv):
    frame = runs().rename(columns={"params": "N", "tokens": "D", "loss": "my loss"})
    done = planner("fit", csv(frame), "--column", "my loss=loss")
    assert done.code == 0, done.err
    assert "N -> params, D -> tokens, my loss -> loss" in done.out


def test_control_characters_in_input_do_not_reach_the_terminal(planner, csv):
    done = planner("fit", csv(spoil(3, "loss", "\x1b[31mred\x07")))
    assert "\x1b" not in done.err
    assert "\\x1b" in done.err
