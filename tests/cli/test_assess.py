"""`planner assess` as a user meets it."""

import pytest
from truths import REPOSITORY

SWEEP = REPOSITORY / "sweeps/deepseek_v3.toml"
KINDS = ("additive", "coupled", "curved", "hostile")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    from running import run_planner

    folder = tmp_path_factory.mktemp("assess")
    found = run_planner(
        "assess", SWEEP, "--worlds", "2", "--designs", "ladder, ray", "--json", "--plot", "a.svg", cwd=folder
    )
    assert found.code == 0, found.err
    return found, folder


def test_json_is_alone_on_stdout_with_every_promised_key(done):
    found = done[0].json
    assert set(found) == {"worlds", "level", "own", "designs", "curve", "gates", "skipped", "verdict"}
    assert (found["worlds"], found["level"], found["own"], found["skipped"]) == (2, 0.9, "optimal", {})
    assert [(one["kind"], one["name"]) for one in found["designs"]] == [
        (kind, name) for kind in KINDS for name in ("optimal", "ladder", "ray")
    ]
    promised = {
        "kind", "name", "n_runs", "worlds", "median_error", "p90_error", "rms_error", "coverage", "median_width", "waste",
        "gpu_hours", "ratio", "ratio_error",
    }  # fmt: skip
    for one in (*found["designs"], *found["curve"]):
        assert promised <= set(one)
    assert len({one["fraction"] for one in found["curve"]}) == 6
    assert {"false_promotion", "missed_gain", "promoted", "ideas"} <= set(found["gates"])
    assert "own design (optimal)" in found["verdict"]


def test_progress_names_every_step_on_stderr(done):
    for step in ("[1/5] optimal", "[2/5] ladder", "[3/5] ray", "[4/5] budgets", "[5/5] ideas"):
        assert step in done[0].err


def test_the_picture_names_designs_and_kinds_of_world(done):
    svg = (done[1] / "a.svg").read_text()
    for text in (
        "optimal (own)",
        "ladder",
        "ray",
        *(f"{kind} worlds" for kind in KINDS),
        "this sweep",
        "at equal GPU-hours",
    ):
        assert f">{text}<" in svg


def test_the_tables_say_which_design_is_best_and_the_numbers_repeat(planner, done):
    again = planner("assess", SWEEP, "--worlds", "2", "--designs", "ladder,ray")
    assert again.code == 0, again.err
    for text in (
        *(f"{kind}: " for kind in KINDS),
        "optimal (own)",
        "ladder",
        "of the study's budget",
        "ideas: 24 ideas",
    ):
        assert text in again.out
    assert again.out.rstrip().endswith(done[0].json["verdict"])
    worst = max(done[0].json["designs"], key=lambda one: one["rms_error"])
    assert f"{worst['rms_error']:.2%}" in again.out


def test_another_seed_gives_other_numbers(planner, done):
    other = planner("assess", SWEEP, "--worlds", "2", "--designs", "ladder,ray", "--seed", "1", "--json")
    assert other.json["designs"][0]["rms_error"] != done[0].json["designs"][0]["rms_error"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--designs", "isoflop,grid"), ("no design 'grid'", "isoflop, ladder, overtrain, ray, random, biggest")),
        (("--plot", "a.pdf"), ("--plot 'a.pdf'", ".svg or .png")),
        (("--worlds", "1"), ("--worlds",)),
        (("--worlds", "many"), ("--worlds",)),
    ],
)
def test_a_bad_option_is_refused_before_any_work_and_nothing_is_written(planner, tmp_path, arguments, says):
    refused = planner("assess", SWEEP, *arguments)
    assert refused.code == 2
    assert refused.err.startswith("planner: ")
    assert "Traceback" not in refused.err
    assert "[1/" not in refused.err
    for text in says:
        assert text in refused.err
    assert not list(tmp_path.iterdir())


def sweep_of(folder, budget: str) -> str:
    """A pure scaling study of this budget, beside which nothing is planned."""
    text = SWEEP.read_text().replace('budget = "3x final"', f'budget = "{budget}"', 1)
    text = text[: text.index('[[study]]\nkind = "hyperparameters"')].replace("share = 0.4", "share = 1.0", 1)
    (folder / "poor.toml").write_text(text)
    return "poor.toml"


def test_a_design_that_the_budget_does_not_buy_is_left_out_with_its_reason(planner, tmp_path):
    done = planner("assess", sweep_of(tmp_path, "0.015x final"), "--worlds", "2", "--designs", "ladder")
    assert done.code == 0, done.err
    assert "optimal at 0.033x is left out: " in done.err
    assert "ideas:" not in done.out


def test_an_own_design_that_the_budget_does_not_buy_is_an_error_that_names_the_file(planner, tmp_path):
    done = planner("assess", sweep_of(tmp_path, "0.0001x final"), "--worlds", "2")
    assert done.code == 2
    assert done.err.startswith("planner: poor.toml: a scaling study of")
